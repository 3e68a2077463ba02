"""Colors of columns, different for any two that have an entry in one row, by numpy alone.

A few regular colorings are tried first: by the place of a column within its rows, and by the digits of
its number on the grid of the input, which give stencils the fewest colors there can be. Else columns
take the first free color, the fullest ones first and a batch of them at once (Catalyurek et al., 2012);
classes of colors are then colored anew in another order (Culberson, 1992), which never takes more. A
million entries take between 0.05 and 0.8 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice
from math import prod

import numpy as np

_WORD = 64  # colors in one word of a row
_ONE = np.uint64(1)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 by the golden ratio: spreads keys over a table
_WIDEST_STENCIL = 300  # entries of a row, above which there is no lattice worth looking for
_SAMPLED_ROWS = 200
_TRIED = 12  # regular colorings
_LATTICE_WORK = 2e7  # factors of digits times differences that are tried
_SEAMS = 0.2  # share of the columns that clash, up to which these alone are colored anew


def column_colors(
    rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int], grid: Sequence[int] | None = None
) -> np.ndarray:
    """`[n]` a color for each column of a pattern, numbered from 0; for rows, exchange the arguments.

    Args:
        rows: `[nnz]` the row of each entry.
        cols: `[nnz]` its column.
        shape: (m, n).
        grid: the shape of the input whose elements are the columns, where it is one array.
    """
    if not rows.size:
        return np.zeros(shape[1], np.int64)
    pattern, rng = _Pattern.of(rows, cols, shape), np.random.default_rng(0)
    found = list(_regular(pattern, grid, rng))
    if not found or min(c.max() for c in found) >= pattern.widest:
        order = _shuffled(pattern.weights, rng)
        ends = _even(order.size, 4 * pattern.widest)
        found.append(_first_fit(pattern, order, ends, np.full(shape[1], -1)))
    best = np.maximum(min(found, key=lambda c: int(c.max())), 0)  # empty columns: any color
    for backward in (True, False, True):
        if pattern.widest <= min(int(best.max()), 256):
            best = _recolored(pattern, best, backward=backward)
    return best


@dataclass(frozen=True)
class _Pattern:
    """The entries by row, and those of each column: their rows, from `starts[j]` to `starts[j + 1]`."""

    shape: tuple[int, int]
    row_starts: np.ndarray
    cols: np.ndarray  # by row
    rows: np.ndarray  # the same entries
    starts: np.ndarray
    lines: np.ndarray  # by column

    @classmethod
    def of(cls, rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> _Pattern:
        row_starts, by_row = _sorted_by(rows, cols, shape)
        in_order = np.repeat(np.arange(shape[0]), np.diff(row_starts))
        return cls(shape, row_starts, by_row, in_order, *_sorted_by(by_row, in_order, shape[::-1]))

    @property
    def widest(self) -> int:
        """The most entries of a row: no coloring has fewer colors."""
        return int(np.diff(self.row_starts).max(initial=0))

    @property
    def weights(self) -> np.ndarray:
        """For each column, the entries of all its rows."""
        return np.bincount(self.cols, np.diff(self.row_starts)[self.rows], self.shape[1])

    def entries_of(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of some columns one after another, where each one's begin, and how many it has."""
        lengths = self.starts[columns + 1] - self.starts[columns]
        first = np.cumsum(lengths) - lengths
        at = np.arange(int(lengths.sum())) + np.repeat(self.starts[columns] - first, lengths)
        return self.lines[at], first, lengths


