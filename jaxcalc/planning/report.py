"""An explanation as a text, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from jaxcalc.call.memory import in_words
from jaxcalc.display import render
from jaxcalc.display.tables import Table
from jaxcalc.display.tables import as_html as in_html
from jaxcalc.display.tables import as_text as in_text
from jaxcalc.planning.findings import Findings, Method

_LISTED = 20  # blocks of a pytree that are listed
_NUMBERS = frozenset(
    {"products", "lanes", "entries", "nonzeros", "work (est.)", "workspace (est.)", "peak"}
    | {"inputs", "outputs"}
)


def as_text(found: Findings) -> str:
    """Facts, then tables, in lines of at most about a hundred characters."""
    known = facts(found)
    width = max(len(label) for label, _ in known) + 2
    parts: list[str | Table] = [f"{label:<{width}}{text}" for label, text in known]
    for table in tables(found):
        parts += ["", table]
    return in_text(parts)


def as_html(found: Findings) -> str:
    """The same facts and tables, with a picture of the pattern."""
    picture = "" if found.pattern is None else render.picture(found.pattern)
    shown = "".join(map(in_html, tables(found)))
    return f"<div>{render.beside(in_html(Table('', (), facts(found))), picture)}{shown}</div>"


def facts(found: Findings) -> list[tuple[str, str]]:
    """What is said in a line each, with a label."""
    known = [(found.term, found.map)]
    if found.pattern is not None:
        known.append(("entries", render.size_in_words(found.pattern)))
    known += [("format", found.format), ("plan", _plan(found.chosen))]
    impossible = [f"{m.name}: {m.note}" for m in found.methods if not m.is_possible]
    known += [("not possible", text) for text in impossible]
    known.append(("fallbacks", ", ".join(found.fallbacks) or "none"))
    if found.branches:
        known.append(("control flow", f"at most {in_words(found.peak_of_branches)} at a time"))
    if found.measured is not None:
        m = found.measured
        ratio = m.seconds / m.seconds_of_f if m.seconds_of_f else float("inf")
        known.append(("measured", f"{time_in_words(1e9 * m.seconds)}, {ratio:.3g} times f"))
        known.append(
            (
                "estimated",
                f"{time_in_words(1e9 * m.estimated_seconds)}; it took {m.error:.2g} times as long",
            )
        )
        known.append(("compiled", f"in {time_in_words(1e9 * m.seconds_to_compile)}{_memory(found)}"))
    return known


def tables(found: Findings) -> list[Table]:
    """The methods, and what there is of parts, blocks, steps and branches."""
    shown = [
        Table(
            "methods",
            ["", "method", "products", "work (est.)", "workspace (est.)", "note"],
            [_method_row(method) for method in found.methods if method.is_possible],
        ),
        Table(
            "parts, to be multiplied",
            ["inputs", "outputs", "direction", "ends at"],
            [[f"{p.inputs:,}", f"{p.outputs:,}", p.direction, p.ends] for p in found.parts],
        ),
        Table("blocks", ["output", "input", "shape", "nonzeros", "structure"], _block_rows(found)),
        Table(
            "steps" if found.lines_of == found.chosen.name else f"steps, if it were {found.lines_of}",
            ["line", "operations", "lanes", "entries", "work (est.)", "note"],
            [
                [
                    place_in_words(line.place),
                    operations_in_words(line.operations),
                    f"{line.lanes:,}",
                    f"{line.entries:,}",
                    time_in_words(line.work),
                    line.note,
                ]
                for line in found.lines
            ],
        ),
        Table(
            "control flow",
            ["line", "operation", "branch", "computes", "peak"],
            [
                [place_in_words(b.place), b.operation, b.branch, b.computes, in_words(b.peak_bytes)]
                for b in found.branches
            ],
        ),
    ]
    return [table._replace(numbers=_NUMBERS) for table in shown if table.rows]


def products_in_words(method: Method) -> str:
    """How many lanes, or products with vectors, it takes."""
    products = method.products or 0
    noun = "lane" if method.name.startswith("structured") else "product"
    return f"{products:,} {noun}{'' if products == 1 else 's'}"


def costs_in_words(method: Method) -> list[str]:
    """What is known of its products, its time and its memory."""
    costs = [products_in_words(method)] if method.products is not None else []
    costs += [time_in_words(method.work)] if method.work is not None else []
    return [*costs, in_words(method.workspace)] if method.workspace is not None else costs


def notes_on(method: Method) -> list[str]:
    """In how many turns it goes, what is special about it, or why it is not possible."""
    turns = [f"in {_turns(method)}"] if method.blocks > 1 else []
    note = method.note if method.is_possible else f"not possible: {method.note}"
    return [*turns, note] if note else turns


def _turns(method: Method) -> str:
    return f"{method.blocks:,} blocks of {method.block:,}" if method.blocks > 1 else ""


def _plan(method: Method) -> str:
    turns = f" in {_turns(method)}" if method.blocks > 1 else ""
    return f"{method.name}, {products_in_words(method)}{turns}"


def _method_row(method: Method) -> list[str]:
    return [
        "chosen" if method.is_chosen else "",
        method.name,
        "" if method.products is None else f"{method.products:,}",
        "" if method.work is None else time_in_words(method.work),
        "" if method.workspace is None else in_words(method.workspace),
        "; ".join(filter(None, (_turns(method), method.note))),
    ]


def _block_rows(found: Findings) -> list[list[str]]:
    rows = [
        [
            block.output or "(output)",
            block.input or "(input)",
            f"[{','.join(map(str, block.shape))}]",
            f"{block.nonzeros:,}",
            block.structure,
        ]
        for block in found.blocks[:_LISTED]
    ]
    if len(found.blocks) > _LISTED:
        rows.append([f"... and {len(found.blocks) - _LISTED:,} more", "", "", "", ""])
    return rows


def _memory(found: Findings) -> str:
    """What the compiled program allocates, beside what was estimated."""
    m, estimated = found.measured, found.chosen.workspace
    if m is None or m.workspace is None or m.output is None:
        return ""
    beside = "" if estimated is None else f" ({in_words(estimated)} estimated)"
    return f"; workspace {in_words(m.workspace)}{beside}, result {in_words(m.output)}"


def place_in_words(place: str) -> str:
    """A file and line, or what stands for none."""
    return place or "(made by JAX)"


def operations_in_words(operations: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    shown = ", ".join(operations[:3])
    return shown if len(operations) <= 3 else f"{shown} and {len(operations) - 3} more"


def time_in_words(nanoseconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"
