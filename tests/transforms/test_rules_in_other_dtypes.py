"""Backward rules that answer in another floating dtype than the input's, which JAX takes and casts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc

X = jnp.arange(3.0, dtype=jnp.bfloat16)
W = jnp.array([[1.0, 2.0], [0.5, 4.0], [2.0, 1.0]], jnp.bfloat16)


@jax.custom_vjp
def product(x):
    return x @ W


product.defvjp(lambda x: (x @ W, None), lambda _, ct: ((ct @ W.T).astype(jnp.float32),))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobians_have_the_dtype_of_the_input(mode):
    expected = jax.jit(jax.jacrev(product))(X)
    assert expected.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(expected, np.float32), np.asarray(W.T, np.float32))
    for format in ("dense", "structured"):  # noqa: A001
        found = jaxcalc.jacobian(product, mode=mode, format=format)(X)
        dense = found if format == "dense" else found.todense()
        assert dense.dtype == jnp.bfloat16
        np.testing.assert_array_equal(np.asarray(dense, np.float32), np.asarray(expected, np.float32))


def test_hessians_and_checks():
    loss = lambda x: jnp.sum(product(x) ** 2)  # noqa: E731
    expected = jax.jacrev(jax.jacrev(loss))(X)
    for found in (
        jaxcalc.hessian(loss)(X),
        jaxcalc.hessian(loss, format="structured")(X).todense(),
    ):
        assert found.dtype == jnp.bfloat16
        np.testing.assert_allclose(
            np.asarray(found, np.float32), np.asarray(expected, np.float32), rtol=0.02
        )
    assert jaxcalc.check(product, X).passed
