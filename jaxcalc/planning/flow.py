"""What a derivative is carried through, from the input of f to its output, in so many lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from jaxcalc.planning.findings import Findings, Line
from jaxcalc.planning.report import operations_in_words, place_in_words

_LETTERS = 34  # in a line of a box


class Station(NamedTuple):
    """A box, and what leaves it.

    Attributes:
        title: the first line.
        detail: the second line.
        leaving: what is written beside the arrow that leaves it, in the direction of the derivative.
        lanes: how wide that arrow is; 0 for none.
        note: what is special about it.
        is_dense: whether there is a fallback for it.
        is_end: whether it is the input or the output.
    """

    title: str
    detail: str = ""
    leaving: str = ""
    lanes: int = 0
    note: str = ""
    is_dense: bool = False
    is_end: bool = False


def stations(found: Findings, most: int) -> list[Station]:
    """From the input to the output: the parts, or at most so many lines."""
    source, target = found.map.split(" -> ", 1)
    if found.term == "Hessian":  # the derivative of the gradient, which has the shape of the input
        target = source
    output = "gradient" if found.term == "Hessian" else "output"
    if is_cut(found):
        between = [
            Station(
                f"part {i + 1}: {part.direction}",
                f"ends at {part.ends}" if part.ends else "",
                f"{part.outputs:,} numbers",
                part.outputs,
            )
            for i, part in enumerate(found.parts)
        ]
        count = found.parts[0].inputs
        return [
            Station(source, "input", f"{count:,} numbers", count, is_end=True),
            *between,
            _end(target, output),
        ]
    lines = _folded([_of_line(line, found.fallbacks) for line in found.lines], found.lines, most)
    if is_reverse(found):  # they run from the output to the input
        return [Station(source, "input", is_end=True), *lines[::-1], _end(target, output, "1 lane", 1)]
    return [Station(source, "input", "1 lane", 1, is_end=True), *lines, _end(target, output)]


def is_cut(found: Findings) -> bool:
    """Whether f is shown in parts, whose Jacobians are multiplied."""
    return bool(found.parts) and "parts" in found.chosen.name


def is_reverse(found: Findings) -> bool:
    """Whether the lines are gone through from the output to the input."""
    return found.lines_of.startswith("structured, reverse") and not is_cut(found)


def heading(found: Findings) -> str:
    """What is shown."""
    if is_cut(found):
        return "parts of f, to be multiplied"
    lines = "lines of the gradient of f" if found.term == "Hessian" else "lines of f"
    if found.lines_of in {"", found.chosen.name}:
        return lines
    return f"{lines}, if it were {found.lines_of}"


def _end(target: str, detail: str, leaving: str = "", lanes: int = 0) -> Station:
    return Station(target, detail, leaving, lanes, is_end=True)


def _of_line(line: Line, fallbacks: Sequence[str]) -> Station:
    dense = bool(line.place) and any(f"({line.place})" in fallback for fallback in fallbacks)
    lanes = f"{line.lanes:,} lane{'' if line.lanes == 1 else 's'}, {line.entries:,} entries"
    note = "; ".join(filter(None, ("fallback" if dense else "", line.note)))
    place, operations = place_in_words(line.place), operations_in_words(line.operations)
    if len(place) > _LETTERS:  # its end tells more
        place = f"…{place[1 - _LETTERS :]}"
    return Station(
        place, textwrap.shorten(operations, _LETTERS, placeholder=" …"), lanes, line.lanes, note, dense
    )


def _folded(shown: list[Station], lines: Sequence[Line], most: int) -> list[Station]:
    """The same with runs of the less important lines in one box each, `most` boxes in all."""

    def importance(i: int) -> tuple[bool, bool, bool, float]:
        changes = i > 0 and lines[i].lanes != lines[i - 1].lanes
        return shown[i].is_dense, bool(shown[i].note), changes, lines[i].work

    order = sorted(range(len(shown)), key=importance, reverse=True)
    kept: set[int] = set()
    for i in order:
        if _rows(kept | {i}, len(shown)) <= most:
            kept.add(i)
    found: list[Station] = []
    start = 0
    for i in (*sorted(kept), len(shown)):
        if i > start:
            run = lines[start:i]
            count = f"{len(run)} line{'' if len(run) == 1 else 's'}"
            found.append(shown[i - 1]._replace(title=f"… {count}", detail="", note="", is_dense=False))
        if i < len(shown):
            found.append(shown[i])
        start = i + 1
    return found


def _rows(kept: set[int], count: int) -> int:
    """How many boxes there are when the lines between those that are kept are folded."""
    ends = sorted({-1, *kept, count})
    return len(kept) + sum(b - a > 1 for a, b in pairwise(ends))
