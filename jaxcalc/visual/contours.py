"""A function of two numbers as contours, with what is not finite hatched."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxcalc.visual.style import GREY

GRID = 101  # points a side
_LEVELS = 12


def draw_contours(ax: Any, x: Any, y: Any, height: Any) -> None:
    """Contours of `height [len(y), len(x)]`: the darker the lower; hatched where it is not finite."""
    shown = np.ma.masked_invalid(height)
    if shown.mask.any():
        outside = np.ma.getmaskarray(shown).astype(float)
        ax.contourf(x, y, outside, levels=[0.5, 1.5], colors="none", hatches=["////"])
    finite = shown.compressed()
    if finite.size and finite.min() < finite.max():
        levels = _levels(finite)
        ax.contourf(x, y, shown, levels=levels, cmap="Greys_r", alpha=0.35, extend="both")
        ax.contour(x, y, shown, levels=levels, colors=GREY, linewidths=0.7)


def _levels(heights: Any) -> Any:
    """Closer to each other near the bottom, where a descent happens."""
    low, high = heights.min(), heights.max()
    return low + (high - low) * np.linspace(0.0, 1.0, _LEVELS + 2)[1:-1] ** 2
