"""Sensitivities of solutions of differential equations by diffrax."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.ecosystem.packages import package

diffrax = package("diffrax")


def decayed(y0, rate, adjoint=None):
    """y' = -rate * y from 0 to 1, with ten steps of Tsit5."""
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, rate: -rate * y),
        diffrax.Tsit5(), 0.0, 1.0, 0.1, y0, rate,
        adjoint=adjoint or diffrax.RecursiveCheckpointAdjoint(), max_steps=16,
    ).ys[-1]  # fmt: skip


def test_sensitivities_of_a_batch_of_decays():
    """The solution is y0 exp(-rate), so both sensitivities are known."""
    y0, rates = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.3, 1.0, 2.0])
    solved = jax.vmap(decayed)
    by_start, by_rate = jax.jit(jaxcalc.jacobian(solved, argnums=(0, 1)))(y0, rates)
    np.testing.assert_allclose(by_start, np.diag(np.exp(-rates)), atol=1e-6)
    np.testing.assert_allclose(by_rate, np.diag(-y0 * np.exp(-rates)), atol=1e-6)
    J = jaxcalc.jacobian(solved, format="structured")(y0, rates)
    np.testing.assert_allclose(J.todense(), jax.jacrev(solved)(y0, rates), atol=1e-12)
