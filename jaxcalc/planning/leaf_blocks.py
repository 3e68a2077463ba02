"""A derivative between pytrees, leaf by leaf."""

from __future__ import annotations

import numpy as np

from jaxcalc.planning.findings import Block
from jaxcalc.results.layout import Layout
from jaxcalc.results.leaves import leaf_of
from jaxcalc.results.pattern import SparsityPattern


def blocks_of(layout: Layout) -> list[Block]:
    """The derivative of each output leaf with respect to each input leaf; none for a single pair."""
    outputs, inputs = (
        [number for number, varies in enumerate(side.varies) if varies]
        for side in (layout.output_side, layout.input_side)
    )
    if len(outputs) * len(inputs) <= 1:
        return []
    count = len(layout.input_side.shapes)
    block = leaf_of(layout.rows, layout.output_side) * count + leaf_of(layout.cols, layout.input_side)
    order = np.argsort(block, kind="stable")
    numbers = np.arange(len(layout.output_side.shapes) * count + 1)
    ends = np.searchsorted(block[order], numbers)
    return [
        _block(layout, i, j, order[ends[i * count + j] : ends[i * count + j + 1]])
        for i in outputs
        for j in inputs
    ]


def _block(layout: Layout, output: int, input_: int, entries: np.ndarray) -> Block:
    rows_side, cols_side = layout.output_side, layout.input_side
    first_row, first_col = rows_side.offsets[output], cols_side.offsets[input_]
    pattern = SparsityPattern.from_entries(
        layout.rows[entries] - first_row,
        layout.cols[entries] - first_col,
        (rows_side.offsets[output + 1] - first_row, cols_side.offsets[input_ + 1] - first_col),
    )
    return Block(
        rows_side.names[output],
        cols_side.names[input_],
        rows_side.shapes[output] + cols_side.shapes[input_],
        pattern.nnz,
        str(pattern.structure),
    )
