"""The right half of the graph of a plan: the methods that were compared, and the fallbacks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxcalc.planning.explanation import Explanation
from jaxcalc.planning.findings import Method
from jaxcalc.planning.report import costs_in_words, notes_on
from jaxcalc.visual.style import BLUE, CLEAR, GRAY, INK, ORANGE, PAPER

_LEFT, _RIGHT = 5.1, 7.95
_LINE = 0.18  # height of a line of text, in inches
_PAD = 0.09
_GAP = 0.14
_COLUMNS = 40  # letters in a line
_LISTED = 4  # fallbacks


class Box(NamedTuple):
    """Lines of text, the first one larger, and how the box around them looks."""

    texts: Sequence[str]
    style: dict[str, Any]
    is_bold: bool = False

    @property
    def height(self) -> float:
        """In inches."""
        return _LINE * len(self.texts) + 2 * _PAD


def boxes(found: Explanation) -> list[Box]:
    """One for each method, the one that is taken first, and one for each fallback."""
    shown = [_of_method(method) for method in found.methods]
    style = {"facecolor": PAPER, "edgecolor": ORANGE, "hatch": "////", "linewidth": 1.6}
    fallbacks = [*found.fallbacks[:_LISTED]]
    if len(found.fallbacks) > _LISTED:
        fallbacks.append(f"and {len(found.fallbacks) - _LISTED:,} more")
    return [*shown, *(Box(["fallback", *textwrap.wrap(text, _COLUMNS)], style) for text in fallbacks)]


def height_of(shown: Sequence[Box]) -> float:
    """How high all boxes are together."""
    return sum(box.height + _GAP for box in shown)


def draw_boxes(ax: Any, shown: Sequence[Box], top: float, scale: float) -> None:
    """The boxes under each other."""
    from matplotlib.patches import FancyBboxPatch

    ax.text(_LEFT, top - 0.14, "methods", fontsize=9 * scale, color=GRAY, va="center")
    for box in shown:
        corner, size = (_LEFT, top), (_RIGHT - _LEFT, box.height)
        ax.add_patch(FancyBboxPatch(corner, *size, boxstyle="round,pad=0.02", **box.style))
        for i, text in enumerate(box.texts):
            ax.text(
                _LEFT + 0.08,
                top + _PAD + _LINE * (i + 0.5),
                text,
                va="center",
                fontsize=(9 if i == 0 else 8) * scale,
                weight="bold" if i == 0 and box.is_bold else "normal",
                color=INK,
                bbox=CLEAR if "hatch" in box.style else None,
            )
        top += box.height + _GAP


def _of_method(method: Method) -> Box:
    """Its name, its cost, and what is special about it."""
    costs = costs_in_words(method)
    notes = [line for text in notes_on(method) for line in textwrap.wrap(text, _COLUMNS)]
    mark = "✓ " if method.is_chosen else "" if method.is_possible else "✗ "
    texts = [f"{mark}{method.name}", *([" · ".join(costs)] if costs else []), *notes]
    if method.is_chosen:
        return Box(texts, {"facecolor": "#e8f1f8", "edgecolor": BLUE, "linewidth": 2.2}, is_bold=True)
    if method.is_possible:
        return Box(texts, {"facecolor": PAPER, "edgecolor": GRAY, "linestyle": "--"})
    return Box(texts, {"facecolor": "#f2f2f2", "edgecolor": GRAY, "linestyle": ":"})
