"""Sparse results as arrays of numpy, and products with arrays on the left that stay sparse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

import jaxcalc
from jaxcalc.heuristics import tuned

BIG = 100_000  # a dense matrix of so many rows and columns is above every limit


def f(x):
    return x[1:] * x[:-1] ** 2


def structured(x):
    return jaxcalc.jacobian(f, format="structured")(x)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_numpy_gets_the_matrix(dtype):
    x = jnp.arange(1.0, 5.0).astype(dtype)
    expected = np.array([[4, 1, 0, 0], [0, 12, 4, 0], [0, 0, 24, 9]], np.float64)
    J = structured(x)
    for found in (np.asarray(J), np.array(J), J.toarray(), np.stack([J, J])[1]):
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found.astype(np.float64), expected)
    as_double = np.asarray(J, dtype=np.float64)
    assert as_double.dtype == np.float64
    np.testing.assert_array_equal(as_double, expected)
    np.testing.assert_array_equal(np.asarray(J.T), J.toarray().T)
    if dtype == "float32":
        np.testing.assert_array_equal(sparse.csr_array(J).toarray(), expected)
    J.toarray()[:] = 0  # it is a copy
    np.testing.assert_array_equal(J.toarray().astype(np.float64), expected)
    with pytest.raises(ValueError, match="leave out copy=False"):
        np.asarray(J, copy=False)


def test_a_pattern_is_an_array_of_booleans():
    pattern = structured(jnp.ones(4)).pattern
    for found in (np.asarray(pattern), pattern.toarray(), pattern.todense()):
        assert found.dtype == bool
        np.testing.assert_array_equal(found, np.eye(3, 4, dtype=bool) | np.eye(3, 4, 1, dtype=bool))
    assert np.asarray(pattern, dtype=int).sum() == 6
    with pytest.raises(ValueError, match="leave out copy=False"):
        np.asarray(pattern, copy=False)


def test_too_large_a_matrix_is_refused_with_the_sparse_ways(monkeypatch):
    J = structured(jnp.ones(BIG))
    text = (
        r"^jaxcalc.Jacobian.toarray: the dense 99,999 x 100,000 matrix needs 37\.3 GiB for 199,998 "
        r"entries; take J.to_scipy\(\) or J.to_bcoo\(\), or multiply by it as it is: J @ v, v @ J\."
    )
    for convert in (np.asarray, lambda J: J.toarray(), jnp.asarray):
        with pytest.raises(MemoryError, match=text):
            convert(J)
    with pytest.raises(MemoryError, match=r"SparsityPattern.todense: .* take its rows and cols\.$"):
        np.asarray(J.pattern)
    with tuned(largest_dense_bytes=3 * 4 * 4):
        structured(jnp.ones(4)).toarray()
        with pytest.raises(MemoryError):
            structured(jnp.ones(5)).toarray()


def test_an_array_on_the_left_keeps_the_matrix_sparse():
    J = structured(jnp.ones(BIG))  # what made it dense would raise a MemoryError
    v = np.linspace(0, 1, BIG - 1, dtype=np.float32)
    expected = np.zeros(BIG)
    expected[:-1] += 2 * v  # d f_i / d x_i = 2 at ones, d f_i / d x_{i+1} = 1
    expected[1:] += v
    jitted = jax.jit(lambda v, x: v @ structured(x))(v, jnp.ones(BIG))
    for found in (v @ J, jnp.asarray(v) @ J, jitted, (np.stack([v, v]) @ J)[1]):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    for factor in (2, np.float32(2), np.float64(2), jnp.float32(2), np.array(2.0), jnp.asarray(2.0)):
        assert isinstance(factor * J, jaxcalc.Jacobian)
        assert isinstance(J * factor, jaxcalc.Jacobian)
    assert not hasattr(J, "__jax_array__")


def test_traced_values_are_refused_with_what_to_use():
    text = r"^jaxcalc.Jacobian.toarray: the values are traced \(float32\[6\]\).*use J\.matrix\(\) here"
    with pytest.raises(TypeError, match=text):
        jax.jit(lambda x: np.asarray(structured(x)))(jnp.ones(4))
    found = jax.jit(lambda x: structured(x).matrix())(jnp.ones(4))
    np.testing.assert_array_equal(found, structured(jnp.ones(4)))


def test_operations_that_are_not_there_say_what_is():
    J, dense = structured(jnp.ones(4)), np.ones((3, 4))
    for operation, text in (
        (lambda: J + 1, r"J1 \+ J2 takes two Jacobians, got int; compute with J.matrix\(\)"),
        (lambda: 1 + J, r"J1 \+ J2 takes two Jacobians, got int"),
        (lambda: J - dense, r"J1 - J2 takes two Jacobians, got ndarray of shape \[3, 4\]"),
        (lambda: dense - J, r"J1 - J2 takes two Jacobians, got ndarray of shape \[3, 4\]"),
        (lambda: jnp.asarray(dense) + J, r"J1 \+ J2 takes two Jacobians, got ArrayImpl of shape"),
        (
            lambda: J * J,
            r"J \* c takes a number c; for a product of matrices write J @ v, got Jac",
        ),
        (lambda: dense * J, r"J \* c takes a number c; .* got ndarray of shape \[3, 4\]"),
        (lambda: J / dense, r"J / c takes a number c, got ndarray of shape \[3, 4\]"),
    ):
        with pytest.raises(TypeError, match=rf"^jaxcalc.Jacobian: {text}"):
            operation()


def test_a_batch_and_an_element_are_refused():
    J = jax.vmap(structured)(jnp.ones((2, 4)))
    with pytest.raises(ValueError, match=r"^jaxcalc.Jacobian.toarray: .* this is a batch of Jacobians"):
        np.asarray(J)
    for take in (lambda J: J[0], list, lambda J: J[0, 1]):
        with pytest.raises(TypeError, match=r"^jaxcalc.Jacobian: J\[...\] is not supported; take"):
            take(structured(jnp.ones(4)))
