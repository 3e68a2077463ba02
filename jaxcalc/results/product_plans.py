"""How to multiply by a sparse matrix: static plans, chosen by the order and pattern of its entries.

| plan | when | what is compiled |
|---|---|---|
| grid | rows and columns are regular: diagonal, block diagonal, dense | one einsum, no index arrays |
| lanes | few diagonals, or few entries in every row | a sum of products of slices or gathers |
| scatter | anything else | gather, multiply, add into sorted rows |

On a CPU a scatter of 5 million entries takes 17 ms, the same product as a sum of 5 gathered lanes
2.5 ms, and of 5 slices 0.6 ms; that is why there is a choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_lowercase
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.patterns.structure import diagonal_offsets
from jaxcalc.heuristics import heuristics
from jaxcalc.results.compiled import Kernel, gather, gather_or_zero
from jaxcalc.results.grids import grid_of, tiling
from jaxcalc.results.layout import Layout

Plan = tuple[Kernel, list[np.ndarray]]


def product_plan(layout: Layout) -> Plan:
    """A function `kernel(*arrays, values, operand)` for operands `[N]` and `[N, K]`, and its arrays."""
    if layout.nnz == 0:
        return _zero_plan(layout)
    return _grid_plan(layout) or _lane_plan(layout) or _scatter_plan(layout)


def _zero_plan(layout: Layout) -> Plan:
    def kernel(_: Any, operand: Any) -> Any:
        return jnp.zeros((layout.shape[0], *operand.shape[1:]), operand.dtype)

    return kernel, []


def _grid_plan(layout: Layout) -> Plan | None:
    """Rows and columns that count along the axes of one grid, such as [lane, sample, output].

    Axes along which the row stands still are summed; J @ v is then an einsum of the values with v.
    """
    grid = grid_of(layout.rows, layout.cols)
    if grid is None:
        return None
    row_axes, col_axes = (tiling(grid.lengths, strides) for strides in grid.strides)
    if row_axes is None or col_axes is None or len(grid.lengths) > 20:
        return None
    row_shape = tuple(grid.lengths[a] for a in row_axes)
    col_shape = tuple(grid.lengths[a] for a in col_axes)
    row_begin, col_begin = grid.offsets
    row_count, col_count = int(np.prod(row_shape)), int(np.prod(col_shape))
    letters = ascii_lowercase[: len(grid.lengths)]
    rows, cols = ("".join(letters[a] for a in axes) for axes in (row_axes, col_axes))
    summed = [a for a in range(len(grid.lengths)) if a not in row_axes]
    unrolled = summed == [0] and grid.lengths[0] <= heuristics().most_summed
    m = layout.shape[0]

    def kernel(values: Any, operand: Any) -> Any:
        trailing = operand.shape[1:]
        mark = "z" * len(trailing)
        part = operand[col_begin : col_begin + col_count].reshape(*col_shape, *trailing)
        grown = values.reshape(grid.lengths)
        if unrolled:
            # summing the slowest axis lane by lane: XLA's reduction over it runs far slower on CPU
            axis = cols.index(letters[0])
            moved = jnp.moveaxis(part, axis, 0)
            spec = f"{letters[1:]},{cols.replace(letters[0], '')}{mark}->{rows}{mark}"
            result = _einsum(spec, grown[0], moved[0])
            for lane in range(1, grid.lengths[0]):
                result = result + _einsum(spec, grown[lane], moved[lane])
        else:
            result = _einsum(f"{letters},{cols}{mark}->{rows}{mark}", grown, part)
        return _placed(result.reshape(row_count, *trailing), row_begin, m)

    return kernel, []


def _einsum(spec: str, *operands: Any) -> Any:
    # a product with a matrix is bound by memory, so full precision costs nothing
    return jnp.einsum(spec, *operands, precision=jax.lax.Precision.HIGHEST)


@dataclass(frozen=True)
class _Lane:
    """At most one entry in each row: rows `[begin, begin + length)`, values and columns likewise.

    A None for `value` or `col` says that an index array tells where they are.
    """

    begin: int
    length: int
    value: int | None
    col: int | None


def _lane_plan(layout: Layout) -> Plan | None:
    """Entries dealt out to lanes with one entry a row: diagonals, else the n-th entry of each row."""
    if layout.nnz < heuristics().fewest_planned_entries:
        return None
    for number in (_by_diagonal(layout), _by_rank(layout)):
        lanes, arrays = _lanes(layout, number) if number is not None else ([], [])
        if lanes and sum(lane.length for lane in lanes) <= heuristics().most_padding * layout.nnz:
            return _lane_kernel(lanes, layout.shape[0]), arrays
    return None


def _lane_kernel(lanes: Sequence[_Lane], m: int) -> Kernel:
    def kernel(*arguments: Any) -> Any:
        *indices, values, operand = arguments
        remaining = iter(indices)
        terms = [_lane_term(lane, remaining, values, operand, m) for lane in lanes]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    return kernel


def _lanes(layout: Layout, number: np.ndarray) -> tuple[list[_Lane], list[np.ndarray]]:
    """The lanes, given the lane of each entry in row-major order, and their index arrays."""
    source, sizes = layout.sorted, (*layout.shape, layout.nnz)
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(int(number.max()) + 2))
    lanes: list[_Lane] = []
    arrays: list[np.ndarray] = []
    for begin, end in pairwise(bounds):
        chosen = order[begin:end]
        value = chosen if layout.order is None else layout.order[chosen]
        lane, indices = _lane(source.rows[chosen], source.cols[chosen], value, sizes)
        lanes.append(lane)
        arrays += indices
    return lanes, arrays


def _by_diagonal(layout: Layout) -> np.ndarray | None:
    """One lane for each diagonal; None when there would be too many."""
    offsets = diagonal_offsets(layout.pattern)
    if offsets.size > heuristics().most_unrolled_lanes:
        return None
    return np.searchsorted(offsets, layout.sorted.cols.astype(np.int64) - layout.sorted.rows)


def _by_rank(layout: Layout) -> np.ndarray | None:
    """The n-th entry of each row goes to lane n; None when there would be too many."""
    begins = np.flatnonzero(np.diff(layout.sorted.rows, prepend=-1))
    lengths = np.diff(begins, append=layout.nnz)
    if lengths.max() > heuristics().most_unrolled_lanes:
        return None
    return np.arange(layout.nnz) - np.repeat(begins, lengths)


def _lane(
    rows: np.ndarray, cols: np.ndarray, value: np.ndarray, sizes: tuple[int, int, int]
) -> tuple[_Lane, list[np.ndarray]]:
    m, n, nnz = sizes
    begin, length = int(rows[0]), int(rows[-1]) - int(rows[0]) + 1
    if length > rows.size:
        # rows are missing: the indices of these point past the end, where a zero is read
        full = [np.full(m, nnz, value.dtype), np.full(m, n, cols.dtype)]
        full[0][rows], full[1][rows] = value, cols
        return _Lane(0, m, None, None), full
    starts = [int(a[0]) if (np.diff(a) == 1).all() else None for a in (value, cols)]
    indices = [a for a, start in zip((value, cols), starts, strict=True) if start is None]
    return _Lane(begin, length, starts[0], starts[1]), indices


def _lane_term(lane: _Lane, indices: Any, values: Any, operand: Any, m: int) -> Any:
    def read(array: Any, begin: int | None) -> Any:
        if begin is None:
            return gather_or_zero(array, next(indices))
        return array[begin : begin + lane.length]

    coefficient, part = read(values, lane.value), read(operand, lane.col)
    coefficient = coefficient.reshape(-1, *(1,) * (operand.ndim - 1))
    return _placed(coefficient * part, lane.begin, m)


def _placed(part: Any, begin: int, m: int) -> Any:
    """Rows `begin ...` of an array with m rows, zero elsewhere."""
    if part.shape[0] == m:
        return part
    outside: Sequence[tuple[int, int]] = [(begin, m - begin - part.shape[0])]
    return jnp.pad(part, [*outside, *((0, 0),) * (part.ndim - 1)])


def _scatter_plan(layout: Layout) -> Plan:
    m = layout.shape[0]
    source = layout.sorted

    def kernel(*arguments: Any) -> Any:
        *order, rows, cols, values, operand = arguments
        ordered = gather(values, order[0]) if order else values
        terms = ordered.reshape(-1, *(1,) * (operand.ndim - 1)) * gather(operand, cols)
        return jax.ops.segment_sum(terms, rows, m, indices_are_sorted=True, mode="promise_in_bounds")

    order = [] if layout.order is None else [layout.order]
    return kernel, [*order, source.rows, source.cols]
