"""The static half of a structured derivative: which entries there are, and both sides' pytrees.

A `Layout` is the auxiliary data of the `Jacobian` pytree. It is compared at every call of a compiled
function, so equality looks at identity first, and whatever is derived from the entries (row-major
order, pattern, plans of products) is computed once and kept with it. The engine makes one layout for
a function and its shapes, and shares it between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from jaxcalc.engine.patterns.indices import as_index, digest, index_dtype, row_major_order
from jaxcalc.results.pattern import SparsityPattern
from jaxcalc.space import Side, promoted

DtypeFrom = Literal["both", "input", "output"]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the values of a derivative sit: entry e is at row `rows[e]` and column `cols[e]`.

    Attributes:
        rows: `[nnz]` integers, the flat output each entry belongs to; in any order.
        cols: `[nnz]` integers, the flat input. No pair (row, column) may occur twice.
        input_side: the pytree behind the columns.
        output_side: the pytree behind the rows.
        dtype_from: the dtype of a block when leaves have several dtypes: the output's, as
            `jax.jacfwd` has it, the input's, as `jax.jacrev` has it, or one that holds both.
        locate: given a row and a column, the source line that makes that output depend on that
            input, or None; it serves error messages and takes no part in comparisons.
        is_transpose: whether it is that of a transpose, whose input is the output of f.
    """

    rows: np.ndarray
    cols: np.ndarray
    input_side: Side
    output_side: Side
    dtype_from: DtypeFrom = "both"
    locate: Callable[[int, int], str | None] | None = field(default=None, repr=False)
    is_transpose: bool = False

    def __post_init__(self) -> None:
        dtype = index_dtype(self.shape)
        for name, bound in zip(("rows", "cols"), self.shape, strict=True):
            object.__setattr__(self, name, as_index(getattr(self, name), name, bound, dtype))
        if self.rows.shape != self.cols.shape:
            raise ValueError(f"Layout: {self.rows.size} rows were given {self.cols.size} columns.")

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (M, N): output elements, input elements."""
        return self.output_side.size, self.input_side.size

    @property
    def nnz(self) -> int:
        """The number of entries."""
        return self.rows.size

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that values have when nobody changed it."""
        chosen = {
            "both": [self.output_side.dtype, self.input_side.dtype],
            "input": [self.input_side.dtype],
            "output": [self.output_side.dtype],
        }
        return promoted(chosen[self.dtype_from])

    def block_dtype(self, output_leaf: int, input_leaf: int) -> np.dtype[Any]:
        """The dtype of the derivative of one output leaf with respect to one input leaf."""
        given = self.output_side.dtypes[output_leaf], self.input_side.dtypes[input_leaf]
        chosen = {"both": list(given), "input": [given[1]], "output": [given[0]]}
        return promoted(chosen[self.dtype_from])

    def has_entries_of(self, other: Layout) -> bool:
        """Whether the other one has the same entries for the same pytrees, in any order."""
        sides = (self.input_side, self.output_side) == (other.input_side, other.output_side)
        if not sides or self.nnz != other.nnz:
            return False
        mine, theirs = self.sorted, other.sorted
        return bool((mine.rows == theirs.rows).all() and (mine.cols == theirs.cols).all())

    def permutation_to(self, other: Layout) -> np.ndarray:
        """For each entry of the other one, which has the same, its number here."""
        numbers = np.arange(self.nnz)
        places = np.empty_like(numbers)
        places[numbers if other.order is None else other.order] = (
            numbers if self.order is None else self.order
        )
        return places

    @cached_property
    def transposed(self) -> Layout:
        """The layout of the transpose; its own transpose is this object again."""
        swapped: dict[DtypeFrom, DtypeFrom] = {"input": "output", "output": "input", "both": "both"}
        locate = self.locate
        result = Layout(
            self.cols,
            self.rows,
            self.output_side,
            self.input_side,
            swapped[self.dtype_from],
            None if locate is None else lambda row, col: locate(col, row),
            not self.is_transpose,
        )
        result.__dict__["transposed"] = self
        return result

    @cached_property
    def is_sorted(self) -> bool:
        """Whether the entries are in row-major order; far cheaper than the order itself."""
        rises = np.diff(self.rows)
        along = np.diff(self.cols)
        return bool(((rises > 0) | ((rises == 0) & (along > 0))).all())

    @cached_property
    def order(self) -> np.ndarray | None:
        """The permutation that sorts the entries row by row; None when they are sorted already."""
        return row_major_order(self.rows, self.cols, self.shape)

    @cached_property
    def sorted(self) -> Layout:
        """The same entries in row-major order."""
        if self.order is None:
            return self
        rows, cols = self.rows[self.order], self.cols[self.order]
        result = replace(self, rows=rows, cols=cols)
        result.__dict__["order"] = None
        return result

    @cached_property
    def pattern(self) -> SparsityPattern:
        """The pattern alone, in row-major order."""
        return SparsityPattern(self.sorted.rows, self.sorted.cols, self.shape)

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """What other modules computed from the entries and keep here, by a key of their own."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        # neither `locate`, which reads the program of f, nor what was derived: hashes differ elsewhere
        entries = self.rows, self.cols, self.input_side, self.output_side, self.dtype_from
        return Layout, (*entries, None, self.is_transpose)

    def __copy__(self) -> Layout:
        return self  # nothing of it changes, and identity is what a compiled function looks at first

    def __deepcopy__(self, memo: dict[int, Any]) -> Layout:
        return self

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Layout) or hash(self) != hash(other):
            return False
        return self._identity == other._identity and self._digest == other._digest

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # a sample tells nearly all layouts apart; the digest, a pass over everything, the rest
        step = max(1, self.nnz // 64)
        return hash((self._identity, self.rows[::step].tobytes(), self.cols[::step].tobytes()))

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self.nnz, self.input_side, self.output_side, self.dtype_from, self.is_transpose

    @cached_property
    def _digest(self) -> bytes:
        return digest(self.rows, self.cols)
