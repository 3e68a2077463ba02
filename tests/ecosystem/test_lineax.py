"""Linear solves and operators of lineax."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.ecosystem.packages import package

lx = package("lineax")

A = np.array([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]])


def test_jacobian_of_a_solve_with_respect_to_the_right_side():
    def solve(b):
        return lx.linear_solve(lx.MatrixLinearOperator(jnp.asarray(A)), b).value

    b = jnp.array([1.0, -2.0, 0.5])
    for mode in ("auto", "forward", "reverse"):
        found = jaxcalc.jacobian(solve, mode=mode)(b)
        np.testing.assert_allclose(found, np.linalg.inv(A), atol=1e-12)
    J = jax.jit(lambda b: jaxcalc.jacobian(solve, format="structured")(b).values)(b)
    np.testing.assert_allclose(J.reshape(3, 3), np.linalg.inv(A), atol=1e-12)


def test_gradient_of_a_solve_with_respect_to_the_matrix():
    b = np.array([1.0, -2.0, 0.5])

    def loss(matrix):
        operator = lx.MatrixLinearOperator(matrix)
        return jnp.sum(lx.linear_solve(operator, jnp.asarray(b)).value)

    x, adjoint = np.linalg.solve(A, b), np.linalg.solve(A.T, np.ones(3))
    np.testing.assert_allclose(
        jaxcalc.gradient(loss)(jnp.asarray(A)), -np.outer(adjoint, x), atol=1e-12
    )
    assert jaxcalc.check(loss, jnp.asarray(A)).passed


def test_a_batch_of_tridiagonal_solves():
    """Each right side gives its own solution."""
    diagonal, beside = jnp.array([4.0, 4.0, 4.0]), jnp.array([1.0, 1.0])
    operator = lx.TridiagonalLinearOperator(diagonal, beside, beside)
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)

    def solve(b):
        return jax.vmap(lambda b: lx.linear_solve(operator, b).value)(b)

    b = jnp.arange(6.0).reshape(2, 3)
    right = np.kron(np.eye(2), np.linalg.inv(matrix))
    found = jaxcalc.jacobian(solve)(b).reshape(6, 6)
    np.testing.assert_allclose(found, right, atol=1e-12)


def test_conjugate_gradients_of_a_function():
    """The matrix is known by its products alone; the derivative is that of the solution."""

    def solve(b):
        shape = jax.ShapeDtypeStruct((3,), jnp.float64)
        operator = lx.FunctionLinearOperator(lambda v: A @ v, shape, lx.positive_semidefinite_tag)
        return lx.linear_solve(operator, b, lx.CG(rtol=1e-12, atol=1e-12)).value

    found = jaxcalc.jacobian(solve)(jnp.array([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(found, np.linalg.inv(A), atol=1e-9)
