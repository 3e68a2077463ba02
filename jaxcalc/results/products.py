"""Products of a sparse matrix with vectors and matrices, without forming anything dense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.results.compiled import Kernel, compiled, gather
from jaxcalc.results.grids import permutation_grid
from jaxcalc.results.layout import Layout
from jaxcalc.results.product_plans import product_plan
from jaxcalc.space import Side, promoted


def matmul(values: Any, layout: Layout, operand: Any) -> Any:
    """`J @ operand`; see `Jacobian` for what the operand may be."""
    array, structured = _as_operand(operand, layout.input_side, "J @ v", axis=0)
    result = _product(values, layout, array)
    return _unravel(result, values, layout) if structured else result


def rmatmul(values: Any, layout: Layout, operand: Any) -> Any:
    """`operand @ J`, which is `J.T` times the operand."""
    array, structured = _as_operand(operand, layout.output_side, "v @ J", axis=1)
    transposed = layout.transposed
    if array.ndim == 2:
        return _product(values, transposed, array.T).T
    result = _product(values, transposed, array)
    return _unravel(result, values, transposed) if structured else result


def _product(values: Any, layout: Layout, operand: Any) -> Any:
    """The matrix times a vector `[N]` or a matrix `[N, K]`."""
    dtype = promoted([values.dtype, operand.dtype])
    kernel = compiled(layout, "product", lambda: product_plan(layout))
    return kernel(values.astype(dtype), operand.astype(dtype))


def _unravel(result: Any, values: Any, layout: Layout) -> Any:
    side = layout.output_side
    if layout.is_transpose and jnp.iscomplexobj(result):  # of real inputs: a row of complex derivatives
        return side.unravel(result)
    # a dtype that the user chose for the values, say by tree_map, is left alone
    return side.unravel(result, side.dtypes if values.dtype == layout.dtype else None)


def _as_operand(operand: Any, side: Side, call: str, axis: int) -> tuple[Any, bool]:
    """The operand as a vector or a matrix, and whether it came as this side's own pytree.

    The side's own structure comes first: when the input of f is a vector, a vector is the input's
    own structure, so that `J @ v` has the structure of f's output, as `jax.jvp` has it.
    """
    leaves, treedef = jax.tree.flatten(operand)
    if treedef == side.treedef and all(
        np.shape(leaf) == shape or not varies
        for leaf, shape, varies in zip(leaves, side.shapes, side.varies, strict=True)
    ):
        return side.ravel(leaves), True
    is_array = isinstance(operand, jax.Array | np.ndarray)
    if is_array and operand.ndim in (1, 2) and operand.shape[axis * (operand.ndim - 1)] == side.size:
        return jnp.asarray(operand), False
    if not is_array and hasattr(operand, "layout"):
        raise TypeError(
            "jaxcalc.Jacobian: J1 @ J2 of two Jacobians is not supported; use J1 @ J2.matrix(), or "
            "differentiate the composed function."
        )
    noun = ("input", "output")[axis]
    columns = (f"[{side.size}, K]", f"[K, {side.size}]")[axis]
    raise ValueError(
        f"jaxcalc.Jacobian: {call} got {_described(operand)}; expected the structure of the {noun}, "
        f"{side}, a flat vector [{side.size}] or a matrix {columns}."
    )


def _described(operand: Any) -> str:
    if isinstance(operand, jax.Array | np.ndarray):
        return f"an array {operand.dtype}{list(operand.shape)}"
    if all(hasattr(leaf, "shape") for leaf in jax.tree.leaves(operand)):
        return f"a {type(operand).__name__} {Side.of(operand)}"
    return f"{operand!r} of type {type(operand).__name__}"


def take(values: Any, layout: Layout, key: Any, find_order: Callable[[], np.ndarray | None]) -> Any:
    """`values[order]` for a static permutation, or the values for None; kept with the layout.

    `find_order` is called once for each key of a layout.
    """

    def make() -> tuple[Kernel, list[np.ndarray]]:
        order = find_order()
        if order is None:
            return (lambda values: values), []
        grid = permutation_grid(order)
        if grid is None:
            return (lambda order, values: gather(values, order)), [order]
        shape, axes = grid
        return (lambda values: values.reshape(shape).transpose(axes).reshape(-1)), []

    return compiled(layout, ("take", key), make)(values)
