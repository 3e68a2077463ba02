"""The left half of the graph of a plan: what the derivative is carried through."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from jaxcalc.planning.explanation import Explanation
from jaxcalc.planning.flow import Station, heading, is_reverse
from jaxcalc.visual.style import CLEAR, GRAY, INK, ORANGE, PAPER

PITCH = 0.68  # from one box to the next, in inches
_BOX = 0.4
_MIDDLE, _HALF = 1.55, 1.5  # of the boxes
_WIDEST = 9.0  # points, of an arrow


def draw_flow(ax: Any, found: Explanation, shown: Sequence[Station], top: float, scale: float) -> None:
    """Boxes under each other, and arrows between them."""
    ax.text(_MIDDLE - _HALF, top - 0.14, heading(found), fontsize=9 * scale, color=GRAY, va="center")
    upwards = is_reverse(found)
    for i, station in enumerate(shown):
        _draw_station(ax, station, top + PITCH * i, scale)
        if i + 1 < len(shown):
            leaving = shown[i + 1] if upwards else station
            ends = (top + PITCH * i + _BOX, top + PITCH * (i + 1))
            _draw_arrow(ax, leaving, ends[::-1] if upwards else ends, scale)


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
