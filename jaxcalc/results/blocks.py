"""The diagonal of a structured derivative, and its blocks over a batch."""

from __future__ import annotations

from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.patterns.structure import equal_blocks
from jaxcalc.results.compiled import Kernel, compiled, gather
from jaxcalc.results.layout import Layout
from jaxcalc.results.leaves import leaf_of
from jaxcalc.results.products import take
from jaxcalc.space import Side

_CALL = "jaxcalc.Jacobian.blocks"


def diagonal(values: Any, layout: Layout) -> Any:
    """The main diagonal `[min(M, N)]`."""
    length = min(layout.shape)

    def make() -> tuple[Kernel, list[np.ndarray]]:
        entries = np.flatnonzero(layout.rows == layout.cols)

        def pick(entries: Any, rows: Any, values: Any) -> Any:
            found = gather(values, entries)
            if entries.size == length:
                # every place is taken, so a sorted gather is the whole diagonal
                return found
            return jnp.zeros(length, values.dtype).at[rows].set(found, unique_indices=True)

        entries = entries[np.argsort(layout.rows[entries], kind="stable")].astype(np.int32)
        return pick, [entries, layout.rows[entries]]

    return compiled(layout, "diagonal", make)(values)


def batched_blocks(values: Any, layout: Layout, count: int | None) -> Any:
    """The blocks `[B, outputs, inputs]` along the diagonal; see `Jacobian.blocks`."""
    key = ("blocks", count)
    if key not in layout.derived:
        layout.derived[key] = _block_layout(layout, count)
    shape, places = layout.derived[key]
    if layout.nnz == prod(shape):
        return take(values, layout, key, lambda: _order(shape, places)).reshape(shape)

    def make() -> tuple[Kernel, list[np.ndarray]]:
        def scatter(b: Any, i: Any, j: Any, values: Any) -> Any:
            return jnp.zeros(shape, values.dtype).at[b, i, j].set(values, unique_indices=True)

        return scatter, [axis.astype(layout.rows.dtype) for axis in places]

    return compiled(layout, ("kernel", key), make)(values)


def _block_layout(
    layout: Layout, count: int | None
) -> tuple[tuple[int, int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The shape (B, outputs, inputs), and where in it each entry belongs."""
    coupled, batch = None, _shared_batch(layout)
    if batch is not None and count in (None, batch):
        row_block, i = _batch_places(layout.rows, layout.output_side, batch)
        col_block, j = _batch_places(layout.cols, layout.input_side, batch)
        if (row_block == col_block).all():
            sizes = _per_sample(layout.output_side), _per_sample(layout.input_side)
            return (batch, *sizes), (row_block, i, j)
        coupled = _coupled(layout, row_block, col_block, "sample")
        if count is not None or not _only_vectors(layout):
            raise coupled
    # the shared axis of vectors may be no batch but the vector's own, made of longer blocks
    m, n = layout.shape
    found = count if count is not None else equal_blocks(layout.pattern)
    if found < 1 or m % found or n % found:
        raise ValueError(f"{_CALL}: a {m} x {n} matrix cannot be cut into {count!r} equal blocks.")
    if found == 1 and count is None:
        raise coupled or _no_blocks(layout)
    row_block, i = np.divmod(layout.rows, max(1, m // found))
    col_block, j = np.divmod(layout.cols, max(1, n // found))
    if not (row_block == col_block).all():
        raise _coupled(layout, row_block, col_block, "block")
    return (found, m // found, n // found), (row_block, i, j)


def _only_vectors(layout: Layout) -> bool:
    shapes = layout.input_side.shapes + layout.output_side.shapes
    return all(len(shape) == 1 for shape in shapes)


def _shared_batch(layout: Layout) -> int | None:
    """The length of the leading axis that all leaves of both sides share, if they do."""
    shapes = [
        shape
        for side in (layout.output_side, layout.input_side)
        for shape, varies in zip(side.shapes, side.varies, strict=True)
        if varies
    ]
    lengths = {shape[:1] for shape in shapes}
    return lengths.pop()[0] if len(lengths) == 1 and () not in lengths else None


def _batch_places(index: np.ndarray, side: Side, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row or column, its sample, and its number among the sample's own."""
    offsets = np.asarray(side.offsets)
    sizes = np.diff(offsets) // max(1, batch)
    begins = np.concatenate([[0], np.cumsum(sizes)])
    leaf = leaf_of(index, side)
    sample, within = np.divmod(index - offsets[leaf], sizes[leaf])
    return sample, begins[leaf] + within


def _per_sample(side: Side) -> int:
    pairs = zip(side.shapes, side.varies, strict=True)
    return sum(prod(shape[1:]) for shape, varies in pairs if varies)


def _order(shape: tuple[int, int, int], places: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """The permutation that puts the entries of full blocks in the order of the array."""
    position = np.ravel_multi_index(places, shape)
    order = np.argsort(position, kind="stable")
    return None if np.array_equal(order, np.arange(order.size)) else order


def _coupled(layout: Layout, row_block: np.ndarray, col_block: np.ndarray, noun: str) -> ValueError:
    """Names two samples that are coupled, by which elements, and in which line if that is known."""
    entry = int(np.argmax(row_block != col_block))
    row, col = int(layout.rows[entry]), int(layout.cols[entry])
    line = layout.locate(row, col) if layout.locate is not None else None
    where = f" The line that couples them: {line}." if line else ""
    share = int((row_block != col_block).sum())
    return ValueError(
        f"{_CALL}: {noun}s {row_block[entry]} and {col_block[entry]} are coupled: "
        f"output{layout.output_side.element(row)} of {noun} {row_block[entry]} depends on "
        f"input{layout.input_side.element(col)} of {noun} {col_block[entry]} ({share:,} of "
        f"{layout.nnz:,} entries couple {noun}s).{where} Use matrix() or to_bcoo() for a derivative "
        "that is not block diagonal."
    )


def _no_blocks(layout: Layout) -> ValueError:
    m, n = layout.shape
    return ValueError(
        f"{_CALL}: this {m} x {n} matrix is not made of equal blocks along its diagonal, and its "
        f"leaves share no leading axis (output {layout.output_side}, input {layout.input_side}). Use "
        "matrix() for the whole, block(output_path, input_path) for a pair of leaves, or count=1."
    )
