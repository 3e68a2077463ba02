"""Derivatives of any order through linear solves and factorizations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from nested_jvp import assert_equals_nested, equation_count, nested

import jaxcalc

A = np.array([[2.0, 1.0], [0.5, 3.0]])
EYE = np.eye(2)


def triangular(x, **options):
    matrix = A + x * EYE + x * x * A.T
    return lax.linalg.triangular_solve(matrix, jnp.stack([x * A[0], A[1]]), **options)


FUNCTIONS = {
    "solve": lambda x: jnp.linalg.solve(A + x * EYE + x * x * A.T, jnp.stack([x, x**2])),
    "solve, constant matrix": lambda x: jnp.linalg.solve(A, jnp.stack([x, x**3])),
    "solve, constant right side": lambda x: jnp.linalg.solve(A + x * EYE, A[0]),
    "inverse": lambda x: jnp.linalg.inv(A * x + EYE),
    "determinant": lambda x: jnp.linalg.det(A * x + EYE),
    "cholesky": lambda x: jnp.linalg.cholesky(A @ A.T + x * EYE),
    "eigenvalues": lambda x: jnp.linalg.eigvalsh(A + A.T + x**2 * np.array([[1.0, 0.3], [0.3, 0]])),
    "tridiagonal": lambda x: lax.linalg.tridiagonal_solve(
        x * np.array([0.0, 1.0, 1.0]), np.full(3, 4.0) + x, np.array([1.0, 1.0, 0.0]), np.ones((3, 1))
    ),
    "cg": lambda x: jax.scipy.sparse.linalg.cg(
        lambda v: v * (2.0 + x), jnp.stack([x, x**2]), tol=1e-14
    )[0],
    **{
        f"triangular {options}": lambda x, options=options: triangular(x, **options)
        for options in (
            {"left_side": True, "lower": True},
            {"left_side": True, "lower": False, "unit_diagonal": True},
            {"left_side": False, "lower": True, "transpose_a": True},
            {"left_side": False, "lower": False},
        )
    },
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.usefixtures("x64")
def test_equals_nested_jvp(name):
    f = FUNCTIONS[name]
    assert_equals_nested(f, 0.7, 2, 3, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("x64")
def test_complex_triangular_solve():
    matrix = A + 1j * A.T

    def f(x):
        moving = lax.complex(A + x * EYE, matrix.imag * x)
        return lax.linalg.triangular_solve(
            moving, matrix, left_side=True, lower=True, transpose_a=True, conjugate_a=True
        )

    found = jaxcalc.derivative(f, order=3)(0.7)
    np.testing.assert_allclose(found, nested(f, 3)(0.7), rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_closed_form_of_the_inverse():
    # d^n/dx^n (A + x I)^-1 = (-1)^n n! (A + x I)^-(n + 1)
    inverse = np.linalg.inv(A + 0.7 * EYE)
    for order, factorial in ((1, 1), (3, 6), (6, 720)):
        found = jax.jit(jaxcalc.derivative(lambda x: jnp.linalg.inv(A + x * EYE), order=order))(0.7)
        expected = (-1) ** order * factorial * np.linalg.matrix_power(inverse, order + 1)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize(
    "name", ["solve", "inverse", "triangular " + str({"left_side": False, "lower": False})]
)
def test_one_solve_for_each_order(name):
    small, large = (
        equation_count(jaxcalc.derivative(FUNCTIONS[name], order=order), 0.7) for order in (4, 8)
    )
    assert large <= small * 2**3
