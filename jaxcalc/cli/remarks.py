"""What a derivative on the command line is worth at its point: kinks, poles and NaN, for stderr."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc.cli.target import Target


def remarks(target: Target, result: Any) -> list[str]:
    """A line for each kink, and for what makes the value or the derivative infinite or NaN."""
    argnums = target.chosen[0] if len(target.chosen) == 1 else target.chosen
    try:
        found = jaxcalc.diagnose(target.call, *target.values, argnums=argnums).findings
    except (TypeError, ValueError):  # a function that cannot be looked into has its derivative alone
        found = ()
    errors = [finding.cause for finding in found if finding.severity == "error"]
    kinks = [finding.cause for finding in found if finding.kind == "kink"]
    lines = [f"{_place(target)}: {cause}" for cause in errors]
    if kinks:
        slopes = _one_sided_slopes(target)
        whole = slopes is not None and f"{_place(target)} is a kink: slopes {slopes[0]} and {slopes[1]}"
        lines += [whole] if whole else [f"{_place(target)}: {cause}" for cause in kinks]
    if not errors and not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result)):
        lines.append(f"{_place(target)}: the result is not finite")
    return lines


def _place(target: Target) -> str:
    """`x = 0`, or `this point` where there is more than one number."""
    if any(np.ndim(value) or not hasattr(value, "dtype") for value in target.values):
        return "this point"
    pairs = zip(target.names, target.values, strict=True)
    return ", ".join(f"{name} = {float(value):g}" for name, value in pairs)


def _one_sided_slopes(target: Target) -> tuple[str, str] | None:
    """The derivatives of the whole function just below and just above a number.

    None where there are several numbers, or where the two are the same.
    """
    if len(target.values) != 1 or _place(target) == "this point":
        return None
    (x,) = target.values
    near = float(jnp.finfo(x.dtype).eps) ** 0.5 * max(1.0, abs(float(x)))
    slopes = [jaxcalc.derivative(target.call)(x + side * near) for side in (-1, 1)]
    if any(not hasattr(slope, "ndim") or slope.ndim for slope in slopes):
        return None
    below, above = (f"{float(slope):.4g}" for slope in slopes)
    return None if below == above else (below, above)
