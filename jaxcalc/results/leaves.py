"""The entries of a derivative that belong to one output leaf and one input leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.tree_util import keystr

from jaxcalc.results.compiled import compiled, gather
from jaxcalc.results.layout import Layout
from jaxcalc.space import Side

Selection = slice | np.ndarray


@dataclass(frozen=True, eq=False)
class LeafPair:
    """The derivative of one output leaf with respect to one input leaf, or of a whole side.

    Attributes:
        key: names the pair among those of its layout.
        selection: which entries of the whole derivative it holds.
        layout: these entries, numbered within the leaves.
    """

    key: Any
    selection: Selection
    layout: Layout

    def select(self, values: Any, whole: Layout) -> Any:
        """The pair's values out of those of the whole derivative."""
        if isinstance(self.selection, slice):
            if self.selection == slice(0, whole.nnz):
                return values
            return values[self.selection]
        selection = self.selection
        kernel = compiled(whole, ("select", self.key), lambda: (lambda i, v: gather(v, i), [selection]))
        return kernel(values)


def leaf_pairs(layout: Layout) -> dict[tuple[int, int], LeafPair]:
    """The pairs of leaves that vary, by the leaves' numbers; computed once for a layout."""
    if "leaf_pairs" not in layout.derived:
        layout.derived["leaf_pairs"] = _leaf_pairs(layout)
    pairs: dict[tuple[int, int], LeafPair] = layout.derived["leaf_pairs"]
    return pairs


def _leaf_pairs(layout: Layout) -> dict[tuple[int, int], LeafPair]:
    output, inputs = layout.output_side, layout.input_side
    numbers = [
        (o, i)
        for o, output_varies in enumerate(output.varies)
        for i, input_varies in enumerate(inputs.varies)
        if output_varies and input_varies
    ]
    if len(numbers) == 1:
        return {numbers[0]: _pair(layout, slice(0, layout.nnz), *numbers[0])}
    width = len(inputs.shapes)
    owner = leaf_of(layout.rows, output) * width + leaf_of(layout.cols, inputs)
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], [o * width + i for o, i in numbers], side="right")
    begins = np.searchsorted(owner[order], [o * width + i for o, i in numbers], side="left")
    return {
        number: _pair(layout, as_slice(order[begin:end]), *number)
        for number, begin, end in zip(numbers, begins, ends, strict=True)
    }


def restrict(layout: Layout, output_leaf: int | None, input_leaf: int | None) -> LeafPair:
    """The entries of one output leaf and one input leaf; None is the whole side."""
    key = output_leaf, input_leaf
    if output_leaf is not None and input_leaf is not None and key in leaf_pairs(layout):
        return leaf_pairs(layout)[output_leaf, input_leaf]
    if ("restrict", key) not in layout.derived:
        inside = np.ones(layout.nnz, bool)
        if output_leaf is not None:
            inside &= leaf_of(layout.rows, layout.output_side) == output_leaf
        if input_leaf is not None:
            inside &= leaf_of(layout.cols, layout.input_side) == input_leaf
        selection = as_slice(np.flatnonzero(inside))
        layout.derived["restrict", key] = _pair(layout, selection, output_leaf, input_leaf)
    pair: LeafPair = layout.derived["restrict", key]
    return pair


def _pair(
    layout: Layout, selection: Selection, output_leaf: int | None, input_leaf: int | None
) -> LeafPair:
    output, row_offset = _part(layout.output_side, output_leaf)
    inputs, col_offset = _part(layout.input_side, input_leaf)
    locate = layout.locate
    return LeafPair(
        (output_leaf, input_leaf),
        selection,
        Layout(
            layout.rows[selection] - row_offset,
            layout.cols[selection] - col_offset,
            inputs,
            output,
            layout.dtype_from,
            None if locate is None else lambda row, col: locate(row + row_offset, col + col_offset),
            layout.is_transpose,
        ),
    )


def _part(side: Side, leaf: int | None) -> tuple[Side, int]:
    return (side, 0) if leaf is None else (side.leaf(leaf), side.offsets[leaf])


def leaf_of(index: np.ndarray, side: Side) -> np.ndarray:
    """The number of the leaf that each row or column belongs to."""
    return np.searchsorted(side.offsets[1:], index, side="right")


def as_slice(index: np.ndarray) -> Selection:
    """A slice for consecutive numbers; else the array, as small as it can be."""
    if index.size == 0:
        return slice(0, 0)
    first = int(index[0])
    if np.array_equal(index, np.arange(first, first + index.size)):
        return slice(first, first + index.size)
    return index.astype(np.int32) if index.max() <= np.iinfo(np.int32).max else index


def find_leaf(side: Side, path: Any, call: str, name: str) -> int | None:
    """The number of the leaf at a path; None for no path.

    Raises:
        ValueError: there is no such leaf; the message lists those there are.
    """
    if path is None:
        return None
    for number, known in enumerate(side.paths):
        if path in _spellings(known):
            return number
    shown = ", ".join(repr(name) for name in side.names[:8])
    more = f", ... ({len(side.names)} leaves)" if len(side.names) > 8 else ""
    raise ValueError(
        f"{call}: the {name} has no leaf at {path!r}; its leaves: {shown}{more}. None takes the "
        "whole side."
    )


def _spellings(path: Sequence[Any]) -> list[Any]:
    """A key path in all the ways that a user may write it."""
    keys = tuple(
        next(getattr(key, name) for name in ("key", "idx", "name") if hasattr(key, name))
        for key in path
    )
    slashed = keystr(tuple(path), simple=True, separator="/")
    return [tuple(path), keys, keystr(tuple(path)), slashed, *(keys if len(keys) == 1 else ())]
