"""A function of two numbers as contours, with what is not finite hatched."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxcalc.visual.style import GRAY, INK

GRID = 101  # points a side
_LEVELS = 12
_ROUND = 3.0  # scales that differ by less are drawn alike


def draw_contours(ax: Any, x: Any, y: Any, height: Any) -> list[Any]:
    """Contours of `height [len(y), len(x)]`: the darker the lower; hatched where it is not finite.

    Returns:
        What the legend says of it, if there is anything.
    """
    shown = np.ma.masked_invalid(height)
    finite = shown.compressed()
    if finite.size and finite.min() < finite.max():
        levels = _levels(finite)
        ax.contourf(x, y, shown, levels=levels, cmap="Greys_r", alpha=0.3, extend="both", zorder=0)
        style = {"colors": GRAY, "linewidths": 0.8, "linestyles": "solid", "zorder": 1}
        lines = ax.contour(x, y, shown, levels=levels, **style)
        nothing = 1e-4 * (finite.max() - finite.min())  # 0 but for rounding
        texts = {level: f"{float(f'{level:.3g}') if abs(level) > nothing else 0:g}" for level in levels}
        ax.clabel(lines, levels[::3], fmt=texts, fontsize="x-small", colors=INK)
    if finite.size == shown.size:
        return []
    from matplotlib.patches import Patch

    outside = np.ma.getmaskarray(shown).astype(float)
    hatched = ax.contourf(x, y, outside, levels=[0.5, 1.5], colors="none", hatches=["////"])
    hatched.set_edgecolor(GRAY)
    return [Patch(facecolor="none", edgecolor=GRAY, hatch="////", label="not finite")]


def same_scale(ax: Any, xlim: tuple[float, float], ylim: tuple[float, float]) -> None:
    """Give both axes one scale, so that right angles are right, unless that makes a thin strip."""
    ratio = (ylim[1] - ylim[0]) / (xlim[1] - xlim[0])
    if 1 / _ROUND <= ratio <= _ROUND:
        ax.set_aspect("equal", adjustable="box")


def _levels(heights: Any) -> Any:
    """Half even in height, half even in area: neither a peak nor a plain takes all of them."""
    ordered = np.sort(heights)
    low, high = ordered[0], ordered[-1]
    rank = np.linspace(0.0, 1.0, ordered.size)
    mixed = (rank + (ordered - low) / (high - low)) / 2
    return np.unique(np.interp(np.linspace(0.0, 1.0, _LEVELS + 2)[1:-1], mixed, ordered))
