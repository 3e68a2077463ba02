"""Colors, dashes and markers that are told apart in black and white too."""

from __future__ import annotations

from typing import Any, NamedTuple

INK = "#222222"  # lines and texts that belong to everything
GRAY = "#777777"  # what explains rather than shows
BLUE, ORANGE, GREEN, PINK, YELLOW = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
PAPER = "white"
CLEAR = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.2}  # behind a text on a hatched box


class LineStyle(NamedTuple):
    """How one line of several looks."""

    color: str
    linestyle: Any
    marker: str


# the colors are those of Okabe and Ito, which people with any kind of color vision tell apart
_LINES = (
    LineStyle(BLUE, "-", "o"),
    LineStyle(ORANGE, "--", "s"),
    LineStyle(GREEN, "-.", "^"),
    LineStyle(PINK, ":", "D"),
    LineStyle(INK, (0, (6, 1, 1, 1, 1, 1)), "v"),
    LineStyle(YELLOW, (0, (2, 1)), "P"),
)


def line_style(i: int) -> dict[str, Any]:
    """Color, dashes and marker of the line number i, as options of `plot`."""
    return _LINES[i % len(_LINES)]._asdict()


def halo(width: float = 3.0) -> list[Any]:
    """The effect that keeps a text or a line legible on whatever is behind it."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground=PAPER)]
