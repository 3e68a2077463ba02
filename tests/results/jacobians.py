"""Jacobians with entries chosen by the test, and the dense matrices that they stand for."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.results.jacobian import Jacobian, Layout, Side


def struct(*shape: int, dtype: Any = np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def filled(
    rows: Any, cols: Any, inputs: Any, outputs: Any, *, dtype: Any = None, seed: int = 0, **options: Any
) -> Jacobian:
    """A Jacobian with random values at these entries, in this order."""
    layout = Layout(np.asarray(rows), np.asarray(cols), Side.of(inputs), Side.of(outputs), **options)
    rng = np.random.default_rng(seed)
    dtype = layout.dtype if dtype is None else dtype
    values = rng.normal(size=layout.nnz)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        values = values + 1j * rng.normal(size=layout.nnz)
    return Jacobian(jnp.asarray(values, dtype), layout)


def of_mask(
    mask: np.ndarray, inputs: Any = None, outputs: Any = None, *, order: Any = None, **options: Any
) -> Jacobian:
    """A Jacobian with entries where the mask is true, shuffled unless an order is given."""
    rows, cols = np.nonzero(mask)
    order = np.random.default_rng(1).permutation(rows.size) if order is None else order
    inputs = struct(mask.shape[1]) if inputs is None else inputs
    outputs = struct(mask.shape[0]) if outputs is None else outputs
    return filled(rows[order], cols[order], inputs, outputs, **options)


def dense_of(jacobian: Jacobian) -> np.ndarray:
    """The matrix by a loop over its entries, in double precision."""
    values = np.asarray(jacobian.values)
    dense = np.zeros(
        jacobian.shape,
        np.result_type(values.dtype, np.float64) if values.dtype.itemsize > 2 else np.float64,
    )
    for row, col, value in zip(jacobian.rows, jacobian.cols, values, strict=True):
        dense[row, col] = value
    return dense


def tolerance(dtype: Any) -> float:
    return {2: 3e-2, 4: 1e-5, 8: 1e-5 if jnp.issubdtype(dtype, jnp.complexfloating) else 1e-12}.get(
        np.dtype(dtype).itemsize, 1e-12
    )
