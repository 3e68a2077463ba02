"""Central difference quotients of first and second order, and the rounding errors in them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.numerical.extrapolation import Quotients
from jaxcalc.numerical.sampling import Group, Sampler, Samples
from jaxcalc.numerical.steps import Ladder, falling_steps, ladder_for, octaves


def first_order(samples: Samples, largest: float | None) -> tuple[Any, Any]:
    """The derivative of each output by each input element, and its error: both `[n, m]`.

    Elements are in the order of `samples.groups`.
    """
    nothing = jnp.zeros((0, len(samples.center)), samples.dtype)
    values, errors = [nothing], [nothing]
    for group in samples.groups:
        ladder = ladder_for(group.dtype, 1)
        one = partial(_central, samples, group, ladder, largest)
        v, e = samples.each(one, [_numbers(group)], 2 * ladder.rows)
        values.append(v)
        errors.append(e)
    return jnp.concatenate(values), jnp.concatenate(errors)


def second_order(samples: Samples, largest: float | None) -> tuple[Any, Any]:
    """The second derivative by each pair of input elements, and its error: both `[n, n, m]`."""
    n = sum(group.count for group in samples.groups)
    value, error = (jnp.zeros((n, n, len(samples.center)), samples.dtype) for _ in range(2))
    for group in samples.groups:
        ladder = ladder_for(group.dtype, 2)
        one = partial(_curvature, samples, group, ladder, largest)
        v, e = samples.each(one, [_numbers(group)], 2 * ladder.rows)
        places = _numbers(group) + group.first
        value, error = value.at[places, places].set(v), error.at[places, places].set(e)
    for a, b in combinations_with_replacement(samples.groups, 2):
        i, j = (index.ravel() for index in np.meshgrid(_numbers(a), _numbers(b), indexing="ij"))
        if a is b:  # each pair once, and the diagonal is done
            i, j = i[i < j], j[i < j]
        if not i.size:
            continue
        # the coarser ladder of the two
        ladder = min((ladder_for(group.dtype, 2) for group in (a, b)), key=lambda known: known.rows)
        one = partial(_mixed, samples, (a, b), ladder, largest)
        v, e = samples.each(one, [i, j], 4 * ladder.rows)
        rows, columns = i + a.first, j + b.first
        value = value.at[rows, columns].set(v).at[columns, rows].set(v)
        error = error.at[rows, columns].set(e).at[columns, rows].set(e)
    return value, error


def _numbers(group: Group) -> np.ndarray:
    return np.arange(group.count, dtype=np.int32)


def _column(a: Any) -> Any:
    return jnp.expand_dims(a, 1)


def _two_sided(
    samples: Samples,
    group: Group,
    ladder: Ladder,
    largest: float | None,
    sample: Sampler,
    places: Sequence[Any],
) -> tuple[Any, Any, Any, Any]:
    """The element's size and the steps, `[rows]`, and f on both sides, `[rows, m]` each."""
    (place,) = places
    x = group.elements[place]
    steps = falling_steps(x, ladder, octaves(x, ladder), largest)
    values = sample(
        lambda step: group.displaced(samples.leaves, place, step), jnp.concatenate([steps, -steps])
    )
    ahead, behind = jnp.split(values, 2)
    return jnp.abs(x).astype(samples.dtype), steps.astype(samples.dtype), ahead, behind


def _rounding(samples: Samples, groups: tuple[Group, ...], *values: Any) -> tuple[Any, Any, Any]:
    """How far each f may be from its exact value, the variation of f, and the resolution, as a row.

    Two units in the last place, or what underflows; f(x) must be finite.
    """
    center = jnp.expand_dims(samples.center, 0)
    epsilon = jnp.expand_dims(samples.resolution(*groups), 0)
    size, variation = jnp.abs(center), jnp.zeros_like(center)
    for value in values:
        size = jnp.maximum(size, jnp.abs(value))
        variation = jnp.maximum(variation, jnp.abs(value - center))
    floor = jnp.expand_dims(samples.smallest(), 0)
    rounding = jnp.where(jnp.isfinite(center), 2 * epsilon * size + floor, jnp.nan)
    return rounding, variation, epsilon


