"""The gradient of a function of two numbers, as a field of arrows."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import jax
import numpy as np

from jaxcalc.call.front_door import options
from jaxcalc.display.axes import axes_for
from jaxcalc.visual.contours import GRID, draw_contours, same_scale
from jaxcalc.visual.functions import label_of, names_of, require_limits, require_two_numbers, values
from jaxcalc.visual.style import BLUE


@options
def gradient_field(
    f: Callable[[Any, Any], Any],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    *,
    arrows: int = 13,
    ax: Any = None,
) -> Any:
    """Draw the contours of f(x, z), and its gradient as arrows.

    The gradient points uphill, at right angles to the contour. The length of an arrow grows with the
    square root of that of the gradient, so that small ones are seen beside large ones.

    Args:
        f: a function of two real numbers that returns one, differentiable by JAX.
        xlim: from where to where the first one goes.
        ylim: the same for the second one.
        arrows: how many there are, a side.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. Where f is not finite they are hatched, and there is no arrow.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: f does not take two numbers or does not return one, or `ax` are no axes.
        ValueError: limits are not two finite rising numbers, or there are no arrows.

    Cost: 10,201 evaluations of f and `arrows**2` of its gradient, vectorized where f can be traced.

    Example:
        >>> import jaxcalc
        >>> ax = jaxcalc.visual.gradient_field(lambda x, z: x**2 + 3 * z**2, (-2, 2), (-1, 1))
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('x', 'z')
    """
    api = "jaxcalc.visual.gradient_field"
    xlim, ylim = require_limits(api, "xlim", xlim), require_limits(api, "ylim", ylim)
    require_two_numbers(api, f, (sum(xlim) / 2, sum(ylim) / 2))
    if not isinstance(arrows, Integral) or arrows < 1:
        raise ValueError(f"{api}: arrows must be a positive integer, got {arrows!r}.")
    ax = axes_for(api, ax)
    x, y = (np.linspace(*limits, GRID) for limits in (xlim, ylim))
    handles = draw_contours(ax, x, y, values(f, *np.meshgrid(x, y)))
    at = np.meshgrid(*(_inside(limits, arrows) for limits in (xlim, ylim)))
    u, v = values(jax.grad(f, argnums=(0, 1)), *at)
    _draw_arrows(ax, *(each[np.isfinite(u) & np.isfinite(v)] for each in (*at, u, v)), arrows)
    names = names_of(f, ("x", "z"))
    title = f"gradient of {label_of(f)} on its contours"
    ax.set(xlabel=names[0], ylabel=names[1], xlim=xlim, ylim=ylim, title=title)
    same_scale(ax, xlim, ylim)
    if handles:
        ax.legend(handles=handles, fontsize="small")
    return ax


def _inside(limits: tuple[float, float], count: int) -> Any:
    """`count` equal cells' centers, so that no arrow stands on the frame."""
    low, high = limits
    return low + (high - low) * (np.arange(count) + 0.5) / count


def _draw_arrows(ax: Any, x: Any, y: Any, u: Any, v: Any, count: int) -> None:
    """Arrows in the middle of their cells, the longest one as long as a cell is wide."""
    length = np.hypot(u, v)
    if not length.size:
        return
    factor = 1 / np.sqrt(np.where(length > 0, length, 1.0))
    longest = np.sqrt(length.max()) or 1.0
    style = {"width": min(0.006, 0.06 / count), "pivot": "mid", "color": BLUE, "zorder": 3}
    # the angle is that of the data, whatever the scales of the axes
    ax.quiver(
        x, y, u * factor, v * factor, angles="xy", scale_units="width", scale=longest * count, **style
    )
