"""Log-likelihoods and bijections of distrax."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.ecosystem.packages import package

distrax = package("distrax")


def test_score_and_information_of_a_normal_distribution():
    """For n samples: the score of the mean is sum(x - mean) / scale², its Hessian -n / scale²."""
    samples = jnp.array([0.3, -0.4, 1.2, 2.0])

    def likelihood(mean):
        return jnp.sum(distrax.Normal(mean, 1.5).log_prob(samples))

    right = np.sum(np.asarray(samples) - 0.2) / 1.5**2
    np.testing.assert_allclose(jaxcalc.gradient(likelihood)(0.2), right, rtol=1e-10)
    np.testing.assert_allclose(jax.jit(jaxcalc.hessian(likelihood))(0.2), -4 / 1.5**2, rtol=1e-10)
    assert jaxcalc.check(likelihood, 0.2).passed


def test_jacobian_of_a_chain_of_bijections():
    """It is diagonal, and its logarithm is what the bijection says of itself."""
    chain = distrax.Chain([distrax.Tanh(), distrax.ScalarAffine(0.1, 0.8)])
    x = jnp.array([0.3, -0.7, 1.1])
    J = jaxcalc.jacobian(chain.forward, format="structured")(x)
    assert J.nnz == 3
    np.testing.assert_allclose(jnp.log(J.values), chain.forward_log_det_jacobian(x), atol=1e-10)
    np.testing.assert_allclose(J.values, 0.8 / np.cosh(0.8 * np.asarray(x) + 0.1) ** 2, atol=1e-10)


def test_gradient_of_a_mixture():
    def likelihood(logits, means):
        mixture = distrax.MixtureSameFamily(
            distrax.Categorical(logits=logits), distrax.Normal(means, jnp.ones(2))
        )
        return jnp.sum(mixture.log_prob(jnp.array([0.1, 1.5, -0.6])))

    arguments = jnp.array([0.2, -0.1]), jnp.array([0.0, 1.0])
    found = jaxcalc.gradient(likelihood, argnums=(0, 1))(*arguments)
    for a, b in zip(found, jax.jacfwd(likelihood, argnums=(0, 1))(*arguments), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