def _central(
    samples: Samples,
    group: Group,
    ladder: Ladder,
    largest: float | None,
    sample: Sampler,
    places: Sequence[Any],
) -> Quotients:
    """(f(x + h) - f(x - h)) / 2h."""
    size, steps, ahead, behind = _two_sided(samples, group, ladder, largest, sample, places)
    rounding, variation, epsilon = _rounding(samples, (group,), ahead, behind)
    h = _column(steps)
    central = (ahead - behind) / (2 * h)
    center = jnp.expand_dims(samples.center, 0)
    return Quotients(
        central=central,
        steps=steps,
        weights=steps,
        rounding=rounding / h,
        conditioning=epsilon * jnp.abs(central) * (size + h) / h,
        variation=variation,
        jumps=((ahead - center) - (center - behind)) / h,
    )


def _curvature(
    samples: Samples,
    group: Group,
    ladder: Ladder,
    largest: float | None,
    sample: Sampler,
    places: Sequence[Any],
) -> Quotients:
    """(f(x + h) - 2 f(x) + f(x - h)) / h^2."""
    size, steps, ahead, behind = _two_sided(samples, group, ladder, largest, sample, places)
    rounding, variation, epsilon = _rounding(samples, (group,), ahead, behind)
    h, center = _column(steps), jnp.expand_dims(samples.center, 0)
    slope = jnp.abs(ahead - behind) / (2 * h)
    return Quotients(
        central=((ahead - center) - (center - behind)) / h / h,
        steps=steps,
        weights=steps * steps,
        rounding=2 * rounding / h / h,
        conditioning=2 * epsilon * slope * (size + h) / h / h,
        variation=variation,
        jumps=None,
    )


def _mixed(
    samples: Samples,
    groups: tuple[Group, Group],
    ladder: Ladder,
    largest: float | None,
    sample: Sampler,
    places: Sequence[Any],
) -> Quotients:
    """(f(x + h, y + k) - f(x + h, y - k) - f(x - h, y + k) + f(x - h, y - k)) / 4hk."""
    x, y = (group.elements[place] for group, place in zip(groups, places, strict=True))
    fall = jnp.maximum(*(octaves(z, ladder).astype(samples.dtype) for z in (x, y)))
    h, k = (falling_steps(z, ladder, fall.astype(z.dtype), largest) for z in (x, y))

    def move(steps: tuple[Any, Any]) -> list[Any]:
        leaves: list[Any] = samples.leaves
        for group, place, step in zip(groups, places, steps, strict=True):
            leaves = group.displaced(leaves, place, step)
        return leaves

    values = sample(move, (jnp.concatenate([h, h, -h, -h]), jnp.concatenate([k, -k, k, -k])))
    pp, pm, mp, mm = jnp.split(values, 4)
    rounding, variation, epsilon = _rounding(samples, groups, pp, pm, mp, mm)
    h, k = h.astype(samples.dtype), k.astype(samples.dtype)
    h1, k1 = _column(h), _column(k)
    slopes = (jnp.abs(pp + pm - mp - mm) / (4 * h1), jnp.abs(pp + mp - pm - mm) / (4 * k1))
    moved = [
        slope * (jnp.abs(z).astype(samples.dtype) + step)
        for slope, z, step in zip(slopes, (x, y), (h1, k1), strict=True)
    ]
    return Quotients(
        central=((pp - pm) - (mp - mm)) / (4 * h1) / k1,
        steps=h,
        weights=h * k,
        rounding=rounding / h1 / k1,
        conditioning=epsilon * (moved[0] + moved[1]) / h1 / k1,
        variation=variation,
        jumps=None,
    )
