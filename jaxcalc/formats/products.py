"""Products of a sparse matrix with vectors and matrices, without forming anything dense."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.formats.compiled import Kernel, compiled, gather
from jaxcalc.formats.grids import permutation_grid
from jaxcalc.formats.layout import Layout
from jaxcalc.formats.sides import Side


def product(values: Any, layout: Layout, operand: Any) -> Any:
    """The matrix times a vector `[N]` or a matrix `[N, K]`."""
    shape = (layout.shape[0], *operand.shape[1:])
    with jax.numpy_dtype_promotion("standard"):
        terms = values.reshape(-1, *(1,) * (operand.ndim - 1)) * operand[layout.cols]
    return jnp.zeros(shape, terms.dtype).at[layout.rows].add(terms)


def matmul(values: Any, layout: Layout, operand: Any, call: str) -> Any:
    """`J @ operand`; see `Jacobian` for what the operand may be."""
    flat, structured = as_operand(operand, layout.input_side, call)
    result = product(values, layout, flat)
    return _unravel(result, values, layout) if structured else result


def _unravel(result: Any, values: Any, layout: Layout) -> Any:
    side = layout.output_side
    return side.unravel(result, side.dtypes if values.dtype == layout.dtype else None)


def rmatmul(values: Any, layout: Layout, operand: Any) -> Any:
    """`operand @ J`, which is `J.T` times the operand."""
    transposed = layout.transposed
    flat, structured = as_operand(operand, layout.output_side, "v @ J", axis=1)
    if flat.ndim == 2:
        return product(values, transposed, flat.T).T
    result = product(values, transposed, flat)
    return _unravel(result, values, transposed) if structured else result


def as_operand(operand: Any, side: Side, call: str, axis: int = 0) -> tuple[Any, bool]:
    """The operand as a vector `[size]` or a matrix, and whether it came as this side's pytree."""
    is_array = isinstance(operand, jax.Array | np.ndarray)
    if is_array and operand.shape == (side.size,):
        return jnp.asarray(operand), False
    leaves, treedef = jax.tree.flatten(operand)
    fits = treedef == side.treedef and all(
        np.shape(leaf) == shape or not varies
        for leaf, shape, varies in zip(leaves, side.shapes, side.varies, strict=True)
    )
    if fits:
        return side.ravel(leaves), True
    if is_array and operand.ndim == 2 and operand.shape[axis] == side.size:
        return jnp.asarray(operand), False
    given = f"an array of shape {list(operand.shape)}" if is_array else str(Side.of(operand))
    matrix = f"[{side.size}, K]" if axis == 0 else f"[K, {side.size}]"
    raise ValueError(
        f"jaxcalc.Jacobian: {call} got {given}; expected a vector [{side.size}], a matrix {matrix}, "
        f"or the pytree of the {'input' if axis == 0 else 'output'}, {side}."
    )


def take(values: Any, layout: Layout, key: Any, order: np.ndarray | None) -> Any:
    """`values[order]` for a static permutation, or the values for None; kept with the layout."""
    if order is None:
        return values

    def make() -> tuple[Kernel, list[np.ndarray]]:
        grid = permutation_grid(order)
        if grid is None:
            return (lambda order, values: gather(values, order)), [order]
        shape, axes = grid
        return (lambda values: values.reshape(shape).transpose(axes).reshape(-1)), []

    return compiled(layout, ("take", key), make)(values)
