"""The sparsity pattern of a derivative: which outputs can depend on which inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxcalc.display import render
from jaxcalc.engine.patterns.indices import as_index, digest, index_dtype, row_major_order
from jaxcalc.engine.patterns.structure import Structure, structure_of
from jaxcalc.results.dense_limit import require_small


@dataclass(frozen=True, eq=False, repr=False)
class SparsityPattern:
    """The entries of an M x N matrix that can be nonzero; static, hashable, compared by content.

    Attributes:
        rows: `[nnz]` row of each entry, int32 (int64 when M or N needs it), ascending.
        cols: `[nnz]` column of each entry, ascending within a row; no entry occurs twice.
        shape: (M, N).

    Raises:
        TypeError: rows or columns are not integers.
        ValueError: they leave the matrix, or are not sorted and unique; `from_entries` sorts them.

    Example:
        >>> pattern = SparsityPattern.from_entries([1, 0, 1], [1, 0, 0], (2, 2))
        >>> pattern.rows.tolist(), pattern.cols.tolist()
        ([0, 1, 1], [0, 0, 1])
        >>> pattern.todense().astype(int).tolist()
        [[1, 0], [1, 1]]
    """

    rows: np.ndarray
    cols: np.ndarray
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        rows, cols, shape = _checked(self.rows, self.cols, self.shape)
        if row_major_order(rows, cols, shape) is not None:
            raise ValueError(
                "jaxcalc.SparsityPattern: the entries are not in row-major order; use "
                "SparsityPattern.from_entries, which sorts them."
            )
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "cols", cols)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_entries(cls, rows: Any, cols: Any, shape: tuple[int, int]) -> SparsityPattern:
        """The pattern of entries given in any order, without repetitions.

        Args:
            rows: `[nnz]` integers.
            cols: `[nnz]` integers.
            shape: (M, N).
        """
        rows, cols, shape = _checked(rows, cols, shape)
        order = row_major_order(rows, cols, shape)
        return cls(rows, cols, shape) if order is None else cls(rows[order], cols[order], shape)

    @property
    def nnz(self) -> int:
        """The number of entries."""
        return self.rows.size

    @property
    def density(self) -> float:
        """The share of the matrix that the entries fill; 0 for a matrix without elements."""
        size = self.shape[0] * self.shape[1]
        return self.nnz / size if size else 0.0

    def todense(self) -> np.ndarray:
        """The pattern as a boolean array `[M, N]`; what `toarray()` and `np.asarray(pattern)` give.

        Raises:
            MemoryError: it would take more than 4 GiB.
        """
        require_small("jaxcalc.SparsityPattern.todense", self.shape, bool, self.nnz)
        dense = np.zeros(self.shape, bool)
        dense[self.rows, self.cols] = True
        return dense

    toarray = todense  # the name that scipy has for it

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("jaxcalc.SparsityPattern: its array is made anew; leave out copy=False.")
        return self.todense().astype(dtype or bool, copy=False)

    @cached_property
    def structure(self) -> Structure:
        """What the pattern looks like, such as diagonal, banded or block diagonal; str() is words.

        Computed when it is first asked for, in time linear in the number of entries.
        """
        return structure_of(self)

    def __repr__(self) -> str:
        return f"SparsityPattern({render.size_in_words(self)})"

    def _repr_html_(self) -> str:
        return render.pattern_html(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return SparsityPattern, (
            self.rows,
            self.cols,
            self.shape,
        )  # so that a copy is read-only as well

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, SparsityPattern):
            return NotImplemented
        return self.shape == other.shape and self._digest == other._digest

    def __hash__(self) -> int:
        return hash((self.shape, self._digest))

    @cached_property
    def _digest(self) -> bytes:
        return digest(self.rows, self.cols)


def _checked(rows: Any, cols: Any, shape: Any) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    m, n = (int(size) for size in shape)
    if min(m, n) < 0:
        raise ValueError(f"jaxcalc.SparsityPattern: a shape cannot be negative, got {(m, n)}.")
    dtype = index_dtype((m, n))
    rows, cols = as_index(rows, "rows", m, dtype), as_index(cols, "cols", n, dtype)
    if rows.shape != cols.shape:
        raise ValueError(f"jaxcalc.SparsityPattern: {rows.size} rows were given {cols.size} columns.")
    return rows, cols, (m, n)
