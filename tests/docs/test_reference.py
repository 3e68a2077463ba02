"""The reference has every public name."""

import importlib
import inspect
import re

import pytest

import jaxcalc
from jaxcalc.cli.parser import make_parser
from tests.docs.pages import DOCS

CLASSES = ["jaxcalc.engine.patterns.structure.Structure"]  # what attributes of results are
MODULES = ["jaxcalc", "jaxcalc.checking", "jaxcalc.descent", "jaxcalc.engine", "jaxcalc.numerical"]


def documented() -> set[str]:
    """The full names that the directives of the reference name."""
    found = set()
    for page in sorted((DOCS / "reference").glob("*.md")):
        module = ""
        for directive, name in re.findall(
            r"^\.\. (auto[a-z]+|currentmodule):: ([\w.]+)$", page.read_text("utf-8"), re.MULTILINE
        ):
            if directive == "currentmodule":
                module = name
            elif directive == "automodule":
                found.add(name)
            else:
                found.add(name if name.startswith("jaxcalc.") else f"{module}.{name}")
    return found


def public() -> list[str]:
    """The names that `__all__` of the public modules promise, and the classes of their results."""
    names = list(CLASSES)
    modules = [*MODULES, *(["jaxcalc.visual"] if "visual" in jaxcalc.__all__ else [])]
    for module in modules:
        found = importlib.import_module(module)
        names += [
            f"{module}.{name}" for name in found.__all__ if not inspect.ismodule(getattr(found, name))
        ]
    return names


def home(name: str) -> object:
    """The object behind a name, which may have several names."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("name", public())
def test_every_public_name_is_in_the_reference(name: str) -> None:
    objects = [
        home(each) for each in documented() if each.rpartition(".")[2] == name.rpartition(".")[2]
    ]
    assert any(each is home(name) for each in objects), f"add {name} to a page in docs/reference"


def test_what_the_reference_names_exists() -> None:
    names = documented()
    assert len(names) > 40
    for name in names:
        if name not in MODULES:
            assert callable(home(name)) or inspect.ismodule(home(name)), name


def test_the_page_of_the_command_line_has_every_command_and_option() -> None:
    page = (DOCS / "reference" / "command-line.md").read_text("utf-8")
    subparsers = next(
        action for action in make_parser()._actions if isinstance(action.choices, dict)
    ).choices
    for command, parser in subparsers.items():
        assert f"| `{command}` |" in page
        for action in parser._actions:
            for option in action.option_strings:
                of = re.search(rf"^\|.*`{option}`.*?\| (.*?) \|", page, re.MULTILINE)
                assert option in {"-h", "--help"} or of is not None, f"{command} {option}"
