"""A structured derivative in other formats: dense pytrees, a matrix, BCOO and scipy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import dtypes

from jaxcalc.results.compiled import Kernel, compiled, on_device
from jaxcalc.results.dense_limit import require_small
from jaxcalc.results.layout import Layout
from jaxcalc.results.leaves import LeafPair, leaf_pairs
from jaxcalc.results.products import take
from jaxcalc.space import as_dtype

ScipyFormat = Literal["coo", "csc", "csr"]


def to_matrix(values: Any, layout: Layout) -> Any:
    """The `[M, N]` array; a reshape when every element is an entry in a regular order."""
    m, n = layout.shape
    if layout.nnz == m * n:
        return take(values, layout, "order", lambda: layout.order).reshape(m, n)

    def make() -> tuple[Kernel, list[np.ndarray]]:
        def scatter(rows: Any, cols: Any, values: Any) -> Any:
            return (
                jnp.zeros((m, n), values.dtype)
                .at[rows, cols]
                .set(
                    values,
                    unique_indices=True,
                    mode="promise_in_bounds",
                    wrap_negative_indices=False,
                )
            )

        return scatter, [layout.rows, layout.cols]

    return compiled(layout, "matrix", make)(values)


def to_numpy(values: Any, layout: Layout) -> np.ndarray:
    """The `[M, N]` array on the host, refused where nobody can have meant to fill so much memory."""
    if isinstance(values, jax.core.Tracer):
        raise TypeError(
            f"jaxcalc.Jacobian.toarray: the values are traced ({values.dtype}[{values.size}]) and an "
            "array of numpy needs numbers; use J.matrix() here, or convert the Jacobian outside of jit "
            "and vmap."
        )
    m, n = layout.shape
    require_small("jaxcalc.Jacobian.toarray", layout.shape, values.dtype, layout.nnz)
    dense = np.zeros((m, n), values.dtype)
    dense[layout.rows, layout.cols] = np.asarray(values)
    return dense


def to_dense(values: Any, layout: Layout) -> Any:
    """The output's pytree of the input's pytrees of arrays."""

    def block(pair: LeafPair, shape: tuple[int, ...]) -> Any:
        return to_matrix(pair.select(values, layout), pair.layout).reshape(shape)

    return _nested(values, layout, block)


def to_bcoo(values: Any, layout: Layout) -> Any:
    """The output's pytree of the input's pytrees of BCOO, one index column for each axis."""
    from jax.experimental.sparse import BCOO  # it imports scipy: a quarter of a second

    def block(pair: LeafPair, shape: tuple[int, ...]) -> Any:
        data = pair.select(values, layout)
        if "bcoo" not in pair.layout.derived:
            pair.layout.derived["bcoo"] = on_device(_axis_indices(pair.layout))
        return BCOO(
            (data, pair.layout.derived["bcoo"]),
            shape=shape,
            indices_sorted=pair.layout.is_sorted,
            unique_indices=True,
        )

    return _nested(values, layout, block)


def _nested(values: Any, layout: Layout, block: Callable[[LeafPair, tuple[int, ...]], Any]) -> Any:
    """Blocks nested as `jax.jacfwd` nests them, in the dtypes that it gives them."""
    pairs = leaf_pairs(layout)
    output, inputs = layout.output_side, layout.input_side
    # a dtype that the user chose for the values, say by tree_map, is left alone
    cast = values.dtype == layout.dtype
    rows = []
    for o, output_shape in enumerate(output.shapes):
        row = []
        for i, input_shape in enumerate(inputs.shapes):
            shape = output_shape + input_shape
            if (o, i) not in pairs:
                row.append(np.zeros(shape, dtypes.float0))
                continue
            result = block(pairs[o, i], shape)
            row.append(_cast(result, layout.block_dtype(o, i)) if cast else result)
        rows.append(jax.tree.unflatten(inputs.treedef, row))
    return jax.tree.unflatten(output.treedef, rows)


def _cast(block: Any, dtype: Any) -> Any:
    if isinstance(block, jax.Array | np.ndarray):
        return as_dtype(block, dtype)
    from jax.experimental.sparse import BCOO

    return BCOO(
        (as_dtype(block.data, dtype), block.indices),
        shape=block.shape,
        indices_sorted=block.indices_sorted,
        unique_indices=True,
    )


def _axis_indices(layout: Layout) -> np.ndarray:
    """`[nnz, axes]`: where each entry sits along every axis of the output's and the input's leaf."""
    shapes = layout.output_side.shapes[0], layout.input_side.shapes[0]
    indices = np.empty((layout.nnz, len(shapes[0]) + len(shapes[1])), np.int32)
    for flat, shape, begin in zip((layout.rows, layout.cols), shapes, (0, len(shapes[0])), strict=True):
        # as np.unravel_index, which takes six times as long because it works in 64 bits
        rest = flat
        for axis in range(len(shape) - 1, 0, -1):
            outer = rest // shape[axis]
            indices[:, begin + axis] = rest - outer * shape[axis]
            rest = outer
        if shape:
            indices[:, begin] = rest
    return indices


def to_scipy(values: Any, layout: Layout, wanted: ScipyFormat) -> Any:
    """The matrix as a scipy.sparse array; the sorted structure is kept for the next call."""
    if wanted not in get_args(ScipyFormat):
        legal = ", ".join(repr(name) for name in sorted(get_args(ScipyFormat)))
        raise ValueError(f"jaxcalc.Jacobian.to_scipy: unknown format {wanted!r}; it can be {legal}.")
    try:
        from scipy import sparse
    except ImportError as error:
        raise ImportError(
            "jaxcalc.Jacobian.to_scipy needs scipy, which is not installed: pip install scipy"
        ) from error
    data = _on_host(values)
    if wanted == "coo":
        return sparse.coo_array((data, (layout.rows, layout.cols)), shape=layout.shape)
    source = layout if wanted == "csr" else layout.transposed
    if "compressed" not in source.derived:
        counts = np.bincount(source.rows, minlength=source.shape[0])
        source.derived["compressed"] = np.concatenate([[0], np.cumsum(counts)]).astype(
            np.int32 if source.nnz <= np.iinfo(np.int32).max else np.int64
        )
    if source.order is not None:
        data = data[source.order]
    make = sparse.csr_array if wanted == "csr" else sparse.csc_array
    # copies, so that changing the result in place does not change the layout
    indices, starts = source.sorted.cols.copy(), source.derived["compressed"].copy()
    result = make((data, indices, starts), shape=layout.shape)
    result.has_canonical_format = True
    return result


def _on_host(values: Any) -> np.ndarray:
    try:
        data = np.array(values)
    except jax.errors.TracerArrayConversionError as error:
        raise TypeError(
            f"jaxcalc.Jacobian.to_scipy: the values are traced ({values.dtype}[{values.size}]) and "
            "scipy needs numbers: return the Jacobian from the jit or vmap and convert it outside, "
            "or use to_bcoo inside."
        ) from error
    # scipy's kernels know no 16-bit floats
    return data.astype(np.float32) if data.dtype.itemsize == 2 else data
