"""Matrix products in groups of uneven size against a product for each group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(6, 5)).astype(np.float32)
MATRICES = RNG.normal(size=(3, 5, 2)).astype(np.float32)
SIZES = np.array([2, 3, 1], np.int32)
GROUPS = np.repeat(np.arange(3), SIZES)

BOTH = pytest.mark.parametrize("mode", ["forward", "reverse"])


def plain(rows, matrices):
    return jnp.einsum("mk,mkn->mn", rows, matrices[GROUPS])


def structured(f, x, mode="forward"):
    return jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(x)


def assert_same(found, f, x):
    np.testing.assert_allclose(found.todense(), jax.jit(jax.jacfwd(f))(x), rtol=1e-5, atol=1e-5)


@BOTH
def test_by_the_rows(mode):
    found = structured(lambda x: lax.ragged_dot(jnp.sin(x), MATRICES, SIZES), ROWS, mode)
    assert found.nnz == 6 * 5 * 2  # rows do not mix
    assert_same(found, lambda x: plain(jnp.sin(x), MATRICES), ROWS)


@BOTH
def test_by_the_matrices(mode):
    found = structured(lambda w: lax.ragged_dot(ROWS, w**2, SIZES), MATRICES, mode)
    assert_same(found, lambda w: plain(ROWS, w**2), MATRICES)
    assert found.nnz <= 6 * 2 * 3 * 5  # columns do not mix


def test_sizes_that_are_traced():
    def f(sizes):
        return jaxcalc.jacobian(
            lambda x: lax.ragged_dot(x * x, MATRICES, sizes), format="structured", strict=True
        )(ROWS)

    found = jax.jit(f)(SIZES)
    assert found.nnz == 60
    assert_same(found, lambda x: plain(x * x, MATRICES), ROWS)


def test_hessian():
    f = lambda x: jnp.sum(lax.ragged_dot(x, MATRICES, SIZES) ** 2)  # noqa: E731
    found = jaxcalc.hessian(f, format="structured", strict=True)(ROWS)
    assert found.nnz == 6 * 25
    expected = jax.jit(jax.hessian(lambda x: jnp.sum(plain(x, MATRICES) ** 2)))(ROWS)
    np.testing.assert_allclose(found.todense(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", [0, 1])
def test_groups_of_what_is_summed(number):
    # the layout of the transpose: for each group its own sum over rows
    numbers = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), [0], [])
    operands = [ROWS, RNG.normal(size=(6, 2)).astype(np.float32)]

    def f(x):
        given = [jnp.sin(x) if i == number else y for i, y in enumerate(operands)]
        return lax.ragged_dot_general(*given, SIZES, numbers)

    def in_parts(x):
        a, b = (jnp.sin(x) if i == number else y for i, y in enumerate(operands))
        return jnp.stack([a[g == GROUPS].T @ b[g == GROUPS] for g in range(3)])

    found = structured(f, operands[number])
    assert_same(found, in_parts, operands[number])
    assert found.nnz == 3 * 5 * 2 * 6  # columns do not mix


@pytest.mark.parametrize("number", [0, 1])
def test_groups_of_a_batch_without_an_axis_to_put_lanes_beside(number):
    numbers = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((0,), (0,))), [0], [])
    operands = [ROWS, RNG.normal(size=(6, 5)).astype(np.float32)]

    def f(x):
        given = [jnp.sin(x) if i == number else y for i, y in enumerate(operands)]
        return lax.ragged_dot_general(*given, SIZES, numbers)

    found = structured(f, operands[number])
    assert found.nnz == 30
    expected = np.einsum("bk,bc->bck", np.cos(operands[number]) * operands[1 - number], np.eye(6))
    np.testing.assert_allclose(found.todense(), expected.transpose(1, 0, 2), rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_float64_under_strict_settings():
    rows = ROWS.astype(np.float64)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = structured(lambda x: lax.ragged_dot(x, MATRICES.astype(np.float64), SIZES), rows)
        dense = found.todense()
    assert dense.dtype == np.float64
    np.testing.assert_allclose(dense, jax.jacfwd(lambda x: plain(x, MATRICES))(rows), rtol=1e-12)
