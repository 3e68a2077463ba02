"""The limit that a derivative is: secants turning into the tangent, and the error of quotients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.arguments import dtype_of, function_name
from jaxcalc.formats.axes import axes_for
from jaxcalc.numerical.differences import DifferenceQuotients, quotients
from jaxcalc.visual.functions import names_of, values
from jaxcalc.visual.style import BLUE, INK, ORANGE

_POINTS = 400  # of a curve
_DASHES = ((0, (1, 1.2)), (0, (3, 1.5)), (0, (6, 1.5)), (0, (6, 1.5, 1, 1.5)))
_STEPS_OF_SECANTS = (1.0, 0.5, 0.25)
_PER_DECADE = 4  # default steps of the error plot


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
        ValueError: the steps are not positive, not falling, or not representable in the dtype of x.

    Cost: 2 k + 401 evaluations of f for k steps, vectorised where f can be traced, and the exact
    derivative, about 2 more.

    Example:
        >>> import jaxcalc
        >>> ax = jaxcalc.visual.secants(lambda x: 2 * x**3 + 5, 2.0)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['f', 'h = 1: slope 38', 'h = 0.5: slope 30.5', 'h = 0.25: slope 27.12', 'tangent: slope 24']
    """
    api = "jaxcalc.visual.secants"
    found = _of_one_number(api, f, x, _STEPS_OF_SECANTS if steps is None else steps)
    ax = axes_for(api, ax)
    at, h = float(x), np.asarray(found.steps, np.float64)
    ends = np.array([at - 0.7 * h[0], at + 1.25 * h[0]])
    curve = np.linspace(ends[0], ends[1], _POINTS)
    heights, contacts = values(f, curve), values(f, np.array([at, *(at + h)]))
    ax.plot(curve, _finite(heights), color=INK, linewidth=2, label=function_name(f))
    slopes = np.asarray(found.forward, np.float64)
    shades = np.linspace(0.72, 0.35, len(h))
    for i, (step, slope, shade) in enumerate(zip(h, slopes, shades, strict=True)):
        line = contacts[0] + slope * (ends - at)
        label = f"h = {step:.4g}: slope {slope:.4g}"
        style = {"color": str(shade), "linestyle": _DASHES[i % len(_DASHES)], "linewidth": 1.4}
        ax.plot(ends, line, label=label, **style)
        ax.plot(at + step, contacts[1 + i], marker="o", color=str(shade), markersize=5)
    slope = float(found.exact)
    tangent = contacts[0] + slope * (ends - at)
    ax.plot(ends, tangent, color=BLUE, linewidth=2.4, label=f"tangent: slope {slope:.4g}")
    ax.plot(at, contacts[0], marker="o", color=BLUE, markersize=8, markeredgecolor="white", zorder=5)
    name = names_of(f, ("x",))[0]
    ax.set(xlabel=name, ylabel=f"{function_name(f)}({name})", title="Secants turn into the tangent")
    ax.legend()
    return ax


def difference_error(
    f: Callable[[Any], Any], x: Any, *, steps: Sequence[float] | Any | None = None, ax: Any = None
) -> Any:
    """Draw the error of forward and central difference quotients against the step, log-log.

    To the right the error is truncation, of the Taylor series, and falls with h: with slope 1 for the
    forward quotient and 2 for the central one. To the left it is rounding, and grows as 1/h. The best
    step of each is marked.

    Args:
        f: a function of one real number that returns one, differentiable by JAX.
        x: a real number; its dtype is that of the arithmetic.
        steps: the steps h, positive and falling; the default is four to a decade, from 1 down to the
            spacing of floats near x.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. An error of exactly 0 has no place on a logarithmic axis and is left out.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: x is not a real scalar, f does not return one real number, or `ax` are no axes.
        ValueError: the steps are not positive, not falling, or not representable in the dtype of x.

    Cost: 2 k + 1 evaluations of f for k steps, vectorised where f can be traced, and the exact
    derivative, about 2 more.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> ax = jaxcalc.visual.difference_error(jnp.sin, 1.0)
        >>> ax.get_xscale(), ax.get_xlabel()
        ('log', 'step h')
    """
    api = "jaxcalc.visual.difference_error"
    found = _of_one_number(api, f, x, _default_steps(x) if steps is None else steps)
    ax = axes_for(api, ax)
    h = np.asarray(found.steps, np.float64)
    for name, errors, style in (
        ("forward", found.forward_error, {"color": ORANGE, "linestyle": "--", "marker": "s"}),
        ("central", found.central_error, {"color": BLUE, "linestyle": "-", "marker": "o"}),
    ):
        error = np.asarray(errors, np.float64)
        shown = np.isfinite(error) & (error > 0)
        ax.plot(h[shown], error[shown], label=name, markersize=4, **style)
    ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="error of the quotient")
    ax.set_title(f"{dtype_of(jnp.asarray(x))}")
    ax.legend()
    return ax


def _of_one_number(api: str, f: Callable[[Any], Any], x: Any, steps: Any) -> DifferenceQuotients:
    found = quotients(api, f, x, steps)
    if jnp.shape(found.exact) != () or not jnp.issubdtype(dtype_of(found.exact), jnp.floating):
        output = f"{dtype_of(found.exact)}{list(jnp.shape(found.exact))}"
        raise TypeError(
            f"{api}: {function_name(f)} must return one real number, but it returned {output}; give "
            "the element to look at, such as lambda x: f(x)[0]."
        )
    return found


def _default_steps(x: Any) -> Any:
    info = jnp.finfo(dtype_of(x)) if jnp.issubdtype(dtype_of(x), jnp.floating) else jnp.finfo(float)
    lowest = np.log10(float(info.eps))
    return 10.0 ** -np.arange(0.0, -lowest + 1e-9, 1 / _PER_DECADE)


def _finite(y: Any) -> Any:
    return np.where(np.isfinite(y), y, np.nan)
