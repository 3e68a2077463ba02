"""The error of difference quotients against the step: truncation on one side, rounding on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.front_door import options
from jaxcalc.display.axes import axes_for
from jaxcalc.visual.functions import label_of, names_of, require_slopes
from jaxcalc.visual.secant_lines import of_one_number
from jaxcalc.visual.style import BLUE, GRAY, INK, ORANGE, halo

_PER_DECADE = 4  # default steps
_FITTED = 3  # points that a guide needs at least
_ASTRAY = 0.3  # a guide is drawn where the slope of the points is as near to its own


@options
def difference_error(
    f: Callable[[Any], Any], x: Any, *, steps: Sequence[float] | Any | None = None, ax: Any = None
) -> Any:
    """Draw the error of forward and central difference quotients against the step, log-log.

    To the right the error is truncation, of the Taylor series, and falls with h: with slope 1 for the
    forward quotient and 2 for the central one. To the left it is rounding, and grows as 1/h. Dotted
    lines have these slopes, and a ring is the best step of each quotient.

    Args:
        f: a function of one real number that returns one, differentiable by JAX.
        x: a real number; its dtype is that of the arithmetic.
        steps: the steps h, positive and falling; the default is four to a decade, from 1 down to the
            spacing of floats near 1.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. An error of exactly 0 has no place on a logarithmic axis and is left out.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: x is not a real scalar, f does not return one real number, or `ax` are no axes.
        ValueError: the steps are not positive, not falling, or not representable in the dtype of x, or
            f(x) or its derivative is not finite.

    Cost: 2 k + 2 evaluations of f for k steps, vectorized where f can be traced, and the exact
    derivative, about 2 more. Source: `jaxcalc.numerical.difference_quotients`.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> ax = jaxcalc.visual.difference_error(jnp.sin, 1.0)
        >>> print(ax.get_title())
        sin at x = 1 (float32)
    """
    api = "jaxcalc.visual.difference_error"
    found = of_one_number(api, f, x, _default_steps(x) if steps is None else steps)
    require_slopes(api, f, f"{float(x):.4g}", f(x), found.exact)
    ax = axes_for(api, ax)
    ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="error of the difference quotient")
    h = np.asarray(found.steps, np.float64)
    for name, errors, power, style in (
        ("forward", found.forward_error, 1, {"color": ORANGE, "linestyle": "--", "marker": "s"}),
        ("central", found.central_error, 2, {"color": BLUE, "linestyle": "-", "marker": "o"}),
    ):
        error = np.asarray(errors, np.float64)
        shown = np.isfinite(error) & (error > 0)
        if shown.any():
            _draw_errors(ax, name, h[shown], error[shown], power, style)
    variable = names_of(f, ("x",))[0]
    ax.set_title(f"{label_of(f)} at {variable} = {float(x):.4g} ({dtype_of(found.exact)})")
    if ax.lines:
        ax.margins(x=0.1)  # for the text beside the right arm
        ax.legend(loc="upper center", fontsize="small")
    else:
        ax.text(0.5, 0.5, "every error is 0", transform=ax.transAxes, ha="center")
    return ax


def _draw_errors(ax: Any, name: str, h: Any, error: Any, power: int, style: dict[str, Any]) -> None:
    """One line with its best step, and the slopes on both sides of that."""
    best = int(np.argmin(error))
    label = f"{name}, best at h = {h[best]:.1e}"
    ax.plot(h, error, label=label, markersize=3.5, linewidth=1.2, **style)
    ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "color": INK}
    ax.plot(h[best], error[best], linestyle="none", **ring)
    _guide(ax, h[:best], error[:best], power, "truncation\n∝ h" if power == 1 else "truncation\n∝ h²")
    if name == "central":  # rounding is the same for both
        _guide(ax, h[best + 1 :], error[best + 1 :], -1, "rounding\n∝ 1/h")


def _guide(ax: Any, h: Any, error: Any, power: int, text: str) -> None:
    """The line of this slope through the points, where they follow it."""
    if len(h) < _FITTED:
        return
    slope = np.polyfit(np.log10(h), np.log10(error), 1)[0]
    if abs(slope - power) > _ASTRAY:
        return
    middle = np.median(np.log10(error) - power * np.log10(h))
    ends = h[[0, -1]]
    ax.plot(ends, 10**middle * ends**power, color=GRAY, linestyle=":", linewidth=1.6, zorder=1)
    outer = ends.max() if power > 0 else ends.min()
    # there is room inside of the V that the lines make, and below its right arm
    share, inwards = (0.25, False) if power == 2 else (0.65, True)
    at = outer**share * (ends.prod() / outer) ** (1 - share)
    to_the_left = inwards == (power > 0)
    ax.annotate(
        text,
        (at, 10**middle * at**power),
        xytext=(-10 if to_the_left else 10, 0),
        textcoords="offset points",
        ha="right" if to_the_left else "left",
        va="center",
        fontsize="small",
        path_effects=halo(),
    )


def _default_steps(x: Any) -> Any:
    dtype = dtype_of(x) if jnp.issubdtype(dtype_of(x), jnp.floating) else jnp.result_type(float)
    lowest = np.log10(float(jnp.finfo(dtype).eps))
    return 10.0 ** -np.arange(0.0, 1e-9 - lowest, 1 / _PER_DECADE)
