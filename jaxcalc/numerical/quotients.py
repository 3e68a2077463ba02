"""First and second derivatives with respect to all input elements: where to sample f, in what order."""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.numerical.columns import Row, central, curvature, mixed
from jaxcalc.numerical.sampling import Group, Samples
from jaxcalc.numerical.steps import Ladder, Order, falling_steps, falls, ladder_for


def first_order(samples: Samples, largest: float | None) -> tuple[Any, Any]:
    """The derivative of each output with respect to each input element, and its error: both `[n, m]`.

    Elements are in the order of `samples.groups`.
    """
    limits = [_two_sided(samples, group, 1, largest) for group in samples.groups]
    return _joined(samples, limits)


def second_order(samples: Samples, largest: float | None) -> tuple[Any, Any]:
    """The second derivative for each pair of input elements, and its error: both `[n, n, m]`."""
    n = sum(group.count for group in samples.groups)
    limits = [_two_sided(samples, group, 2, largest) for group in samples.groups]
    place = np.zeros((n, n), np.int32)  # where a pair is found in the joined limits
    np.fill_diagonal(place, np.arange(n))
    done = n
    for a, b in combinations_with_replacement(samples.groups, 2):
        i, j = (index.ravel() for index in np.meshgrid(_numbers(a), _numbers(b), indexing="ij"))
        if a is b:  # each pair once
            i, j = i[i < j], j[i < j]
        limits.append(_crossed(samples, (a, b), (i, j), largest))
        place[i + a.first, j + b.first] = place[j + b.first, i + a.first] = np.arange(i.size) + done
        done += i.size
    value, error = _joined(samples, limits)
    return value[place], error[place]


def _joined(samples: Samples, limits: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    nothing = jnp.zeros((0, samples.center.size), samples.dtype)
    values, errors = zip((nothing, nothing), *limits, strict=True)
    return jnp.concatenate(values), jnp.concatenate(errors)


def _numbers(group: Group) -> np.ndarray:
    return np.arange(group.count, dtype=np.int32)


def _two_sided(samples: Samples, group: Group, order: Order, largest: float | None) -> tuple[Any, Any]:
    """Derivatives with respect to each element alone, from points on both sides of x."""
    x, ladder = group.elements, ladder_for(group.dtype, order)
    steps = _steps(x, _falls(x, ladder), largest)
    wide = (steps.astype(samples.dtype),), (jnp.abs(x).astype(samples.dtype),)
    row = Row(jnp.concatenate([steps, -steps], axis=1), *wide)

    def move(places: tuple[Any, ...], step: Any) -> list[Any]:
        return group.displaced(samples.leaves, places[0], step)

    kernel = central if order == 1 else curvature
    return samples.limits(kernel, move, (_numbers(group),), row, samples.columns(group))


def _crossed(
    samples: Samples,
    groups: tuple[Group, Group],
    places: tuple[np.ndarray, np.ndarray],
    largest: float | None,
) -> tuple[Any, Any]:
    """Mixed derivatives for pairs of elements, from the four corners around x."""
    # the coarser ladder of the two; both elements fall by the same octaves, to keep h / k constant
    ladder = min((ladder_for(group.dtype, 2) for group in groups), key=lambda known: known.rows)
    x, y = (group.elements[place] for group, place in zip(groups, places, strict=True))
    fall = jnp.maximum(*(_falls(z, ladder).astype(samples.dtype) for z in (x, y)))
    h, k = (_steps(z, fall.astype(z.dtype), largest) for z in (x, y))
    row = Row(
        (jnp.concatenate([h, h, -h, -h], axis=1), jnp.concatenate([k, -k, k, -k], axis=1)),
        tuple(step.astype(samples.dtype) for step in (h, k)),
        tuple(jnp.abs(z).astype(samples.dtype) for z in (x, y)),
    )

    def move(places: tuple[Any, ...], steps: tuple[Any, Any]) -> list[Any]:
        leaves: list[Any] = samples.leaves
        for group, place, step in zip(groups, places, steps, strict=True):
            leaves = group.displaced(leaves, place, step)
        return leaves

    return samples.limits(mixed, move, places, row, samples.columns(*groups))


@partial(jax.jit, static_argnums=1)
def _falls(x: Any, ladder: Ladder) -> Any:
    return jax.vmap(lambda x: falls(x, ladder))(x)


@partial(jax.jit, static_argnums=2)
def _steps(x: Any, fall: Any, largest: float | None) -> Any:
    return jax.vmap(lambda x, fall: falling_steps(x, fall, largest))(x, fall)
