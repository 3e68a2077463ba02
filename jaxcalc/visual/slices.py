"""Partial derivatives as the slopes of two slices through a surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc.call.front_door import options
from jaxcalc.display.axes import axes_for
from jaxcalc.visual.functions import (
    label_of,
    names_of,
    require_pair,
    require_positive,
    require_slopes,
    require_two_numbers,
    values,
)
from jaxcalc.visual.style import BLUE, INK, ORANGE, PAPER

_GRID = 41  # points of the surface, a side


@options
def partial_slices(
    f: Callable[[Any, Any], Any], point: tuple[float, float], *, width: float = 1.0, ax: Any = None
) -> Any:
    """Draw the surface of f(x, z), the two slices through a point, and their tangents.

    A partial derivative is the slope of a slice: one argument moves, the other one is held.

    Args:
        f: a function of two real numbers that returns one, differentiable by JAX.
        point: the two numbers (x, z).
        width: how far the surface reaches, on each side of the point.
        ax: matplotlib axes with the projection "3d"; those of a new figure without it.

    Returns:
        The axes. The legend gives the partial derivatives. Where f is not finite there is a hole.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: f does not take two numbers or does not return one, or `ax` are no 3-D axes.
        ValueError: the point does not have two finite numbers, the width is not positive, or f or
            its gradient is not finite there.

    Cost: 1764 evaluations of f, vectorized where f can be traced, and its gradient at the point.

    Example:
        >>> import jaxcalc
        >>> ax = jaxcalc.visual.partial_slices(lambda x, z: 4 * x**4 * z**3, (1.0, 2.0), width=0.5)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['z = 2: ∂f/∂x = 128', 'x = 1: ∂f/∂z = 48']
    """
    api = "jaxcalc.visual.partial_slices"
    x, z = require_pair(api, "point", point)
    require_two_numbers(api, f, (x, z))
    require_positive(api, "width", width)
    height = float(values(f, x, z))
    slopes = [float(slope) for slope in values(jax.grad(f, argnums=(0, 1)), x, z)]
    require_slopes(api, f, f"({x:.4g}, {z:.4g})", height, *slopes)
    ax = axes_for(api, ax, dimensions=3)
    # the curves lie in the surface; in the order of drawing they stay visible
    ax.computed_zorder = False
    along = np.linspace(-width, width, _GRID)
    grid = np.meshgrid(x + along, z + along)
    surface = np.ma.masked_invalid(values(f, *grid))
    if surface.count():
        look = {"cmap": "Greys", "alpha": 0.5, "linewidth": 0.2, "edgecolor": "0.75"}
        ax.plot_surface(*grid, surface, rstride=2, cstride=2, zorder=1, **look)
    name, names = label_of(f), names_of(f, ("x", "z"))
    for moving, (color, dashes) in enumerate(((BLUE, "-"), (ORANGE, "--"))):
        held, slope = 1 - moving, slopes[moving] + 0.0  # no -0
        label = f"{names[held]} = {(x, z)[held]:.4g}: ∂{name}/∂{names[moving]} = {slope:.4g}"
        style = {"label": label, "color": color, "linestyle": dashes}
        _slice(ax, f, (x, z), moving, along, height + slope * along, style)
    ax.plot([x], [z], [height], marker="o", color=INK, markeredgecolor=PAPER, zorder=5)
    ax.set(xlabel=names[0], ylabel=names[1])
    # in 3-D a label of the vertical axis, or a title, may be cut off; the legend is not
    ax.legend(loc="upper left", fontsize="small", title=f"{name}({names[0]}, {names[1]})")
    return ax


def _slice(
    ax: Any,
    f: Callable[[Any, Any], Any],
    point: tuple[float, float],
    moving: int,
    along: Any,
    tangent: Any,
    style: dict[str, Any],
) -> None:
    """The curve where one argument moves, a wall below it, and the middle of its tangent."""
    from matplotlib.collections import PolyCollection

    line = [place + (along if i == moving else np.zeros_like(along)) for i, place in enumerate(point)]
    curve = values(f, *line)
    known = np.isfinite(curve)
    ax.plot(*line, np.where(known, curve, np.nan), linewidth=3, zorder=3, **style)
    if known.any():
        moved, floor = line[moving][known], ax.get_zlim()[0]
        wall = [(moved[0], floor), *zip(moved, curve[known], strict=True), (moved[-1], floor)]
        filled = PolyCollection([wall], facecolors=style["color"], alpha=0.15, zorder=2)
        ax.add_collection3d(filled, zs=point[1 - moving], zdir="yx"[moving])
    ends = [_GRID // 8, -1 - _GRID // 8]
    ax.plot(*(each[ends] for each in (*line, tangent)), color=INK, linewidth=1.3, zorder=4)
