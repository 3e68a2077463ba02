"""A Python number in f is a literal of its jaxpr, which has a dtype perhaps, but no shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.engine.jaxprs import fold

X = np.array([0.7, 1.3, 2.2])


@jax.custom_jvp
def scaled_sine(a, x):
    return a * jnp.sin(x)


@scaled_sine.defjvp
def _(primals, tangents):
    a, x = primals
    return scaled_sine(a, x), a * jnp.cos(x) * tangents[1]


CASES = {
    "a product, left": (lambda x: jnp.dot(2.0, x), 2 * np.eye(3)),
    "a product, right": (lambda x: jnp.dot(x, 2.0), 2 * np.eye(3)),
    "an integer": (lambda x: jnp.dot(3, x), 3 * np.eye(3)),
    "a zero": (lambda x: jnp.dot(0.0, x), np.zeros((3, 3))),
    "outer": (lambda x: jnp.outer(2.0, x)[0] ** 2, np.diag(8 * X)),
    "einsum": (lambda x: jnp.einsum(",i->i", 2.0, x), 2 * np.eye(3)),
    "a call": (lambda x: jax.jit(jnp.dot)(2.0, x), 2 * np.eye(3)),
    "a branch": (
        lambda x: jax.lax.cond(x[0] > 0, jnp.dot, lambda a, y: y, 2.0, x),
        2 * np.eye(3),
    ),
    "a loop": (lambda x: jax.lax.fori_loop(0, 3, lambda _, y: jnp.dot(0.5, y), x), np.eye(3) / 8),
    "written": (lambda x: x.at[1].set(3.0) ** 2, np.diag(2 * X * [1, 0, 1])),
    "a custom rule": (lambda x: scaled_sine(2.0, x), np.diag(2 * np.cos(X))),
}


@pytest.mark.parametrize("name", CASES)
def test_products_with_a_number(name, x64):
    f, expected = CASES[name]
    for mode in ("forward", "reverse"):
        found = jaxcalc.jacobian(f, format="structured", mode=mode)(X)
        np.testing.assert_allclose(found.todense(), expected, rtol=1e-14, err_msg=mode)
        assert found.nnz <= 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, bool, np.complex64, jnp.bfloat16])
def test_a_literal_is_read_as_an_array(dtype):
    aval = jax.ShapeDtypeStruct((), dtype)
    array = fold.constant(aval, True).array
    assert (array.shape, array.dtype, array.ndim) == ((), dtype, 0)
