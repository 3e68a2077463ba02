"""Partial derivatives as the slopes of two slices through a surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc.arguments import function_name
from jaxcalc.formats.axes import axes_for
from jaxcalc.visual.functions import names_of, require_pair, require_two_numbers, values
from jaxcalc.visual.style import BLUE, INK, ORANGE, PAPER

_GRID = 41  # points of the surface, a side


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
        ValueError: the point does not have two finite numbers, or the width is not positive.

    Cost: 1764 evaluations of f, vectorised where f can be traced, and its gradient at the point.

    Example:
        >>> import jaxcalc
        >>> ax = jaxcalc.visual.partial_slices(lambda x, z: 4 * x**4 * z**3, (1.0, 2.0), width=0.5)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['z = 2: ∂f/∂x = 128', 'x = 1: ∂f/∂z = 48']
    """
    api = "jaxcalc.visual.partial_slices"
    x, z = require_pair(api, "point", point)
    require_two_numbers(api, f, (x, z))
    if not (np.isfinite(width) and width > 0):
        raise ValueError(f"{api}: width must be positive and finite, got {width!r}.")
    ax = axes_for(api, ax, dimensions=3)
    # the curves lie in the surface; in the order of drawing they stay visible
    ax.computed_zorder = False
    along = np.linspace(-width, width, _GRID)
    grid = np.meshgrid(x + along, z + along)
    surface = np.ma.masked_invalid(values(f, *grid))
    style = {"cmap": "Greys", "alpha": 0.5, "linewidth": 0.2, "edgecolor": "0.75", "zorder": 1}
    if surface.count():
        ax.plot_surface(*grid, surface, rstride=2, cstride=2, **style)
    height = float(values(f, x, z))
    name, (first, second) = function_name(f), names_of(f, ("x", "z"))
    slopes = [float(slope) for slope in values(jax.grad(f, argnums=(0, 1)), x, z)]
    still = np.zeros_like(along)
    _slice(ax, f, (x + along, z + still), height + slopes[0] * along, {"color": BLUE, "linestyle": "-"})
    _slice(
        ax, f, (x + still, z + along), height + slopes[1] * along, {"color": ORANGE, "linestyle": "--"}
    )
    ax.lines[0].set_label(f"{second} = {z:.4g}: ∂{name}/∂{first} = {slopes[0]:.4g}")
    ax.lines[2].set_label(f"{first} = {x:.4g}: ∂{name}/∂{second} = {slopes[1]:.4g}")
    ax.plot([x], [z], [height], marker="o", color=INK, markeredgecolor=PAPER, zorder=5)
    ax.set(xlabel=first, ylabel=second, zlabel=f"{name}({first}, {second})")
    ax.legend(loc="upper left")
    return ax


def _slice(ax: Any, f: Any, line: tuple[Any, Any], tangent: Any, style: dict[str, Any]) -> None:
    """The curve above a line in the plane, what is below it, and the middle of its tangent."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    curve = values(f, *line)
    curve = np.where(np.isfinite(curve), curve, np.nan)
    ax.plot(*line, curve, linewidth=3, zorder=3, **style)
    points = np.stack([*line, curve], axis=1)[np.isfinite(curve)]
    floor = points * [1, 1, 0] + [0, 0, ax.get_zlim()[0]]
    wall = np.concatenate([points, floor[::-1]])
    ax.add_collection3d(Poly3DCollection([wall], facecolor=style["color"], alpha=0.15, zorder=2))
    ends = [_GRID // 8, -1 - _GRID // 8]
    ax.plot(*(each[ends] for each in (*line, tangent)), color=INK, linewidth=1.3, zorder=4)
