"""Networks of equinox: per-sample Jacobians, the Hessian of a loss, training."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc import descent
from tests.ecosystem.packages import package

eqx = package("equinox")


def batch(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape))


def test_jacobian_of_a_network_for_each_sample_of_a_batch():
    model = eqx.nn.MLP(3, 2, 8, 1, activation=jnp.tanh, key=jax.random.key(0))
    x = batch(5, 3)
    right = jax.jit(jax.vmap(jax.jacrev(model)))(x)
    J = jaxcalc.jacobian(jax.vmap(model), format="structured")(x)
    assert J.nnz == 5 * 2 * 3  # samples do not mix
    dense = jaxcalc.jacobian(jax.vmap(model))(x)
    np.testing.assert_allclose(jnp.einsum("bibj->bij", dense), right, atol=1e-12)
    np.testing.assert_allclose(J.todense().reshape(10, 15), dense.reshape(10, 15), atol=1e-12)


def test_jacobian_of_a_convolution_is_as_local_as_its_kernel():
    conv = eqx.nn.Conv1d(1, 1, 3, padding=1, key=jax.random.key(1))
    x = batch(1, 12)
    J = jaxcalc.jacobian(lambda x: jnp.tanh(conv(x)), format="structured")(x)
    right = jax.jit(jax.jacfwd(lambda x: jnp.tanh(conv(x))))(x).reshape(12, 12)
    assert J.nnz == 3 * 12 - 2
    np.testing.assert_allclose(J.todense().reshape(right.shape), right, atol=1e-12)


def test_gradient_and_hessian_with_respect_to_the_parameters_of_a_module():
    model = eqx.nn.MLP(2, "scalar", 3, 1, activation=jnp.tanh, key=jax.random.key(2))
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    x, y = batch(6, 2), batch(6)

    def loss(parameters, x, y):
        return jnp.mean((jax.vmap(eqx.combine(parameters, static))(x) - y) ** 2)

    found, right = (
        jaxcalc.gradient(loss)(parameters, x, y),
        eqx.filter_jit(eqx.filter_grad(loss))(parameters, x, y),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, right)
    flat, unravel = jax.flatten_util.ravel_pytree(parameters)
    of_flat = lambda w: loss(unravel(w), x, y)  # noqa: E731
    hessian, right = jax.jit(jaxcalc.hessian(of_flat))(flat), jax.jit(jax.hessian(of_flat))(flat)
    np.testing.assert_allclose(hessian, right, atol=1e-11)


def test_a_module_is_trained():
    model = eqx.nn.Linear(2, 1, key=jax.random.key(3))
    x = batch(20, 2)
    y = x @ jnp.array([[1.5], [-0.5]]) + 0.25

    def loss(model):
        return jnp.mean((jax.vmap(model)(x) - y) ** 2)

    trained = descent.minimize(loss, model, optimizer=0.3, steps=200).parameters
    np.testing.assert_allclose(trained.weight, [[1.5, -0.5]], atol=1e-6)
    np.testing.assert_allclose(trained.bias, [0.25], atol=1e-6)
