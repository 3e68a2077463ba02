"""What a notebook looks like when it is committed: executed, small, the same on every machine."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LARGEST = 400_000  # bytes

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
_CELL_METADATA = {"tags", "mystnb"}  # the latter describes pictures for those who do not see them
_SHOWN = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/svg+xml"}
# two or more parts after a slash that begins a word; or a drive
_PATH = re.compile(r"(?<![\w.:/<\\}\])])/(?:[\w.+-]+/)+[\w.+-]+|\b[A-Z]:\\\w|ipykernel_\d+")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


def cleaned(notebook: Any) -> Any:
    """The notebook without what differs from one machine, or one run, to the next."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        kept = {name: value for name, value in cell.metadata.items() if name in _CELL_METADATA}
        cell.metadata = nbformat.from_dict(kept)
        cell.source = cell.source.strip("\n")
        if cell.cell_type == "code":
            cell.outputs = list(_outputs(cell.outputs))
    return notebook


def _outputs(outputs: list[Any]) -> Iterator[Any]:
    """Outputs with their metadata gone, and what is printed piece by piece as one text.

    What is shown as a picture or as HTML is not kept as plain text too: that text is the `repr` of an
    object, with addresses and the names of the kernel's files.
    """
    previous = None
    for output in outputs:
        if "metadata" in output:
            output.metadata = nbformat.from_dict({})
        if len(output.get("data", {})) > 1:
            output.data.pop("text/plain", None)
        if (
            previous is not None
            and output.output_type == previous.output_type == "stream"
            and output.name == previous.name
        ):
            previous.text += output.text
            continue
        if previous is not None:
            yield previous
        previous = output
    if previous is not None:
        yield previous


def written(notebook: Any) -> str:
    """The text of the file."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def faults(text: str) -> list[str]:
    """What keeps the text of a notebook from being committed; empty when it is clean."""
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    found = []
    if written(cleaned(notebook)) != text:
        found.append("its metadata or its layout are not those that `python -m tests.notebooks` writes")
    if len(text.encode()) > LARGEST:
        found.append(f"it has {len(text.encode()):,} bytes, more than {LARGEST:,}")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("its cells were not executed from the first to the last by a fresh kernel")
    for cell in notebook.cells:
        found += [f"cell {cell.id}: {fault}" for fault in _cell_faults(cell)]
    return found


def _description(cell: Any) -> str:
    return str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))


def _cell_faults(cell: Any) -> Iterator[str]:
    if not cell.source.strip():
        yield "is empty"
    texts = [cell.source]
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            yield f"ends in {output.ename}"
            continue
        if output.output_type == "stream":
            if output.name == "stderr":
                yield f"writes to stderr: {output.text[:80]!r}"
            texts.append(output.text)
            continue
        if "image/png" in output.data and not _description(cell):
            yield "shows a picture without a description: metadata.mystnb.image.alt"
        yield from (f"shows {kind}" for kind in sorted(set(output.data) - _SHOWN))
        texts += [data for kind, data in output.data.items() if kind.startswith("text/")]
    for text in texts:
        for match in (_PATH.search(text), _ADDRESS.search(text)):
            if match is not None:
                yield f"holds {match[0]!r}, which another machine does not have"
