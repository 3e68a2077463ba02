"""Reports made of lines and tables of strings: as a text, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from io import StringIO
from typing import Any, NamedTuple

_WIDTH = 120  # columns of the text
# colors are those of the page around it, so that it is read on light and on dark alike
_TABLE = "border-collapse:collapse;margin:0.5em 0"
_CELL = "text-align:{};padding:0.1em 0.7em;border-bottom:1px solid rgba(128,128,128,0.3)"


class Table(NamedTuple):
    """A table of strings.

    Attributes:
        title: what stands above it; may be empty.
        header: the names of its columns; empty for none.
        rows: its cells.
        numbers: the names of the columns of numbers, which are aligned to the right.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[str] = ()

    def alignment(self, column: int) -> Any:
        """Of a column, in the words of CSS and of rich alike."""
        return "right" if self.header and self.header[column] in self.numbers else "left"


def as_text(parts: Sequence[str | Table]) -> str:
    """Lines, which are not broken, and tables of at most 120 columns."""
    from rich.console import Console

    # in a notebook rich would show the text at once, and write nothing to the file
    console = Console(file=StringIO(), width=_WIDTH, color_system=None, force_jupyter=False)
    for part in parts:
        if isinstance(part, Table):
            console.print(_text_table(part))
        else:
            console.print(part, highlight=False, markup=False, soft_wrap=True)
    output = console.file
    assert isinstance(output, StringIO)
    return "\n".join(line.rstrip() for line in output.getvalue().rstrip().splitlines())


def as_html(table: Table) -> str:
    """A table for a notebook; it scrolls where the page is narrower."""
    head = _html_row("th", table, table.header) if table.header else ""
    rows = "".join(_html_row("td", table, row) for row in table.rows)
    title = f"<caption style='text-align:left'>{escape(table.title)}</caption>" if table.title else ""
    shown = f"<table style='{_TABLE}'>{title}{head}{rows}</table>"
    return f"<div style='overflow-x:auto;max-width:100%'>{shown}</div>"


def _text_table(table: Table) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=table.title or None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="",
        pad_edge=False,
    )
    for i, name in enumerate(table.header):
        shown.add_column(name, justify=table.alignment(i), no_wrap=name != "note")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown


def _html_row(tag: str, table: Table, cells: Sequence[str]) -> str:
    shown = []
    for i, cell in enumerate(cells):
        style = _CELL.format(table.alignment(i))
        if tag == "td" and table.alignment(i) == "right":
            style += ";white-space:nowrap"  # a number stays with its unit
        shown.append(f"<{tag} style='{style}'>{escape(cell)}</{tag}>")
    return f"<tr>{''.join(shown)}</tr>"
