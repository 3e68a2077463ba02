"""Sensitivities of solutions of differential equations by diffrax."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.ecosystem.packages import package

diffrax = package("diffrax")


def decayed(y0, rate):
    """y' = -rate * y from 0 to 1, with ten steps of Tsit5."""
    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, rate: -rate * y),
        diffrax.Tsit5(), 0.0, 1.0, 0.1, y0, rate, max_steps=16,
    ).ys[-1]  # fmt: skip


def test_sensitivities_of_a_batch_of_decays():
    """The solution is y0 exp(-rate), so both sensitivities are known."""
    y0, rates = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.3, 1.0, 2.0])
    sensitivities = jaxcalc.jacobian(
        jax.vmap(decayed), argnums=(0, 1), format="structured", mode="reverse"
    )
    found = sensitivities(y0, rates)
    right = np.diag(np.exp(-rates)), np.diag(-y0 * np.exp(-rates))
    assert found.nnz == 2 * 3
    np.testing.assert_allclose(np.stack(found.todense()), np.stack(right), atol=1e-6)


def test_gradient_with_respect_to_the_coefficients_of_a_field():
    """For y' = a + b t the state at time two is y0 + 2 a + 2 b."""

    def loss(weights):
        field = diffrax.ODETerm(lambda t, y, weights: weights[0] + weights[1] * t)
        solved = diffrax.diffeqsolve(field, diffrax.Heun(), 0.0, 2.0, 0.5, 1.0, weights, max_steps=4)
        return solved.ys[-1] ** 2

    found = jaxcalc.gradient(loss)(jnp.array([0.3, -0.2]))
    np.testing.assert_allclose(found, 2 * 1.2 * np.array([2.0, 2.0]), rtol=1e-10)
