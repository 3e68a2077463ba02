"""The left half of the graph of a plan: what the derivative is carried through."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from math import log10
from typing import Any, NamedTuple

from jaxcalc.planning.explanation import Explanation
from jaxcalc.planning.findings import Line
from jaxcalc.planning.report import operations_in_words, place_in_words
from jaxcalc.visual.style import CLEAR, GRAY, INK, ORANGE, PAPER

PITCH = 0.68  # from one box to the next, in inches
_BOX = 0.4
_MIDDLE, _HALF = 1.55, 1.5  # of the boxes
_LETTERS = 34  # in a line of a box
_WIDEST = 9.0  # points, of an arrow


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


def stations(found: Explanation, most: int) -> list[Station]:
    """From the input to the output: the parts, or at most so many lines."""
    source, target = found.map.split(" -> ", 1)
    if found.term == "Hessian":  # the derivative of the gradient, which has the shape of the input
        target = source
    output = "gradient" if found.term == "Hessian" else "output"
    if found.parts and "parts" in found.chosen.name:
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
    if _is_reverse(found):  # they run from the output to the input
        return [Station(source, "input", is_end=True), *lines[::-1], _end(target, output, "1 lane", 1)]
    return [Station(source, "input", "1 lane", 1, is_end=True), *lines, _end(target, output)]


def draw_flow(ax: Any, found: Explanation, shown: Sequence[Station], top: float, scale: float) -> None:
    """Boxes under each other, and arrows between them."""
    heading = "parts of f, to be multiplied" if "parts" in found.chosen.name else _heading(found)
    ax.text(_MIDDLE - _HALF, top - 0.14, heading, fontsize=9 * scale, color=GRAY, va="center")
    upwards = _is_reverse(found) and "parts" not in found.chosen.name
    for i, station in enumerate(shown):
        _draw_station(ax, station, top + PITCH * i, scale)
        if i + 1 < len(shown):
            leaving = shown[i + 1] if upwards else station
            ends = (top + PITCH * i + _BOX, top + PITCH * (i + 1))
            _draw_arrow(ax, leaving, ends[::-1] if upwards else ends, scale)


def _is_reverse(found: Explanation) -> bool:
    return found.lines_of.startswith("structured, reverse")


def _heading(found: Explanation) -> str:
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


def _draw_station(ax: Any, station: Station, top: float, scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    style: dict[str, Any] = {"facecolor": PAPER, "edgecolor": INK, "linewidth": 1.0}
    if station.is_end:
        style["facecolor"] = "#e6e6e6"
    elif station.is_dense:
        style |= {"hatch": "////", "edgecolor": ORANGE, "linewidth": 1.8}
    elif station.note:
        style |= {"linewidth": 2.2}
    shape = "round,pad=0,rounding_size=0.15" if station.is_end else "square,pad=0"
    corner = (_MIDDLE - _HALF, top)
    ax.add_patch(FancyBboxPatch(corner, 2 * _HALF, _BOX, boxstyle=shape, **style))
    texts = [station.title, station.detail] if station.detail else [station.title]
    for i, text in enumerate(texts):
        ax.text(
            _MIDDLE,
            top + _BOX * (2 * i + 1) / (2 * len(texts)),
            text,
            ha="center",
            va="center",
            fontsize=(9 if i == 0 else 7.5) * scale,
            color=INK,
            bbox=CLEAR if station.is_dense else None,
        )
    ax.text(
        _MIDDLE + _HALF + 0.08,
        top + _BOX / 2,
        station.note,
        va="center",
        fontsize=8 * scale,
        weight="bold",
    )


def _draw_arrow(ax: Any, leaving: Station, ends: tuple[float, float], scale: float) -> None:
    """As wide as the lanes are many, on a logarithmic scale."""
    width = scale * min(_WIDEST, 1.0 + 2.0 * log10(max(1, leaving.lanes)))
    style = {"width": width, "headwidth": width + 6 * scale, "headlength": 6 * scale, "shrink": 0.0}
    ax.annotate(
        "", (_MIDDLE, ends[1]), (_MIDDLE, ends[0]), arrowprops={"color": INK, "linewidth": 0, **style}
    )
    ax.text(_MIDDLE + 0.22, sum(ends) / 2, leaving.leaving, va="center", fontsize=8 * scale, color=INK)
