"""Slopes of f along lines through x, in any directions: what a product J v is checked against."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.numerical.columns import Column, Row, Slope, limits_of_samples, slope
from jaxcalc.numerical.sampling import Samples
from jaxcalc.numerical.steps import Ladder, falling_steps, falls, ladder_for


class Lines(NamedTuple):
    """f along d lines through x.

    Attributes:
        values: at each point of each line, `[d, points, m]`.
        row: the steps and sizes, `[d, ...]` each.
        column: what is known of each output.
    """

    values: Any
    row: Row
    column: Column


def slopes(
    samples: Samples,
    directions: Sequence[Any],
    sizes: Any,
    dtype: Any,
    largest: float | None = None,
    bits: int | None = None,
) -> Lines | Slope:
    """The slope of each of m outputs along each of d lines x + s v, with its error: `[d, m]` each.

    Where the values of f on all the lines fit into 64 MiB, these are returned, for `slopes_of`: a
    program of f need not hold what makes slopes of them, which is the same for all functions.

    Args:
        samples: f, and x.
        directions: for each leaf of x the directions `[d, *leaf shape]`, whose elements are at most
            about 1 in size, or max(1, |x|) / max(1, size).
        sizes: `[d]`, how large the elements that move are; steps are those of a scalar of that size.
        dtype: the coarsest dtype of the leaves that move.
        largest: the largest step to try; the default is 0.37 max(1, size).
        bits: of mantissa that f carries on the way, where they are fewer than those of the dtypes.

    Cost: 2 evaluations of f for each step of the ladder and each direction, 40 in float64, 30 in
    float32, 14 in float16, 10 in bfloat16; as many at a time as fit into 64 MiB.
    """
    count = int(np.shape(sizes)[0])
    if not count or not samples.center.size:
        empty = jnp.zeros((count, samples.center.size), samples.dtype)
        return Slope(empty, empty, empty, jnp.zeros(empty.shape, bool))
    ladder = ladder_for(dtype, 1, bits)
    steps = _steps(jnp.asarray(sizes, samples.dtype), ladder, largest)
    offsets = jnp.concatenate([steps, -steps], axis=1)
    row = Row(offsets, (steps,), (jnp.asarray(sizes, samples.dtype),))
    moving = [jnp.asarray(d) for d in directions]

    def move(places: tuple[Any, ...], offset: Any) -> list[Any]:
        return [
            _moved(leaf, direction[places[0]], offset)
            for leaf, direction in zip(samples.leaves, moving, strict=True)
        ]

    groups = [group for group in samples.groups if group.dtype == dtype]
    column = samples.columns(*groups, bits=bits)
    places = (np.arange(count, dtype=np.int32),)
    if samples.fit(*offsets.shape):
        return Lines(samples.sampled(move, places, offsets), row._replace(offsets=None), column)
    found: Slope = samples.limits(slope, move, places, row, column)
    return found


def slopes_of(lines: Lines) -> Slope:
    """What the values of f along lines say."""
    found: Slope = limits_of_samples(slope, *lines)
    return found


def _moved(leaf: Any, direction: Any, offset: Any) -> Any:
    """The point on the line, rounded once to the leaf's dtype."""
    by = jnp.expand_dims(offset, tuple(range(leaf.ndim))) if leaf.ndim else offset
    return (leaf.astype(by.dtype) + by * direction.astype(by.dtype)).astype(leaf.dtype)


@partial(jax.jit, static_argnums=(1, 2))
def _steps(sizes: Any, ladder: Ladder, largest: float | None) -> Any:
    def falling(size: Any) -> Any:
        return falling_steps(size, falls(size, ladder), largest)

    return jax.vmap(falling)(sizes)
