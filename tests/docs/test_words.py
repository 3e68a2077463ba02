"""The words of pages, docstrings, comments and messages: the field's, in American spelling."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES

ROOT = DOCS.parent
MEASURED = DOCS / "reliability.md"  # written by a run, from the messages and the names of tests

# a derivative is taken with respect to x; it may be written by hand, and divided by a number
BY = re.compile(
    r"\b(?:(?:derivatives?|gradients?)(?: of (?:the |one )?[\w\[\]{}]+)?|differentiate[sd]?)"
    r"\s+by\b(?!\s+(?:hand|JAX|part|itself|it)\b)",
    re.IGNORECASE,
)
BRITISH = re.compile(
    r"colour|neighbour|behaviour|favour|\bcentr(?:e|es|ed)\b|\bgrey|\blicence|metres?\b"
    r"|(?:factor|general|initial|material|maxim|minim|normal|optim|quant|recogn|special|standard|vector)"
    r"is(?:e[ds]?|ing|ation)\b",
    re.IGNORECASE,
)
NAMES = re.compile(r"optimistix\.minimise|Optimisers|\"Greys")  # of other packages


def texts() -> dict[Path, str]:
    """What people read: pages, notebooks without their pictures, and sources."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
    sources = sorted((ROOT / "jaxcalc").rglob("*.py"))
    found = {path: path.read_text("utf-8") for path in [*pages, *sources] if path != MEASURED}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        found[path] = "\n".join("".join(cell["source"]) + str(cell["metadata"]) for cell in cells)
    return found


def faults(text: str) -> list[str]:
    """The phrases of a text that are not how this project writes."""
    joined = re.sub(r"\s*\n[\s#]*|\" *\n? *f?\"", " ", NAMES.sub("", text))
    return [match.group() for match in (*BY.finditer(joined), *BRITISH.finditer(joined))]


def test_derivatives_are_with_respect_to_and_the_spelling_is_american() -> None:
    found = {str(path.relative_to(ROOT)): faults(text) for path, text in texts().items()}
    assert len(found) > 200
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("the derivative by x", 1),
        ("arguments to differentiate\n    by, as in JAX", 1),
        ('"the gradients "\n    f"by {name}"', 1),
        ("Differentiated by both", 1),
        ("the gradient of the loss by its pixels", 1),
        ("a derivative written by hand, a gradient by hand", 0),
        ("divide the gradient by it", 0),
        ("the colours of its neighbours", 2),
        ("normalise, vectorised, a factorisation", 3),
        ("noise, precise, otherwise, optimistix.minimise(f)", 0),
        ("millimetres, parameters, a centre", 2),
    ],
)
def test_what_counts_as_a_fault(text: str, count: int) -> None:
    assert len(faults(text)) == count
