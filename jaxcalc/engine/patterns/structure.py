"""What a sparsity pattern looks like, in words: diagonal, banded, block diagonal, arrow ...

Everything here is linear in the number of entries, and numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Literal, Protocol

import numpy as np

StructureName = Literal[
    "empty", "dense", "diagonal", "block diagonal", "banded", "diagonals", "arrow", "sparse"
]
_LISTED_DIAGONALS = 9  # more diagonals than these are no structure worth naming
_FILLED = 0.5  # a band or a block that holds fewer entries than this share is called sparse


class Entries(Protocol):
    """The entries of a matrix, in row-major order: what this module asks of a pattern."""

    @property
    def rows(self) -> np.ndarray:
        """The row of each entry, `[nnz]`."""

    @property
    def cols(self) -> np.ndarray:
        """The column of each entry, `[nnz]`."""

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""

    @property
    def nnz(self) -> int:
        """The number of entries."""


@dataclass(frozen=True)
class Structure:
    """A structure and its measures; `str` gives it in words.

    Attributes:
        name: which structure it is.
        words: the structure with its measures, `"banded (lower 2, upper 1)"`.
        lower: of a band, how far entries reach below the diagonal.
        upper: of a band, how far they reach above it.
        blocks: of a block diagonal, the number of equal blocks.
        block_shape: of a block diagonal, the shape of one.
        offsets: of a few diagonals, their offsets (column - row).
        width: of an arrow, the number of full rows and columns.
    """

    name: StructureName
    words: str
    lower: int = 0
    upper: int = 0
    blocks: int = 0
    block_shape: tuple[int, int] = (0, 0)
    offsets: tuple[int, ...] = ()
    width: int = 0

    def __str__(self) -> str:
        return self.words


def structure_of(pattern: Entries) -> Structure:
    """The most telling structure that the pattern has."""
    m, n = pattern.shape
    if pattern.nnz == 0:
        return Structure("empty", "empty")
    if pattern.nnz == m * n:
        return Structure("dense", "dense")
    offsets = diagonal_offsets(pattern)
    lower, upper = max(0, int(-offsets[0])), max(0, int(offsets[-1]))
    if lower == upper == 0:
        return Structure("diagonal", "diagonal")
    for found in (
        _block_diagonal(pattern),
        _diagonals(pattern, offsets) if offsets.size < lower + upper + 1 else None,
        _banded(pattern, lower, upper),
        _arrow(pattern),
    ):
        if found is not None:
            return found
    return Structure("sparse", "sparse")


def equal_blocks(pattern: Entries) -> int:
    """The largest B for which the matrix is B equal blocks along its diagonal; 1 if it is not."""
    m, n = pattern.shape
    common = gcd(m, n)
    if pattern.nnz == 0 or common <= 1:
        return max(common, 1)
    cuts = _Cuts(pattern)
    for count in _divisors(common):
        height, width = m // count, n // count
        few = pattern.rows[:64], pattern.cols[:64]
        whole = pattern.rows, pattern.cols
        # most counts fail at the first entries; then as many checks as there are cuts or entries
        if not _inside(*few, height, width):
            continue
        if _inside(*whole, height, width) if count > pattern.nnz else cuts.fit(count, height, width):
            return count
    return 1


def _inside(rows: np.ndarray, cols: np.ndarray, height: int, width: int) -> bool:
    return bool((rows // height == cols // width).all())


class _Cuts:
    """Where the matrix can be cut: nothing above reaches beyond, nothing below begins before."""

    def __init__(self, pattern: Entries) -> None:
        # entries are in row-major order: a row's first and last entry hold its columns' range
        begins = np.flatnonzero(np.diff(pattern.rows, prepend=-1))
        ends = np.append(begins[1:], pattern.nnz) - 1
        self.rows = pattern.rows[begins]
        self.reach = np.append(-1, np.maximum.accumulate(pattern.cols[ends]))
        first = np.minimum.accumulate(pattern.cols[begins][::-1])[::-1]
        self.start = np.append(first, pattern.shape[1])

    def fit(self, count: int, height: int, width: int) -> bool:
        """Whether the matrix is `count` blocks of this size."""
        cuts = np.arange(1, count, dtype=np.int64)
        above = np.searchsorted(self.rows, cuts * height)
        column = cuts * width
        return bool((self.reach[above] < column).all() and (self.start[above] >= column).all())


def _divisors(number: int) -> list[int]:
    """All divisors, the largest first."""
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)}, reverse=True)


def diagonal_offsets(pattern: Entries) -> np.ndarray:
    """The distinct values of column - row, ascending."""
    m, n = pattern.shape
    offset = pattern.cols.astype(np.int64) - pattern.rows
    if m + n <= 8 * pattern.nnz:
        seen = np.zeros(m + n - 1, bool)
        seen[offset + (m - 1)] = True
        return np.flatnonzero(seen) - (m - 1)
    return np.unique(offset)


def _block_diagonal(pattern: Entries) -> Structure | None:
    count = equal_blocks(pattern)
    if count == 1:
        return None
    m, n = pattern.shape
    shape = (m // count, n // count)
    if pattern.nnz < _FILLED * m * shape[1]:
        return None
    words = f"block diagonal ({count:,} blocks of {shape[0]:,} x {shape[1]:,})"
    return Structure("block diagonal", words, blocks=count, block_shape=shape)


def _banded(pattern: Entries, lower: int, upper: int) -> Structure | None:
    m, n = pattern.shape
    width = lower + upper + 1
    if width > max(m, n) // 2 and (lower, upper) != (1, 1):
        return None
    if pattern.nnz < _FILLED * _band_size(m, n, lower, upper):
        return None
    named = {(1, 1): "tridiagonal", (0, 1): "upper bidiagonal", (1, 0): "lower bidiagonal"}
    words = named.get((lower, upper), f"banded (lower {lower:,}, upper {upper:,})")
    return Structure("banded", words, lower=lower, upper=upper)


def _band_size(m: int, n: int, lower: int, upper: int) -> int:
    """How many elements of an m x n matrix lie in the band."""
    return _clipped_sum(m, n, upper + 1) - _clipped_sum(m, n, -lower)


def _clipped_sum(m: int, n: int, shift: int) -> int:
    """The sum of r + shift, kept between 0 and n, over the rows r."""
    begin = min(m, max(0, -shift))
    end = max(begin, min(m, n - shift))
    between = (begin + end - 1 + 2 * shift) * (end - begin) // 2
    return between + n * (m - end)


def _diagonals(pattern: Entries, offsets: np.ndarray) -> Structure | None:
    if offsets.size > _LISTED_DIAGONALS:
        return None
    m, n = pattern.shape
    length = sum(_band_size(m, n, -int(offset), int(offset)) for offset in offsets)
    if pattern.nnz < _FILLED * length:
        return None
    listed = ", ".join(f"{offset:,}" for offset in offsets.tolist())
    noun = "diagonal" if offsets.size == 1 else "diagonals"
    return Structure(
        "diagonals",
        f"{offsets.size} {noun} at {listed}",
        offsets=tuple(int(offset) for offset in offsets),
    )


def _arrow(pattern: Entries) -> Structure | None:
    """The diagonal, and a few full rows and columns at the end or at the beginning."""
    m, n = pattern.shape
    if m != n:
        return None
    off = pattern.rows != pattern.cols
    rows, cols = pattern.rows[off], pattern.cols[off]
    at_end = n - int(np.maximum(rows, cols).min())
    at_start = 1 + int(np.minimum(rows, cols).max())
    width = min(at_end, at_start)
    if width > n // 4 or off.sum() < _FILLED * 2 * width * (n - width):
        return None
    words = f"arrow ({width:,} full row{'s' * (width > 1)} and column{'s' * (width > 1)})"
    return Structure("arrow", words, width=width)
