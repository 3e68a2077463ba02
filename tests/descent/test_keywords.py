"""Optax transformations get of the loss's value, gradient and function what their signature takes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc import descent
from tests.thinned import thinned

START = jnp.array([3.0, -2.0, 0.5])
STEPS = 6


def loss(x):
    return jnp.sum((x - 1.0) ** 2 * jnp.array([1.0, 2.0, 0.5]))


def sam():
    return optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.05))


def scaled_by(*, scale):
    """A transformation with a keyword that nobody offers, and a default for it."""

    def update(updates, state, params=None, *, temperature=1.0):
        del params
        return jax.tree.map(lambda u: -scale * temperature * u, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def by_value():
    """A transformation that takes the value, and no other keyword."""

    def update(updates, state, params=None, *, value):
        del params
        return jax.tree.map(lambda u: -0.05 * u / (1.0 + value), updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


OPTIMIZERS = {
    "sam": (sam, ()),
    "a chain with sam": (lambda: optax.chain(optax.clip(1.0), sam()), ()),
    "a chain in a chain": (lambda: optax.chain(optax.identity(), optax.chain(sam())), ()),
    "masked sam": (lambda: optax.masked(sam(), True), ()),
    "a keyword of its own": (lambda: scaled_by(scale=0.1), ()),
    "the value alone": (by_value, ("value",)),
    "a chain with the value": (lambda: optax.chain(optax.clip(5.0), by_value()), ("value",)),
    "momo": (lambda: optax.contrib.momo(0.1), ("value",)),
    "reduce on plateau": (
        lambda: optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1)),
        ("value",),
    ),
    "polyak": (lambda: optax.polyak_sgd(max_learning_rate=0.1), ("value",)),
    "line search": (
        lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(8)),
        ("value", "grad", "value_fn"),
    ),
    "lbfgs": (optax.lbfgs, ("value", "grad", "value_fn")),
    "adam": (lambda: optax.adam(0.1), ()),
}


def by_hand(optimizer, wanted):
    """The loop that Optax's documentation has, with the keywords that this optimizer wants."""

    @jax.jit
    def step(parameters, state):
        value, slope = jax.value_and_grad(loss)(parameters)
        offered = {"value": value, "grad": slope, "value_fn": loss}
        given = {name: offered[name] for name in wanted}
        changes, state = optimizer.update(slope, state, parameters, **given)
        return optax.apply_updates(parameters, changes), state

    parameters, state = START, optimizer.init(START)
    for _ in range(STEPS):
        parameters, state = step(parameters, state)
    return parameters


@pytest.mark.parametrize("name", thinned(OPTIMIZERS))
def test_as_a_loop_by_hand(name):
    make, wanted = OPTIMIZERS[name]
    expected = by_hand(make(), wanted)
    found = descent.minimize(loss, START, optimizer=make(), steps=STEPS)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-5, atol=1e-6)
    step = descent.make_step(loss, make())
    state = step.init(START)
    for _ in range(STEPS):
        state, _ = step.update(state)
    np.testing.assert_allclose(state.parameters, expected, rtol=1e-5, atol=1e-6)


def test_errors_of_an_optimizer_pass_through():
    def update(updates, state, params=None, **_):
        raise TypeError("mine")

    broken = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    with pytest.raises(TypeError, match=r"^mine"):
        descent.minimize(loss, START, optimizer=broken, steps=1)
