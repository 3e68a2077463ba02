"""Moving the elements of arrays `[lanes, *S or 1s]`: the same move for coefficients and for indices.

An axis of size 1 stands for a value that does not vary along it, and stays of size 1 where the move
allows. Indices are numpy and stay numpy; coefficients may be either.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from jax import lax

from jaxcalc.engine.tangents.lanes import Shape, spread

Bounds = Sequence[tuple[int, int, int]]  # start, limit and stride along each axis
Padding = Sequence[tuple[int, int, int]]  # low, high and interior along each axis


def transpose(array: Any, permutation: Sequence[int]) -> Any:
    """Permute the axes of the value."""
    order = (0, *(1 + a for a in permutation))
    return array.transpose(order) if isinstance(array, np.ndarray) else lax.transpose(array, order)


def insert_axes(array: Any, rank: int, places: Sequence[int]) -> Any:
    """Broadcast to `rank` axes: axis a becomes axis `places[a]`, the others are uniform."""
    inner = [1] * rank
    for axis, place in enumerate(places):
        inner[place] = array.shape[1 + axis]
    return array.reshape((array.shape[0], *inner))


def slice_axes(array: Any, bounds: Bounds) -> Any:
    """Slice every axis that varies; strides are positive."""
    full = [(0, n, 1) for n in array.shape]
    for axis, bound in enumerate(bounds):
        if array.shape[1 + axis] > 1:
            full[1 + axis] = bound
    if isinstance(array, np.ndarray):
        return array[tuple(slice(*bound) for bound in full)]
    if all(bound == (0, n, 1) for bound, n in zip(full, array.shape, strict=True)):
        return array
    starts, limits, strides = zip(*full, strict=True)
    return lax.slice(array, starts, limits, strides)


def reverse(array: Any, axes: Sequence[int]) -> Any:
    """Turn the named axes around."""
    turned = [1 + a for a in axes if array.shape[1 + a] > 1]
    if not turned:
        return array
    return np.flip(array, tuple(turned)) if isinstance(array, np.ndarray) else lax.rev(array, turned)


def pad_index(index: np.ndarray, padding: Padding, shape: Shape) -> np.ndarray:
    """Pad an index of a value of `shape` with -1."""
    moved = [a for a, amounts in enumerate(padding) if any(amounts)]
    index = spread(index, moved, shape)
    for axis in moved:
        low, high, interior = padding[axis]
        size, step = index.shape[1 + axis], interior + 1
        target = low + high + (size + (size - 1) * interior if size else 0)
        padded = np.full((*index.shape[: 1 + axis], target, *index.shape[2 + axis :]), -1, index.dtype)
        first = max(0, -(low // step)) if low < 0 else 0
        last = min(size, (target - 1 - low) // step + 1) if target > 0 else 0
        if first < last:
            lead = (slice(None),) * (1 + axis)
            start = low + first * step
            places = slice(start, start + (last - first - 1) * step + 1, step)
            padded[(*lead, places)] = index[(*lead, slice(first, last))]
        index = padded
    return index


def pad_data(data: Any, padding: Padding) -> Any:
    """Pad coefficients with zeros along the axes where they vary."""
    amounts = [(0, 0, 0)] + [p if data.shape[1 + a] > 1 else (0, 0, 0) for a, p in enumerate(padding)]
    if not any(any(p) for p in amounts):
        return data
    return lax.pad(data, np.zeros((), data.dtype), amounts)


def reshape(array: Any, shape: Shape, new_shape: Shape) -> Any:
    """Reshape the value from `shape` to `new_shape`, keeping axes uniform where that is possible."""
    target: list[int] = []
    for old, new in axis_blocks(shape, new_shape):
        wide = [a for a in old if shape[a] > 1]
        if all(array.shape[1 + a] == 1 for a in wide):
            target += [1] * len(new)
        else:
            array = spread(array, wide, shape)
            target += [new_shape[a] for a in new]
    return array.reshape((array.shape[0], *target))


def axis_blocks(shape: Shape, new_shape: Shape) -> list[tuple[range, range]]:
    """The smallest blocks of axes that a reshape maps onto each other.

    Example: from (2, 3, 4) to (6, 2, 2) there are two, axes 0 and 1 to 0, and axis 2 to 1 and 2.
    """
    old, new = _cumulative(shape), _cumulative(new_shape)
    common = sorted(set(old) & set(new))
    blocks = []
    for low, high in pairwise(common):
        blocks.append((range(old.index(low), old.index(high)), range(new.index(low), new.index(high))))
    # axes of size one belong to the block that follows them; the last ones to the last block
    if not blocks:
        return [(range(len(shape)), range(len(new_shape)))]
    last_old, last_new = blocks[-1]
    blocks[-1] = (range(last_old.start, len(shape)), range(last_new.start, len(new_shape)))
    return blocks


def _cumulative(shape: Shape) -> list[int]:
    return [prod(shape[:a]) for a in range(len(shape) + 1)]
