"""Partial derivatives as the slopes of two slices through a surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxcalc.arguments import function_name
from jaxcalc.formats.axes import axes_for
from jaxcalc.visual.functions import names_of, require_pair, require_two_numbers, values
from jaxcalc.visual.style import BLUE, INK, ORANGE

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
        ['∂f/∂x = 128', '∂f/∂z = 48']
    """
    api = "jaxcalc.visual.partial_slices"
    x, z = require_pair(api, "point", point)
    require_two_numbers(api, f, (x, z))
    if not (np.isfinite(width) and width > 0):
        raise ValueError(f"{api}: width must be positive and finite, got {width!r}.")
    ax = axes_for(api, ax, dimensions=3)
    ax.computed_zorder = False  # the curves lie in the surface; the order of drawing keeps them visible
    along = np.linspace(-width, width, _GRID)
    grid = np.meshgrid(x + along, z + along)
    with np.errstate(invalid="ignore"):
        surface = np.ma.masked_invalid(values(f, *grid))
    ax.plot_surface(*grid, surface, cmap="Greys", alpha=0.45, linewidth=0.3, edgecolor="0.6", zorder=1)
    height = values(f, np.array([x]), np.array([z]))[0]
    slopes = [s[0] for s in values(jax.grad(f, argnums=(0, 1)), np.array([x]), np.array([z]))]
    names = names_of(f, ("x", "z"))
    still = np.zeros_like(along)
    for name, slope, (dx, dz), color, dashes in (
        (names[0], slopes[0], (along, still), BLUE, "-"),
        (names[1], slopes[1], (still, along), ORANGE, "--"),
    ):
        curve = np.ma.masked_invalid(values(f, x + dx, z + dz)).filled(np.nan)
        ax.plot(x + dx, z + dz, curve, color=color, linestyle=dashes, linewidth=2.5, zorder=3)
        ends = [0, -1]
        tangent = height + slope * 0.6 * along[ends]
        label = f"∂{function_name(f)}/∂{name} = {slope:.4g}"
        start = x + 0.6 * dx[ends], z + 0.6 * dz[ends]
        ax.plot(*start, tangent, color=color, linestyle=dashes, linewidth=1.2, label=label, zorder=4)
    ax.plot([x], [z], [height], marker="o", color=INK, zorder=5)
    ax.set(xlabel=names[0], ylabel=names[1], zlabel=f"{function_name(f)}({names[0]}, {names[1]})")
    ax.legend()
    return ax
