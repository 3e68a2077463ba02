"""Richardson extrapolation of difference quotients to the limit, with an estimate of its error.

A central quotient is D(h) = L + a h^2 + b h^4 + ...; Neville's tableau removes one power of h^2 with
each column (Richardson 1927; Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", 1982).
Rounding goes the other way: it grows as h falls, and each column amplifies it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

COLUMNS = 7  # beyond h^14 the rounding that a column adds exceeds what it removes
_SAFETY = 2.0
_IRREGULAR = 0.1
_STEADY = 0.7


class Quotients(NamedTuple):
    """Difference quotients of one output element in one input element, for falling steps: `[rows]`.

    Attributes:
        central: the quotients D(h), with an expansion in h^2.
        steps: h, falling.
        weights: what differences of f were divided by: h, or h^2 for second derivatives.
        rounding: how far rounding f's values to their dtype may move a quotient.
        conditioning: the same for a rounding of x inside f.
        variation: how far f moves from f(x) within each step.
        jumps: forward minus backward quotient, which falls with h unless f has a kink;
            None for second derivatives.
    """

    central: Any
    steps: Any
    weights: Any
    rounding: Any
    conditioning: Any
    variation: Any
    jumps: Any


def extrapolate(quotients: Quotients) -> tuple[Any, Any]:
    """The limit of the quotients for h -> 0, and an estimate of its error.

    The entry of the tableau with the smallest estimate is taken. The estimate adds up

    - how far the entry is from its neighbors, which bounds the truncation error,
    - the rounding of f, by its dtype and by the scatter of the quotients for the smallest steps,
      amplified by the weights that the entry gives to each quotient,
    - how far entries for smaller steps contradict it, beyond their own estimates,
    - half the jump of the slope, where forward and backward quotients have different limits.

    The limit is NaN and its error infinite if no entry is finite, if the quotients diverge, or if f
    is not smooth at the scale of the smallest steps.
    """
    value, error, jump = extrapolate_with_jump(quotients)
    error = error + jump / 2
    return jnp.where(jnp.isfinite(error), value, jnp.nan), error


def extrapolate_with_jump(quotients: Quotients) -> tuple[Any, Any, Any]:
    """The limit, its error where f is smooth at x, and the jump of the slope at x, zero without one.

    Where there is a jump, the limit is halfway between the slopes on both sides.
    """
    scatter = _scatter(quotients)
    noise = quotients.rounding + quotients.conditioning + scatter
    value, error = _choose(*_tableau(quotients, noise))
    jump = jnp.zeros_like(error) if quotients.jumps is None else _kink(quotients, noise)
    useful = _is_resolved(quotients, scatter) & ~_diverges(quotients, value)
    error = jnp.where(useful, error, jnp.inf)
    return jnp.where(jnp.isfinite(error), value, jnp.nan), error, jump


def leaps(quotients: Quotients) -> Any:
    """Whether f itself jumps at x: the smallest steps move it as far as larger ones do."""
    variation = quotients.variation
    earlier = variation[-min(4, len(variation) - 1)]
    rounded = 16 * quotients.rounding[-1] * quotients.weights[-1]
    return (variation[-1] > rounded) & (variation[-1] > _STEADY * earlier)


def _tableau(quotients: Quotients, noise: Any) -> tuple[Any, Any]:
    """Neville's tableau, and the error of each entry by its neighbors: `[columns, rows]`.

    Where an entry does not exist, or is not finite, it is 0 and its error infinite.
    """
    steps, rows = quotients.steps, len(quotients.steps)
    order = np.arange(1, min(COLUMNS, rows - 1) + 1)
    exists = np.arange(rows) >= order[:, None]
    coarser = steps[np.maximum(np.arange(rows) - order[:, None], 0)]
    ratio = coarser / jnp.expand_dims(steps, 0)
    gains = jnp.where(exists, 1 / (ratio**2 - 1), jnp.nan)

    def next_column(state: tuple[Any, Any], gain: Any) -> tuple[tuple[Any, Any], tuple[Any, Any, Any]]:
        column, noise = state
        change = column - jnp.roll(column, 1)
        # the new entry differs from the older two by gain * change and (1 + gain) * change
        truncation = _SAFETY * (1 + gain) * jnp.abs(change)
        column = column + gain * change
        noise = noise * (1 + gain) + jnp.roll(noise, 1) * gain
        return (column, noise), (column, truncation, noise)

    # a scan, for the compiler's sake: unrolled, it is most of what there is to compile
    _, (columns, truncations, noises) = lax.scan(next_column, (quotients.central, noise), gains)
    # where rounding is coarse, a plain quotient may be best; it is as far from the next column
    entries = jnp.concatenate([jnp.expand_dims(quotients.central, 0), columns])
    errors = jnp.concatenate([jnp.expand_dims(truncations[0] + noise, 0), truncations + noises])
    finite = jnp.isfinite(entries) & jnp.isfinite(errors)
    return jnp.where(finite, entries, 0), jnp.where(finite, errors, jnp.inf)


def _gain(steps: Any, j: int, power: int) -> Any:
    """1 / ((h_{i-j} / h_i)^p - 1) for each row i >= j."""
    ratio = steps[:-j] / steps[j:]
    return 1 / (ratio**power - 1)


def _choose(entries: Any, errors: Any) -> tuple[Any, Any]:
    """The entry of least error, of `[columns, rows]`.

    The error of an entry is at least what the entries for smaller steps say: how far it is outside
    the interval of each of them. Large steps that agree by accident are found out so.
    """
    rows = np.arange(entries.shape[1])
    finer = rows[None, :] > rows[:, None]  # the steps of row j are smaller than those of row i
    low, high = jnp.max(entries - errors, axis=0), jnp.min(entries + errors, axis=0)
    above = jnp.max(jnp.where(finer, jnp.expand_dims(low, 0), -jnp.inf), axis=1)
    below = jnp.min(jnp.where(finer, jnp.expand_dims(high, 0), jnp.inf), axis=1)
    above, below = jnp.expand_dims(above, 0), jnp.expand_dims(below, 0)
    errors = jnp.maximum(errors, jnp.maximum(above - entries, entries - below))
    # what arithmetic in the tableau itself loses
    errors = errors + 4 * jnp.finfo(errors.dtype).eps * jnp.abs(entries)
    best = jnp.argmin(errors.reshape(-1))
    return entries.reshape(-1)[best], errors.reshape(-1)[best]


def _scatter(quotients: Quotients) -> Any:
    """What f's own noise does to each quotient, read from the rows where it is largest.

    Two columns of extrapolation remove what is smooth, so that the rest of the change is noise; it
    is that of the differences of f, whatever they are divided by.
    """
    column, steps = quotients.central, quotients.steps
    for j in (1, 2):
        if len(steps) - j > 2:
            gain = _gain(steps, j, 2)
            column = column[1:] + gain * (column[1:] - column[:-1])
    change = jnp.abs(column[1:] - column[:-1])[-max(5, 3 * len(steps) // 10) :]
    noise = jnp.sort(change * quotients.weights[-len(change) :])
    # not the largest, which may be what is left of a coarse step, and far from the smallest: a step
    # within which f, rounded, does not move at all shows no noise
    chosen = noise[-min(3, (len(noise) + 1) // 2)]
    return jnp.where(jnp.isnan(noise[-1]), jnp.inf, 3 * chosen) / quotients.weights


def _diverges(quotients: Quotients, value: Any) -> Any:
    """Whether the quotients go away from `value` as the steps fall, steadily and beyond rounding.

    So they do where the slope is infinite. Noise grows as well, but changes its sign.
    """
    count = min(6, len(quotients.steps) // 2)
    away = quotients.central[-count:] - value
    grows = jnp.abs(away[1:]) > jnp.abs(away[:-1])
    steadily = grows & (jnp.sign(away[1:]) == jnp.sign(away[:-1]))
    allowed = 4 * (quotients.rounding[-1] + quotients.conditioning[-1])
    return jnp.all(steadily) & (jnp.abs(away[-1]) > allowed)


def _is_resolved(quotients: Quotients, scatter: Any) -> Any:
    """Whether f is smooth at the scale of the smallest steps, rather than jumping or oscillating.

    If its differences are irregular by as much as they are large, and by more than rounding
    explains, then no step was small enough to say anything about the slope.
    """
    variation = quotients.variation
    largest = jnp.max(jnp.where(jnp.isfinite(variation), variation, 0))
    rounded = scatter[-1] <= 8 * quotients.rounding[-1]
    return rounded | (scatter[-1] * quotients.weights[-1] <= _IRREGULAR * largest)


def _kink(quotients: Quotients, noise: Any) -> Any:
    """The jump of the slope at x: forward minus backward quotient is J + a h + b h^3 + ..."""
    jumps, steps = quotients.jumps, quotients.steps
    first = jumps[1:] + _gain(steps, 1, 1) * (jumps[1:] - jumps[:-1])
    second = first[1:] + _gain(steps, 1, 3)[1:] * (first[1:] - first[:-1])
    jump = jnp.where(jnp.abs(second) > 8 * noise[2:], jnp.abs(second) + noise[2:], 0)
    jump = jnp.where(jnp.isnan(second), jnp.inf, jump)
    return jnp.min(jump[len(jump) // 3 :])
