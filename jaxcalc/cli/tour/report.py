"""How the tour prints: headings, tables, and the list of what was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_SHOWN = 6  # an array with more elements is described by its shape
_DIGITS = 6


@dataclass
class Report:
    """A console, and what was checked so far.

    Attributes:
        console: where to print.
        checks: each check that was made, by name, and whether it held.
    """

    console: Console
    checks: dict[str, bool] = field(default_factory=dict)

    def check(self, name: str, holds: Any) -> Text:
        """Note a check for the verdict, and give the mark to print beside it."""
        if name in self.checks:
            raise ValueError(f"the tour checks {name!r} twice")
        self.checks[name] = bool(holds)
        return Text("ok", "green") if holds else Text("WRONG", "bold red")

    def heading(self, title: str, explanation: str) -> None:
        """Start a section."""
        self.console.print()
        self.console.rule(title, align="left", style="dim")
        self.console.print(explanation, highlight=False)

    def say(self, sentence: str, mark: Text | None = None) -> None:
        """Print a sentence, and the mark of a check behind it."""
        self.console.print(sentence, mark or "", highlight=False)

    def table(self, *columns: str, rows: list[tuple[Any, ...]]) -> None:
        """Print rows under column headings; the first column is left-aligned."""
        table = Table(
            *columns, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True
        )
        for column in table.columns[1:]:
            column.justify = "right"
        table.columns[0].overflow = "fold"
        for row in rows:
            table.add_row(*[cell if isinstance(cell, Text) else str(cell) for cell in row])
        self.console.print(table)

    def verdict(self) -> int:
        """Print what failed, or that nothing did; returns the exit code."""
        failed = [name for name, holds in self.checks.items() if not holds]
        self.console.print()
        if failed:
            self.console.print(f"[bold red]{len(failed)} of {len(self.checks)} checks failed:[/]")
            for name in failed:
                self.console.print(f"  {name}", highlight=False)
            return 1
        self.console.print(f"[bold green]All {len(self.checks)} checks passed.[/]")
        return 0


def shown(value: Any) -> str:
    """A number, a vector, or a matrix with a line for each row; larger arrays as their shape."""
    array = np.asarray(value)
    if array.size > _SHOWN:
        return "x".join(map(str, array.shape))
    texts = [[f"{x:.{_DIGITS}g}" for x in row] for row in np.atleast_2d(array)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [" ".join(x.rjust(w) for x, w in zip(row, widths, strict=True)) for row in texts]
    return "\n".join(lines)


def small(value: Any) -> str:
    """The order of magnitude of an error."""
    return "0" if value == 0 else f"{float(value):.1e}"
