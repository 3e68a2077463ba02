"""Matrix products: lanes that keep their block, products with known zeros, both operands tangents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal

import jaxcalc
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")


def weights(*shape, seed=5):
    return np.random.default_rng(seed).normal(size=shape)


W, V = weights(5, 7), weights(7, 3)
BAND = np.triu(np.tril(np.ones((6, 6)), 1), -1)


def attention(x):
    q, k, v = (x @ weights(4, 4, seed=i) for i in range(3))
    scores = jax.nn.softmax(jnp.einsum("bqd,bkd->bqk", q, k) / 2.0, -1)
    return jnp.einsum("bqk,bkd->bqd", scores, v)


CASES = {
    "matrix": Case(lambda x: W.T @ x, (5,), 35),
    "samples": Case(lambda x: x @ W, (4, 5), 4 * 35),
    "network on samples": Case(lambda x: jnp.tanh(jnp.tanh(x @ W) @ V), (4, 5), 4 * 15),
    "network across samples": Case(lambda x: jnp.tanh(W.T @ jnp.tanh(x)), (5, 2), 2 * 35),
    "diagonal matrix": Case(lambda x: jnp.diag(jnp.arange(1.0, 6)) @ x, (5,), 5),
    "band matrix": Case(lambda x: BAND @ jnp.sin(x), (6,), 16),
    "band matrix twice": Case(lambda x: BAND @ jnp.sin(BAND @ x), (6,), 24),
    "band matrix of samples": Case(lambda x: jnp.sin(x) @ BAND, (2, 6), 32),
    "band matrix on the left of samples": Case(lambda x: BAND @ jnp.sin(x), (6, 2), 32),
    "band matrix by samples": Case(
        lambda x: jnp.einsum("bij,bjk->bik", np.stack([BAND, np.eye(6)]), x), (2, 6, 2), 32 + 12
    ),
    "band tensor": Case(
        lambda x: jnp.tensordot(BAND.reshape(6, 2, 3), x, ((1, 2), (0, 1))), (2, 3, 2), 32
    ),
    "band matrix on lanes": Case(lambda x: BAND @ jnp.tanh(x @ W), (6, 5), 16 * 35),
    "zero matrix": Case(lambda x: np.zeros((3, 5)) @ x, (5,), 0),
    "permutation": Case(lambda x: np.eye(4)[[2, 0, 3, 1]] @ x, (4,), 4),
    "one-hot rows": Case(lambda x: jax.nn.one_hot(jnp.array([0, 2]), 3) @ x, (3, 2), 4),
    "after a band": Case(lambda x: W.T @ (BAND[:5, :5] @ x), (5,), 35),
    "dot": Case(lambda x: x @ weights(5), (5,), 5),
    "dot with itself": Case(lambda x: x @ x, (5,), 5),
    "outer": Case(lambda x: jnp.outer(x, weights(3)), (4,), 12),
    "outer with itself": Case(lambda x: jnp.outer(x, x), (4,), 28),
    "both operands": Case(lambda x: x @ x.T, (3, 4), None),
    "batched both": Case(lambda x: jnp.einsum("bij,bjk->bik", x, jnp.sin(x)), (2, 3, 3), 2 * 9 * 5),
    "three axes": Case(lambda x: jnp.einsum("abc,cbd->ad", x, weights(4, 3, 2)), (2, 3, 4), 48),
    "axes in another order": Case(
        lambda x: jnp.einsum("bc,acd->dba", x, weights(2, 4, 3)), (5, 4), 5 * 24
    ),
    "batch in the middle": Case(
        lambda x: jnp.einsum("ibj,bjk->ibk", x, weights(3, 2, 4)), (2, 3, 2), 48
    ),
    "sum of one term": Case(lambda x: x[:, None] @ weights(1, 3), (4,), 12),
    "sum of one known term": Case(lambda x: x[:, None] @ np.array([[1.0, 0, 2]]), (4,), 8),
    "no terms": Case(lambda x: x @ np.zeros((0, 3)), (2, 0), 0),
    "no rows": Case(lambda x: x @ W, (0, 5), 0),
    "one by one": Case(lambda x: x @ np.array([[2.0]]), (1, 1), 1),
    "attention": Case(attention, (2, 3, 4), 2 * 12 * 12),
    "quadratic form": Case(lambda x: jnp.einsum("bi,ij,bj->b", x, weights(3, 3), x), (4, 3), 12),
    "wide after narrow": Case(lambda x: jnp.tanh(x @ weights(6, 2)) @ weights(2, 6), (3, 6), 3 * 36),
    "powers": Case(lambda x: jnp.linalg.matrix_power(x, 3), (2, 3, 3), 2 * 81),
}


@pytest.mark.parametrize("name", thinned(CASES))
def test_against_dense(name):
    check(CASES[name])


def test_hessians():
    check_hessian(lambda x: x @ weights(5, 5) @ x, normal(5), 25)
    check_hessian(lambda x: jnp.sum(jnp.tanh(x @ W) @ V), normal(4, 5), 4 * 25)
    check_hessian(lambda x: jnp.sum((BAND @ x) ** 3), normal(6), 24)
    check_hessian(lambda x: jnp.sum(W.T @ x), normal(5), 0)
    check_hessian(lambda w: jnp.sum(jnp.tanh(normal(3, 5) @ w)), normal(5, 2), 2 * 25)


def test_by_the_weights():
    x = normal(4, 5)
    check(Case(lambda w: x @ w, (5, 3), 4 * 3 * 5))
    check(Case(lambda w: jnp.tanh(jnp.tanh(x @ w) @ V[:3]), (5, 3), 4 * 3 * 15))


def test_lanes_of_a_network_are_as_many_as_its_inputs():
    f = lambda x: jnp.tanh(jnp.tanh(x @ W) @ V)  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured", strict=True)(normal(32, 5))
    assert found.blocks().shape == (32, 3, 5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_narrow_types(dtype):
    w = jnp.asarray(W, dtype)
    check(Case(lambda x: x @ w * 0.25, (), 70), normal(2, 5, dtype=dtype))


def test_wide_accumulation_is_the_dtype_of_the_result():
    w = jnp.asarray(W, jnp.bfloat16)
    f = lambda x: jnp.matmul(x, w, preferred_element_type=jnp.float32)  # noqa: E731
    x = normal(2, 5, dtype=jnp.bfloat16)
    for case in (f, lambda x: f(jnp.cumsum(x, 1))):
        found = jaxcalc.jacobian(case, format="structured", mode="forward", strict=True)(x)
        assert found.values.dtype == jnp.float32
        np.testing.assert_allclose(found.todense(), jax.jit(jax.jacfwd(case))(x), atol=5e-2)


def test_holomorphic():
    w = normal(3, 4, dtype=np.complex64)
    f = lambda z: jnp.exp(z @ w) @ w.T  # noqa: E731
    z = normal(2, 3, dtype=np.complex64) / 4
    for way in ("forward", "reverse"):
        found = jaxcalc.jacobian(f, format="structured", mode=way, holomorphic=True, strict=True)(z)
        np.testing.assert_allclose(
            found.todense(), jax.jit(jax.jacfwd(f, holomorphic=True))(z), rtol=1e-4, atol=1e-4
        )
        assert found.nnz == 2 * 9
