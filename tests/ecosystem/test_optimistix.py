"""Solutions of equations and of least squares by optimistix, with implicit derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.ecosystem.packages import package

optx = package("optimistix")


def cube_root(p):
    """The u with u^3 = p, elementwise."""
    solver = optx.Newton(rtol=1e-12, atol=1e-12)
    return optx.root_find(lambda u, p: u**3 - p, solver, jnp.ones_like(p), args=p).value


def test_jacobian_of_a_root():
    p = jnp.array([0.5, 1.0, 8.0])
    right = np.diag(np.asarray(p) ** (-2 / 3) / 3)
    np.testing.assert_allclose(jax.jit(jaxcalc.jacobian(cube_root))(p), right, atol=1e-9)
    np.testing.assert_allclose(jaxcalc.jacobian(cube_root, mode="reverse")(p), right, atol=1e-9)
    J = jaxcalc.jacobian(cube_root, format="structured", mode="forward")(p)
    np.testing.assert_allclose(J.todense(), right, atol=1e-9)


def test_jacobian_of_a_least_squares_fit():
    """The fit of a line: its parameters are linear in the data, by the pseudoinverse."""
    t = jnp.linspace(0.0, 1.0, 6)

    def fitted(y):
        solver = optx.LevenbergMarquardt(rtol=1e-10, atol=1e-10)
        residual = lambda w, y: w[0] + w[1] * t - y  # noqa: E731
        return optx.least_squares(residual, solver, jnp.zeros(2), args=y).value

    right = np.linalg.pinv(np.stack([np.ones(6), t], 1))
    y = jnp.asarray(np.random.default_rng(0).normal(size=6))
    np.testing.assert_allclose(jaxcalc.jacobian(fitted)(y), right, atol=1e-7)
