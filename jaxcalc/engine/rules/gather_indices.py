"""Where gather and scatter read and write: flat positions, and the axes that the places leave alone."""

from __future__ import annotations

from math import prod

import jax
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import indexing

Shape = tuple[int, ...]


def gather_sources(eqn: JaxprEqn, shape: Shape, places: np.ndarray) -> np.ndarray:
    """For each element of a gather's result, the flat element of the operand; -1 out of bounds.

    The gather itself says so, applied to the positions.
    """
    options = indexing.gather_options(eqn)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        positions = np.arange(prod(shape)).reshape(shape)
        return np.asarray(lax.gather(positions, places, fill_value=-1, **options))


def scatter_targets(eqn: JaxprEqn, shape: Shape, places: np.ndarray, updates: Shape) -> np.ndarray:
    """For each element of a scatter's updates, the flat element of the result; -1 out of bounds.

    The transpose of the scatter, applied to the positions, says so. Positions are exact in float64.
    """
    options = indexing.scatter_options(eqn)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        base = np.zeros(shape)

        def add(values: jax.Array) -> jax.Array:
            return lax.scatter_add(base, places, values, **options)

        _, pull = jax.vjp(add, np.zeros(updates))
        (targets,) = pull(np.arange(1.0, prod(shape) + 1).reshape(shape))
        return np.asarray(targets).astype(np.int64) - 1


def gather_axes(eqn: JaxprEqn, shape: Shape, places_rank: int) -> dict[int, int]:
    """The axes of the operand that the places do not move along, and their axes in the result."""
    numbers, sizes = indexing.places(eqn), indexing.window_sizes(eqn)
    window = _window_axes(shape, numbers)
    kept = {
        a: place
        for a, place in zip(window, numbers.window, strict=True)
        if sizes[a] == shape[a]  # a slice as long as the axis can start nowhere but at zero
    }
    rank = len(numbers.window) + places_rank - 1
    rest = [axis for axis in range(rank) if axis not in numbers.window]
    pairs = zip(numbers.operand_batch, numbers.places_batch, strict=True)
    return kept | {a: rest[place] for a, place in pairs}


def scatter_axes(eqn: JaxprEqn, shape: Shape, updates: Shape) -> dict[int, int]:
    """The axes of the updates that the places do not move along, and their axes in the result."""
    numbers = indexing.places(eqn)
    window = _window_axes(shape, numbers)
    kept = {
        place: a
        for place, a in zip(numbers.window, window, strict=True)
        if updates[place] == shape[a]  # as long as the axis: it can start nowhere but at zero
    }
    rest = [axis for axis in range(len(updates)) if axis not in numbers.window]
    pairs = zip(numbers.operand_batch, numbers.places_batch, strict=True)
    return kept | {rest[place]: a for a, place in pairs}


def _window_axes(shape: Shape, numbers: indexing.Places) -> list[int]:
    dropped = (*numbers.dropped, *numbers.operand_batch)
    return [a for a in range(len(shape)) if a not in dropped]
