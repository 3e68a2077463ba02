"""Reports of lines and tables."""

import builtins

import pytest

from jaxcalc.display.tables import Table, as_text


class ZMQInteractiveShell:
    """The name by which rich knows that it is in a notebook."""


def test_the_text_is_the_same_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ["a line", Table("a table", ["name", "size"], [["x", "3"]], {"size"})]
    text = as_text(parts)
    assert text.startswith("a line\na table")
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    assert as_text(parts) == text
