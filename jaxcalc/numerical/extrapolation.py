"""Richardson extrapolation of difference quotients to the limit, with an estimate of its error.

A central quotient is D(h) = L + a h^2 + b h^4 + ...; Neville's tableau removes one power of h^2 with
each column (Richardson 1927; Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", 1982).
Rounding goes the other way: it grows as h falls, and each column amplifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

COLUMNS = 7  # beyond h^14 the rounding that a column adds exceeds what it removes
_SMALLEST = 5  # rows whose scatter tells the noise of f
_SAFETY = 2.0
_IRREGULAR = 0.1


class Quotients(NamedTuple):
    """Difference quotients for falling steps; rows first, then one axis for f's output elements.

    Attributes:
        central: `[rows, m]`, the quotients D(h), with an expansion in h^2.
        steps: `[rows]`, h, falling.
        weights: `[rows]`, what differences of f were divided by: h, or h^2 for second derivatives.
        rounding: `[rows, m]`, how far rounding f's values to their dtype may move a quotient.
        conditioning: `[rows, m]`, the same for a rounding of x inside f.
        variation: `[rows, m]`, how far f moves from f(x) within each step.
        jumps: `[rows, m]`, forward minus backward quotient, which falls with h unless f has a kink;
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
    """The limit of the quotients for h -> 0, and an estimate of its error, both `[m]`.

    The entry of the tableau with the smallest estimate is taken. The estimate adds up

    - how far the entry is from its neighbours, which bounds the truncation error,
    - the rounding of f, by its dtype and by the scatter of the quotients for the smallest steps,
      amplified by the weights that the entry gives to each quotient,
    - how far entries for smaller steps contradict it, beyond their own estimates,
    - half the jump of the slope, where forward and backward quotients have different limits.

    Without any entry that is finite, the limit is NaN and its error infinite.
    """
    scatter = _scatter(quotients)
    noise = quotients.rounding + quotients.conditioning + scatter
    value, error = _choose(*_tableau(quotients, noise))
    if quotients.jumps is not None:
        error = error + _kink(quotients, noise) / 2
    error = jnp.where(_is_resolved(quotients, scatter), error, jnp.inf)
    return jnp.where(jnp.isfinite(error), value, jnp.nan), error


def _tableau(quotients: Quotients, noise: Any) -> tuple[Any, Any]:
    """Neville's tableau, and the error of each entry by its neighbours: `[columns, rows, m]` both.

    Where an entry does not exist, or is not finite, it is 0 and its error infinite.
    """
    column, steps = quotients.central, quotients.steps
    columns, errors = [column], []
    for j in range(1, min(COLUMNS, len(steps) - 1) + 1):
        gain = _gain(steps, j, 2)
        change = column[1:] - column[:-1]
        # the new entry differs from the older two by gain * change and (1 + gain) * change
        truncation = _SAFETY * (1 + gain) * jnp.abs(change)
        if j == 1:  # where rounding is coarse, a plain quotient may be best
            errors.append(noise + jnp.pad(truncation, ((1, 0), (0, 0)), constant_values=jnp.inf))
        column = column[1:] + gain * change
        noise = noise[1:] * (1 + gain) + noise[:-1] * gain
        columns.append(column)
        errors.append(truncation + noise)
    return _filled(columns, 0.0, errors), _filled(errors, jnp.inf, errors)


def _filled(columns: Sequence[Any], fill: float, errors: Sequence[Any]) -> Any:
    """Columns of the tableau at full length, `fill` where the entry has no finite error."""
    full = []
    for j, (column, error) in enumerate(zip(columns, errors, strict=True)):
        kept = jnp.where(jnp.isfinite(error), column, fill)
        full.append(jnp.pad(kept, ((j, 0), (0, 0)), constant_values=fill))
    return jnp.stack(full)


def _gain(steps: Any, j: int, power: int) -> Any:
    """1 / ((h_{i-j} / h_i)^p - 1) for each row i >= j, as a column."""
    ratio = steps[:-j] / steps[j:]
    return jnp.expand_dims(1 / (ratio**power - 1), 1)


def _choose(entries: Any, errors: Any) -> tuple[Any, Any]:
    """The entry of least error, of `[columns, rows, m]`.

    The error of an entry is at least what the entries for smaller steps say: how far it is outside
    the interval of each of them. Large steps that agree by accident are found out so.
    """
    above = _of_smaller_steps(jnp.max(entries - errors, axis=0), jnp.maximum, -jnp.inf)
    below = _of_smaller_steps(jnp.min(entries + errors, axis=0), jnp.minimum, jnp.inf)
    outside = jnp.maximum(above - entries, entries - below)
    m = entries.shape[2]
    errors = jnp.maximum(errors, outside).reshape(-1, m)
    # what arithmetic in the tableau itself loses
    errors = errors + 4 * jnp.finfo(errors.dtype).eps * jnp.abs(entries.reshape(-1, m))
    best = jnp.argmin(errors, axis=0, keepdims=True)
    value = jnp.take_along_axis(entries.reshape(-1, m), best, axis=0)
    return value[0], jnp.take_along_axis(errors, best, axis=0)[0]


def _of_smaller_steps(bounds: Any, reduce: Callable[[Any, Any], Any], start: float) -> Any:
    """For each row, the bounds of all rows below it (those of smaller steps) reduced to one."""
    running = lax.associative_scan(reduce, bounds, reverse=True)
    return jnp.expand_dims(jnp.pad(running[1:], ((0, 1), (0, 0)), constant_values=start), 0)


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
    change = jnp.abs(column[1:] - column[:-1])[-_SMALLEST:]
    sizes = jnp.expand_dims(quotients.weights, 1)
    # the median: an unlucky small one is passed over, and so is a large one from a coarse step
    noise = 3 * jnp.median(change * sizes[-len(change) :], axis=0, keepdims=True)
    return jnp.where(jnp.isnan(noise), jnp.inf, noise) / sizes


def _is_resolved(quotients: Quotients, scatter: Any) -> Any:
    """Whether f is smooth at the scale of the smallest steps, rather than jumping or oscillating.

    If its differences are irregular by as much as they are large, and by more than rounding
    explains, then no step was small enough to say anything about the slope.
    """
    variation = quotients.variation
    largest = jnp.max(jnp.where(jnp.isfinite(variation), variation, 0), axis=0)
    rounded = scatter[-1] <= 8 * quotients.rounding[-1]
    return rounded | (scatter[-1] * quotients.weights[-1] <= _IRREGULAR * largest)


def _kink(quotients: Quotients, noise: Any) -> Any:
    """The jump of the slope at x: forward minus backward quotient is J + a h + b h^3 + ..."""
    jumps, steps = quotients.jumps, quotients.steps
    first = jumps[1:] + _gain(steps, 1, 1) * (jumps[1:] - jumps[:-1])
    second = first[1:] + _gain(steps, 1, 3)[1:] * (first[1:] - first[:-1])
    seen = jnp.abs(second) > 8 * noise[2:]
    jump = jnp.where(seen, jnp.abs(second) + noise[2:], 0)[len(second) // 3 :]
    return jnp.min(jnp.where(jnp.isnan(second[len(second) // 3 :]), jnp.inf, jump), axis=0)
