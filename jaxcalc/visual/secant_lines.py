"""The limit that a derivative is: secants that turn into the tangent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import dtype_of, function_name
from jaxcalc.call.front_door import options
from jaxcalc.display.axes import axes_for
from jaxcalc.numerical.differences import DifferenceQuotients, quotients
from jaxcalc.visual.functions import label_of, names_of, require_slopes, values
from jaxcalc.visual.style import BLUE, INK, PAPER

_POINTS = 400  # of a curve
_DASHES = ((0, (1, 1.2)), (0, (3, 1.5)), (0, (6, 1.5)), (0, (6, 1.5, 1, 1.5)))
_STEPS = (1.0, 0.5, 0.25)


@options
def secants(
    f: Callable[[Any], Any], x: Any, *, steps: Sequence[float] | Any | None = None, ax: Any = None
) -> Any:
    """Draw f, its secants through x and x + h for falling h, and the tangent that they turn into.

    Args:
        f: a function of one real number that returns one, differentiable by JAX.
        x: a real number, the point of contact.
        steps: the steps h, positive and falling; the default is 1, 1/2 and 1/4.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. The legend gives the slope of each line.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: x is not a real scalar, f does not return one real number, or `ax` are no axes.
        ValueError: the steps are not positive, not falling, or not representable in the dtype of x, or
            there is no tangent: f(x) or its derivative is not finite.

    Cost: 3 k + 402 evaluations of f for k steps, vectorized where f can be traced, and the exact
    derivative, about 2 more.

    Example:
        >>> import jaxcalc
        >>> ax = jaxcalc.visual.secants(lambda x: 2 * x**3 + 5, 2.0)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['f', 'h = 1: slope 38', 'h = 0.5: slope 30.5', 'h = 0.25: slope 27.12', 'tangent: slope 24']
    """
    api = "jaxcalc.visual.secants"
    found = of_one_number(api, f, x, _STEPS if steps is None else steps)
    at, h = float(x), np.asarray(found.steps, np.float64)
    ends = np.array([at - 0.7 * h[0], at + 1.25 * h[0]])
    contact, *others = values(f, np.array([at, *(at + h)]))
    slope = float(found.exact)
    require_slopes(api, f, f"{at:.4g}", contact, slope)
    ax = axes_for(api, ax)
    curve = np.linspace(ends[0], ends[1], _POINTS)
    heights = values(f, curve)
    name, (variable,) = label_of(f), names_of(f, ("x",))
    ax.plot(
        curve, np.where(np.isfinite(heights), heights, np.nan), color=INK, linewidth=2.2, label=name
    )
    shades = np.linspace(0.62, 0.3, len(h))
    slopes = np.asarray(found.forward, np.float64)
    lines = [contact + each * (ends - at) for each in (*slopes, slope)]
    for i, (step, secant, shade) in enumerate(zip(h, slopes, shades, strict=True)):
        style = {"color": str(shade), "linestyle": _DASHES[i % len(_DASHES)], "linewidth": 1.6}
        ax.plot(ends, lines[i], label=f"h = {step:.4g}: slope {secant:.4g}", **style)
        ax.plot(at + step, others[i], marker="o", color=str(shade), markersize=6)
    ax.plot(ends, lines[-1], color=BLUE, linewidth=2.6, label=f"tangent: slope {slope:.4g}")
    ax.plot(at, contact, marker="o", color=BLUE, markersize=9, markeredgecolor=PAPER, zorder=5)
    title = f"{name} at {variable} = {at:.4g}: secants and tangent"
    ax.set(xlabel=variable, ylabel=f"{name}({variable})", title=title)
    ax.set_ylim(*_around([*lines, heights[(curve >= at) & (curve <= at + h[0])]]))
    ax.legend(fontsize="small")
    return ax


def _around(heights: Sequence[Any]) -> tuple[float, float]:
    """Limits that show the lines and the curve between their ends; it may go far beyond elsewhere."""
    shown = np.concatenate(heights)
    shown = shown[np.isfinite(shown)]
    low, high = (shown.min(), shown.max()) if shown.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def of_one_number(api: str, f: Callable[[Any], Any], x: Any, steps: Any) -> DifferenceQuotients:
    """The quotients of a function of one real number that returns one."""
    found = quotients(api, f, x, steps)
    if jnp.shape(found.exact) != () or not jnp.issubdtype(dtype_of(found.exact), jnp.floating):
        output = f"{dtype_of(found.exact)}{list(jnp.shape(found.exact))}"
        raise TypeError(
            f"{api}: {function_name(f)} must return one real number, but it returned {output}; give "
            "the element to look at, such as lambda x: f(x)[0]."
        )
    return found
