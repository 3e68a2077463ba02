"""An explanation of a derivative: what it is, which way it is computed, what each source line costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from io import StringIO
from typing import Any

from jaxcalc.formats import render
from jaxcalc.formats.pattern import SparsityPattern
from jaxcalc.planning.memory import in_words

_WIDTH = 100  # columns of the text


@dataclass(frozen=True)
class Way:
    """One way to the derivative.

    Attributes:
        name: what is done, such as "structured, forward".
        products: how many products with a vector, or lanes, it takes.
        work: estimated nanoseconds of a run on a small CPU, beside f itself.
        workspace: estimated bytes beside the result.
        is_chosen: whether this way is the one that is taken.
        note: why it is not possible, or what is special about it.
    """

    name: str
    products: int
    work: float
    workspace: int
    is_chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class Line:
    """What a line of the source adds to the cost of the chosen way.

    Attributes:
        place: file and line, empty for what JAX adds by itself.
        operations: the operations, in order of their first use.
        lanes: the most inputs that an element of a value made here is kept for.
        entries: the most entries of a value made here.
        work: estimated nanoseconds.
    """

    place: str
    operations: tuple[str, ...]
    lanes: int
    entries: int
    work: float


@dataclass(frozen=True)
class Measured:
    """What a run took: seconds (the median), and the bytes that the compiled program allocates."""

    seconds: float
    seconds_of_f: float
    workspace: int | None


@dataclass(frozen=True)
class Explanation:
    """What `jaxcalc.explain` returns; `print` it, look at it in a notebook, or take `to_dict()`.

    Attributes:
        term: the field's word for this derivative, such as "Jacobian".
        map: what it maps, such as "float32[3] -> float32[2]".
        format: the format that was asked about.
        pattern: which entries there are; None where it is not known.
        ways: the ways that were compared; the chosen one first.
        lines: one for each line of the source, in the order in which they run.
        fallbacks: what was treated as dense, with its place.
        measured: what a run took, where that was asked for.
    """

    term: str
    map: str
    format: str
    pattern: SparsityPattern | None
    ways: Sequence[Way]
    lines: Sequence[Line] = ()
    fallbacks: Sequence[str] = ()
    measured: Measured | None = field(default=None)

    @property
    def chosen(self) -> Way:
        """The way that is taken."""
        return next(way for way in self.ways if way.is_chosen)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, as for JSON; the pattern by its counts."""
        found = {
            "term": self.term,
            "map": self.map,
            "format": self.format,
            "ways": [asdict(way) for way in self.ways],
            "lines": [asdict(line) | {"operations": list(line.operations)} for line in self.lines],
            "fallbacks": list(self.fallbacks),
            "measured": None if self.measured is None else asdict(self.measured),
            "pattern": None,
        }
        if self.pattern is not None:
            found["pattern"] = {
                "shape": list(self.pattern.shape),
                "nonzeros": self.pattern.nnz,
                "density": self.pattern.density,
                "structure": str(self.pattern.structure),
            }
        return found

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=StringIO(), width=_WIDTH, color_system=None)
        facts = self._facts()
        width = max(len(label) for label, _ in facts) + 2
        for label, text in facts:
            console.print(f"{label:<{width}}{text}", highlight=False, markup=False, soft_wrap=True)
        for title, header, rows in self._tables():
            console.print()
            console.print(_text_table(title, header, rows))
        output = console.file
        assert isinstance(output, StringIO)
        return "\n".join(line.rstrip() for line in output.getvalue().rstrip().splitlines())

    def _repr_html_(self) -> str:
        facts = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in self._facts())
        tables = "".join(_html_table(*each) for each in self._tables())
        picture = "" if self.pattern is None else render.pattern_html(self.pattern)
        return f"<div><table>{facts}</table>{tables}{picture}</div>"

    def _facts(self) -> list[tuple[str, str]]:
        facts = [(self.term, self.map)]
        if self.pattern is not None:
            facts.append(("entries", render.size_in_words(self.pattern)))
        facts.append(("format", self.format))
        way = self.chosen
        facts.append(("plan", f"{way.name}, {_count(way.products, way.name)}"))
        facts.append(("fallbacks", ", ".join(self.fallbacks) or "none"))
        if self.measured is not None:
            m = self.measured
            ratio = m.seconds / m.seconds_of_f if m.seconds_of_f else float("inf")
            text = f"{_time(1e9 * m.seconds)}, {ratio:.3g} times f"
            if m.workspace is not None:
                text += f"; workspace {in_words(m.workspace)}"
            facts.append(("measured", text))
        return facts

    def _tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        ways = [
            [
                "chosen" if way.is_chosen else "",
                way.name,
                f"{way.products:,}",
                _time(way.work),
                in_words(way.workspace),
                way.note,
            ]
            for way in self.ways
        ]
        tables = [("ways", ["", "way", "products", "work (est.)", "workspace (est.)", "note"], ways)]
        if self.lines:
            lines = [
                [
                    line.place or "(made by JAX)",
                    _short(line.operations),
                    f"{line.lanes:,}",
                    f"{line.entries:,}",
                    _time(line.work),
                ]
                for line in self.lines
            ]
            tables.append(("steps", ["line", "operations", "lanes", "entries", "work (est.)"], lines))
        return tables


def _count(products: int, name: str) -> str:
    noun = "lane" if name.startswith("structured") else "product"
    return f"{products:,} {noun}{'' if products == 1 else 's'}"


def _short(operations: Sequence[str]) -> str:
    shown = ", ".join(operations[:3])
    return shown if len(operations) <= 3 else f"{shown} and {len(operations) - 3} more"


def _time(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def _text_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="", pad_edge=False
    )
    numbers = {"products", "lanes", "entries", "work (est.)", "workspace (est.)"}
    for name in header:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _html_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{body}</table>"
