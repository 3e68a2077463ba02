"""Losses of flax modules, of linen and of nnx."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc import descent
from tests.ecosystem.packages import package

nn = package("flax.linen")
nnx = package("flax.nnx")

X = np.random.default_rng(0).normal(size=(8, 2))
Y = X @ np.array([[1.0], [-2.0]]) + 0.5


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1, param_dtype=jnp.float64)(jnp.tanh(nn.Dense(3, param_dtype=jnp.float64)(x)))


def test_gradient_and_hessian_of_a_loss_of_linen():
    model = Network()
    parameters = model.init(jax.random.key(0), X)

    def loss(parameters):
        return jnp.mean((model.apply(parameters, X) - Y) ** 2)

    found, right = jaxcalc.gradient(loss)(parameters), jax.jit(jax.grad(loss))(parameters)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, right)
    found, right = jax.jit(jaxcalc.hessian(loss))(parameters), jax.jit(jax.hessian(loss))(parameters)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), found, right)


def test_jacobian_of_linen_for_each_sample():
    model = Network()
    parameters = model.init(jax.random.key(0), X)
    J = jaxcalc.jacobian(lambda x: model.apply(parameters, x), format="structured")(jnp.asarray(X))
    right = jax.jacrev(lambda x: model.apply(parameters, x))(jnp.asarray(X)).reshape(8, 16)
    assert J.nnz == 16
    np.testing.assert_allclose(J.todense().reshape(right.shape), right, atol=1e-12)


def test_a_module_of_nnx_is_trained():
    """The state is a pytree, split off the module as nnx asks for it."""
    definition, state = nnx.split(nnx.Linear(2, 1, rngs=nnx.Rngs(0), param_dtype=jnp.float64))

    def loss(state):
        return jnp.mean((nnx.merge(definition, state)(X) - Y) ** 2)

    found, right = jaxcalc.gradient(loss)(state), jax.grad(loss)(state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found, right)
    trained = descent.minimize(loss, state, optimizer=0.3, steps=300).parameters
    linear = nnx.merge(definition, trained)
    np.testing.assert_allclose(linear.kernel[...], [[1.0], [-2.0]], atol=1e-5)
    np.testing.assert_allclose(linear.bias[...], [0.5], atol=1e-5)
