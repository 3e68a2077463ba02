"""Static index arrays that are regular: offset + i * stride, over the axes of a grid.

Entries come out of lanes in such an order most of the time. An operation on a regular index is a
reshape, a transposition or a dot product, which need no index array inside the compiled program and
run many times faster than a gather or a scatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Index arrays of one length, each equal to `offset + sum of i[axis] * stride[axis]`.

    Attributes:
        lengths: the axes, the slowest first; their product is the length of the arrays.
        offsets: the first index of each array.
        strides: for each array, the stride along every axis.
    """

    lengths: tuple[int, ...]
    offsets: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


def grid_of(*arrays: np.ndarray) -> Grid | None:
    """The grid that these index arrays of one length have in common; None if there is none."""
    size = arrays[0].size
    if size == 0:
        return None
    steps = {1, size}
    for array in arrays:
        found = _steps(array)
        if found is None:
            return None
        steps |= found
    ordered = sorted(steps)
    if any(large % small for small, large in pairwise(ordered)):
        return None
    inner = ordered[:-1]
    lengths = [large // small for small, large in pairwise(ordered)]
    return Grid(
        tuple(reversed(lengths)),
        tuple(int(array[0]) for array in arrays),
        tuple(tuple(int(array[s]) - int(array[0]) for s in reversed(inner)) for array in arrays),
    )


def _steps(array: np.ndarray) -> set[int] | None:
    """After how many elements an axis of the index array begins, for every axis but the fastest."""
    steps, step = set(), 1
    while array.size > 1:
        stride = int(array[1]) - int(array[0])
        length = _run(array, stride)
        if array.size % length:
            return None
        table = array.reshape(-1, length)
        ramp = table[0] - table[0, 0]
        # an irregular array mostly shows it in its last row, which is cheaper to look at
        for part in (table[-1:], table):
            if not np.array_equal(part, part[:, :1] + ramp):
                return None
        step *= length
        steps.add(step)
        array = table[:, 0]
    return steps


def _run(array: np.ndarray, stride: int) -> int:
    """How many elements from the first on keep this stride."""
    begin, chunk = 0, 1024
    while begin < array.size - 1:  # the first break comes early in most arrays
        breaks = np.flatnonzero(np.diff(array[begin : begin + chunk + 1]) != stride)
        if breaks.size:
            return begin + int(breaks[0]) + 1
        begin, chunk = begin + chunk, chunk * 4
    return array.size


def tiling(lengths: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes with a stride, the slowest first, if together they count 0, 1, 2, ...; else None."""
    axes = sorted((a for a, stride in enumerate(strides) if stride), key=lambda a: -strides[a])
    expected = 1
    for axis in reversed(axes):
        if strides[axis] != expected:
            return None
        expected *= lengths[axis]
    return tuple(axes)


def permutation_grid(order: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """`(shape, axes)` with `x[order] == x.reshape(shape).transpose(axes).ravel()`, if there are.

    `order` must be a permutation.
    """
    grid = grid_of(order)
    if grid is None:
        return None
    axes = tiling(grid.lengths, grid.strides[0])
    if axes is None or len(axes) < len(grid.lengths) or grid.offsets[0] != 0:
        return None
    shape = tuple(grid.lengths[a] for a in axes)
    if prod(shape) != order.size:
        return None
    return shape, tuple(axes.index(a) for a in range(len(axes)))