def _sorted_by(
    keys: np.ndarray, others: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Where each key starts, and the others in the order of the keys; each pair once."""
    numbers = keys.astype(np.int64) * shape[1] + others
    numbers.sort()  # several times faster than to sort indices
    is_first = np.diff(numbers, prepend=-1) != 0
    found, in_order = np.divmod(numbers[is_first], shape[1])
    return np.searchsorted(found, np.arange(shape[0] + 1)), in_order


def _even(size: int, parts: int) -> np.ndarray:
    return np.linspace(0, size, min(max(parts, 1), max(size, 1)) + 1).astype(np.int64)


def _shuffled(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The fullest columns first, equal ones at random: neighbors in one batch would choose alike."""
    order = rng.permutation(weights.size)
    return order[np.argsort(-weights[order], kind="stable")]


def _first_fit(
    pattern: _Pattern,
    order: np.ndarray,
    ends: np.ndarray,
    colors: np.ndarray,
    *,
    are_independent: bool = False,
) -> np.ndarray:
    """The first free color for the columns of `order`, which have none so far (-1), a batch at a time.

    Batches end at `ends`. Sixty-four colors are free or taken in one word of each row; columns that
    find none of them free go on to the next ones. With `are_independent` no two of a batch share a row.
    """
    batch_of = np.zeros(colors.size, np.int64)
    batch_of[order] = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    pending, level = order[pattern.starts[order + 1] > pattern.starts[order]], 0
    while pending.size:
        cuts = np.flatnonzero(np.diff(batch_of[pending], prepend=-1, append=-1))
        taken = _taken(pattern, colors, level)
        full, retry, turn = list[np.ndarray](), pending[:0], 0
        while turn < len(cuts) - 1 or retry.size:
            more = turn < len(cuts) - 1 and retry.size <= cuts[turn + 1] - cuts[turn]
            batch = np.append(retry, pending[cuts[turn] : cuts[turn + more]])
            turn += more
            retry, left = _choose(pattern, batch, taken, colors, level, are_independent)
            full.append(left)
        pending, level = np.concatenate(full), level + 1
    return colors


def _taken(pattern: _Pattern, colors: np.ndarray, level: int) -> np.ndarray:
    """`[m]` which of the colors of a level there are in each row, as bits."""
    taken = np.zeros(pattern.shape[0], np.uint64)
    kept = np.flatnonzero((colors >= 0) & (colors // _WORD == level))
    rows, _, lengths = pattern.entries_of(kept)
    np.bitwise_or.at(taken, rows, np.repeat(_ONE << (colors[kept] % _WORD).astype(np.uint64), lengths))
    return taken


def _choose(
    pattern: _Pattern,
    batch: np.ndarray,
    taken: np.ndarray,
    colors: np.ndarray,
    level: int,
    are_independent: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Colors a batch; of two that chose alike in one row the first keeps it.

    Returns the columns that have to choose again, and those for which no color of the level is free.
    """
    rows, first, lengths = pattern.entries_of(batch)
    used = np.bitwise_or.reduceat(taken[rows], first)
    bit = ~used & (used + _ONE)  # the lowest one that is not set; 0 where all are
    number = np.bitwise_count(bit - _ONE).astype(np.int64)
    is_full, lost = bit == 0, np.zeros(batch.size, bool)
    if not are_independent:
        lost = _collide(rows, np.repeat(number, lengths), lengths)
    won = ~(is_full | lost)
    of_won = np.repeat(won, lengths)
    np.bitwise_or.at(taken, rows[of_won], np.repeat(bit, lengths)[of_won])
    colors[batch[won]] = level * _WORD + number[won]
    return batch[lost & ~is_full], batch[is_full]


def _collide(rows: np.ndarray, numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For each column, whether an earlier one may have the same number in one of its rows.

    By a table of hashed pairs, so that some are said to that do not; they choose once more.
    """
    size = int(8 * rows.size).bit_length()
    key = (rows.astype(np.uint64) << np.uint64(6)) | numbers.astype(np.uint64)
    key = (key * _MIX >> np.uint64(64 - size)).astype(np.int64)
    column = np.repeat(np.arange(lengths.size), lengths)
    owner = np.empty(1 << size, np.int64)
    owner[key[::-1]] = column[::-1]  # the last that is written stays: the first column
    lost = np.zeros(lengths.size, bool)
    lost[column[owner[key] != column]] = True
    return lost


def _recolored(pattern: _Pattern, colors: np.ndarray, *, backward: bool) -> np.ndarray:
    """The first free color once more, one class after another: backward, or the largest first."""
    sizes = np.bincount(colors)
    rank = np.arange(sizes.size)[::-1] if backward else np.argsort(np.argsort(-sizes, kind="stable"))
    order = np.argsort(rank[colors], kind="stable")
    ends = np.searchsorted(rank[colors][order], np.arange(sizes.size + 1))
    fresh = _first_fit(pattern, order, ends, np.full(colors.size, -1), are_independent=True)
    return np.maximum(fresh, 0)


def _regular(
    pattern: _Pattern, grid: Sequence[int] | None, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Colorings by a formula, those with seams mended; none where the pattern is not regular."""
    rank = np.zeros(pattern.shape[1], np.int64)
    rank[pattern.cols] = np.arange(pattern.cols.size) - pattern.row_starts[pattern.rows]
    sample = slice(0, pattern.row_starts[min(pattern.shape[0], 1000)])
    rows, cols = pattern.rows, pattern.cols
    seamed: list[tuple[int, int, np.ndarray, np.ndarray]] = []
    best: int | None = None
    for colors in islice(chain([rank], _lattices(pattern, grid, rng)), _TRIED):
        some = _clashing(rows[sample], cols[sample], colors)
        if some.size > _SEAMS * np.unique(cols[sample]).size:
            continue
        clashing = _clashing(rows, cols, colors)
        if not clashing.size:
            best = int(colors.max())
            yield colors
            break  # those that follow have more colors
        seamed.append((int(colors.max()), clashing.size, colors, clashing))
    for most, count, colors, clashing in sorted(seamed, key=lambda x: x[:2])[:2]:
        if count <= _SEAMS * colors.size and (best is None or most < best):
            mended = np.where(np.isin(np.arange(colors.size), clashing), -1, colors)
            ends = _even(count, 2 * pattern.widest)
            yield _first_fit(pattern, rng.permutation(clashing), ends, mended)


def _clashing(rows: np.ndarray, cols: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """The columns that share a row and a color with another one."""
    if not rows.size:
        return cols[:0]
    key = rows * (int(colors.max()) + 1) + colors[cols]
    order = np.argsort(key, kind="stable")
    is_bad = np.zeros(colors.size, bool)
    is_bad[cols[order[1:][np.diff(key[order]) == 0]]] = True
    return np.flatnonzero(is_bad)


def _lattices(
    pattern: _Pattern, grid: Sequence[int] | None, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Colors `sum(a_k digit_k) mod p` for growing p, where few columns of sampled rows agree.

    The digits are those of a column's number on the grid, or by the strides that are frequent among the
    differences within a row.
    """
    if not 1 < pattern.widest <= _WIDEST_STENCIL:
        return
    low, high, count = _pairs(pattern, rng)
    if not low.size:
        return
    n, work = pattern.shape[1], _LATTICE_WORK
    strides = [_strides_of(grid)] if grid is not None else _frequent_strides(low, high)
    gaps = {steps: _gaps(low, high, steps, n) for steps in strides}
    for p in range(pattern.widest, min(2 * pattern.widest, n) + 1):
        tries = list[tuple[float, tuple[int, ...], np.ndarray]]()
        for steps in strides:
            differences, often = gaps[steps]
            choices = p ** (len(steps) - 1)
            work -= choices * len(differences)
            if work < 0:
                return
            digits = [np.arange(choices) // p**k % p for k in range(len(steps) - 1)]
            factors = np.stack([*digits, np.ones(choices, np.int64)], -1)
            share = ((factors @ differences.T) % p == 0) @ often / count
            best = int(np.argmin(share))
            tries.append((float(share[best]), steps, factors[best]))
        for _, steps, chosen in sorted((t for t in tries if t[0] < _SEAMS), key=lambda t: t[0])[:4]:
            parts = zip(chosen, _digits(np.arange(n), steps, n), strict=True)
            yield sum((a * digit for a, digit in parts), np.zeros(n, np.int64)) % p


def _pairs(pattern: _Pattern, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """The pairs of columns in some of the rows, the lower one first; how many columns these have."""
    sampled = np.unique(rng.integers(0, pattern.shape[0], _SAMPLED_ROWS))
    cols = [pattern.cols[pattern.row_starts[r] : pattern.row_starts[r + 1]] for r in sampled]
    upper = [np.triu_indices(c.size, 1) for c in cols]
    low = np.concatenate([c[i] for c, (i, _) in zip(cols, upper, strict=True)])
    high = np.concatenate([c[j] for c, (_, j) in zip(cols, upper, strict=True)])
    return low, high, max(1, sum(c.size for c in cols))


def _strides_of(grid: Sequence[int]) -> tuple[int, ...]:
    return tuple(prod(grid[k + 1 :]) for k in range(len(grid)))


def _frequent_strides(low: np.ndarray, high: np.ndarray) -> list[tuple[int, ...]]:
    """Strides of grids that the columns may lie on: of one, two and three axes."""
    found, often = np.unique(high - low, return_counts=True)
    most = np.argsort(-often, kind="stable")[:24]
    is_regular = often[most].sum() > 0.5 * low.size
    top = [x for x in np.sort(found[most]).tolist() if x > 1 and is_regular]
    pairs = [(y, x, 1) for x, y in combinations(top, 2) if y % x == 0]
    return [(1,), *((x, 1) for x in top), *pairs]


def _digits(numbers: np.ndarray, strides: tuple[int, ...], n: int) -> list[np.ndarray]:
    return [numbers % above // step for step, above in zip(strides, (n, *strides), strict=False)]


def _gaps(
    low: np.ndarray, high: np.ndarray, strides: tuple[int, ...], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct differences of digits within a row, and how often each occurs."""
    below, above = _digits(low, strides, n), _digits(high, strides, n)
    differences = np.stack([b - a for a, b in zip(below, above, strict=True)], -1)
    return np.unique(differences, axis=0, return_counts=True)
