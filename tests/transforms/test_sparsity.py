"""The pattern alone: sound, tight where f allows, and found without evaluating f."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc


def test_known_counts():
    n = 50
    x = jax.ShapeDtypeStruct((n,), jnp.float32)

    def tridiagonal(x):
        return jnp.pad(x, 1)[:-2] - 2 * x + jnp.pad(x, 1)[2:]

    assert jaxcalc.sparsity(tridiagonal, x).nnz == 3 * n - 2
    assert jaxcalc.sparsity(lambda x: jnp.roll(x, 1) * x, x).nnz == 2 * n
    assert jaxcalc.sparsity(jnp.cumsum, x).nnz == n * (n + 1) // 2
    assert jaxcalc.sparsity(lambda x: jax.lax.stop_gradient(x) + jnp.ones(n), x).nnz == 0

    def segments(x):
        return jax.ops.segment_sum(x**2, jnp.arange(300) // 30, 10)

    assert jaxcalc.sparsity(segments, jnp.ones(300)).nnz == 300


def test_hessian_patterns():
    x = jnp.ones(20)
    assert jaxcalc.sparsity(lambda x: jnp.sum(x**3), x, order=2).nnz == 20
    assert jaxcalc.sparsity(lambda x: jnp.sum(x[1:] * x[:-1]), x, order=2).nnz == 38
    assert jaxcalc.sparsity(jnp.sum, x, order=2).nnz == 0


def test_entries_that_happen_to_be_zero_are_there():
    pattern = jaxcalc.sparsity(lambda x: x * x[::-1], jnp.zeros(4))
    assert pattern.nnz == 8
    assert jaxcalc.sparsity(lambda x: jnp.where(x > 0, x, 0.0), -jnp.ones(3)).nnz == 3


def test_rows_are_in_order_and_the_function_is_not_run():
    def f(x):
        jax.debug.callback(lambda: pytest.fail("f was run"))
        return jnp.stack([x[2], x[0], x[1]])

    pattern = jaxcalc.sparsity(f, jnp.ones(3))
    assert pattern.rows.tolist() == [0, 1, 2]
    assert pattern.cols.tolist() == [2, 0, 1]
    jax.effects_barrier()


def test_names_positions_and_other_arguments():
    def f(x, w, n):
        return x[:n] * w

    x, w = jnp.ones(5), jax.ShapeDtypeStruct((), jnp.float32)
    assert jaxcalc.sparsity(f, x, w, 3).nnz == 3
    assert jaxcalc.sparsity(f, x, w, 3, argnames="w").shape == (3, 1)
    assert jaxcalc.sparsity(f, x, w=w, n=3, argnums=0).nnz == 3
    assert jaxcalc.sparsity(f, x, w, 3, argnums=(0, 1)).nnz == 6


def test_bad_inputs():
    with pytest.raises(ValueError, match=r"jaxcalc.sparsity: order must be 1 .* got 3"):
        jaxcalc.sparsity(jnp.sin, jnp.ones(3), order=3)
    with pytest.raises(TypeError, match=r"jaxcalc.sparsity: expected a function"):
        jaxcalc.sparsity(3, jnp.ones(3))
    with pytest.raises(TypeError, match=r"x is int32"):
        jaxcalc.sparsity(lambda x: x, jnp.arange(3))
    with pytest.raises(TypeError, match=r"concrete value"):
        jaxcalc.sparsity(lambda x: x if x[0] > 0 else -x, jnp.ones(3))


def test_static_structure_under_an_outer_jit():
    found = []

    def f(x):
        diagonal = jnp.diag(jnp.arange(1.0, 6.0))
        mask = jnp.arange(5) % 2 == 0
        return jnp.where(mask, diagonal @ x, 0.0) + x[jnp.arange(5)[::-1]]

    @jax.jit
    def outer(x):
        J = jaxcalc.jacobian(f, format="structured")(x)
        found.append(J.nnz)
        return J.matrix()

    x = jnp.arange(5.0)
    np.testing.assert_allclose(outer(x), jax.jacfwd(f)(x))
    assert found == [5 + 3 - 1]  # the middle element is on both diagonals
