"""Descent against Optax: the plain update to the last bit, whole runs to a few roundings.

Bits: `optax.sgd` computes p + (-rate * g), the update p - rate * g. Negation is exact, so both round
the same product and the same sum. Under `jit`, XLA may fuse product and sum into one operation that
rounds once; so a compiled loop is compared with a compiled loop, and an uncompiled with an
uncompiled one.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcalc import descent


def assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def problem(name, dtype):
    """Parameters and a loss whose gradient is nothing special: no powers of two, no zeros."""
    rng = np.random.default_rng(5)
    array = lambda *shape: jnp.asarray(rng.normal(size=shape), dtype)  # noqa: E731
    if name == "scalar":
        return array(), lambda w: jnp.cosh(w - 0.3)
    if name == "vector":
        return array(7), lambda w: jnp.sum(jnp.sin(w)) + 0.37 * jnp.sum(w**2)
    parameters = {"layers": [(array(4, 3), array(3)), (array(3, 2), array(2))], "scale": array()}
    x, y = array(6, 4), array(6, 2)

    def loss(p):
        (w, b), (v, c) = p["layers"]
        return jnp.mean((p["scale"] * (jnp.tanh(x @ w + b) @ v + c) - y) ** 2)

    return parameters, loss


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["scalar", "vector", "nested"])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_plain_update_is_optax_sgd_to_the_last_bit(x64, name, dtype, compiled):
    ours, loss = problem(name, dtype)
    theirs, rate = ours, 0.0371
    optimizer = optax.sgd(rate)
    state = optimizer.init(theirs)
    gradient = jax.jit(jax.grad(loss))

    def sgd(parameters, gradients):
        changes, _ = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, changes)

    def ours_step(parameters, gradients):
        return descent.update(parameters, gradients, rate)

    if compiled:
        sgd, ours_step = jax.jit(sgd), jax.jit(ours_step)
    for _ in range(100):
        ours, theirs = ours_step(ours, gradient(ours)), sgd(theirs, gradient(theirs))
        assert_same_bits(ours, theirs)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(ours))


def test_bfloat16_too():
    ours = theirs = jnp.linspace(-1, 1, 50, dtype=jnp.bfloat16)
    optimizer = optax.sgd(0.0371)
    for _ in range(100):
        gradients = 2 * theirs + jnp.bfloat16(0.1)
        changes, _ = optimizer.update(gradients, optimizer.init(theirs))
        ours = descent.update(ours, 2 * ours + jnp.bfloat16(0.1), 0.0371)
        theirs = optax.apply_updates(theirs, changes)
        assert_same_bits(ours, theirs)


def schedule():
    return optax.warmup_cosine_decay_schedule(0.0, 0.07, 10, 100)


RUNS = {
    "rate": lambda: (0.05, optax.sgd(0.05)),
    "sgd": lambda: (optax.sgd(0.05), optax.sgd(0.05)),
    "schedule": lambda: (schedule(), optax.sgd(schedule())),
    "sgd-schedule": lambda: (optax.sgd(schedule()), optax.sgd(schedule())),
    "momentum": lambda: (optax.sgd(0.02, momentum=0.9), optax.sgd(0.02, momentum=0.9)),
    "nesterov-schedule": lambda: (
        optax.sgd(schedule(), momentum=0.8, nesterov=True),
        optax.sgd(schedule(), momentum=0.8, nesterov=True),
    ),
    "adam": lambda: (optax.adam(0.01), optax.adam(0.01)),
    "adam-schedule": lambda: (optax.adam(schedule()), optax.adam(schedule())),
    "adamw-clipped": lambda: (
        optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.01)),
        optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.01)),
    ),
    "lbfgs": lambda: (optax.lbfgs(), optax.lbfgs()),
}


def optax_loop(loss, parameters, optimizer, steps):
    """The loop that users write: one jitted step, called from Python."""
    state = optimizer.init(parameters)

    @jax.jit
    def step(parameters, state):
        value, gradients = jax.value_and_grad(loss)(parameters)
        ascent = jax.tree.map(jnp.conj, gradients)
        changes, state = optax.with_extra_args_support(optimizer).update(
            ascent, state, parameters, value=value, grad=ascent, value_fn=loss
        )
        norm = jnp.linalg.norm(jnp.concatenate([g.ravel() for g in jax.tree.leaves(gradients)]))
        return optax.apply_updates(parameters, changes), state, value, norm

    losses, norms = [], []
    for _ in range(steps):
        parameters, state, value, norm = step(parameters, state)
        losses.append(float(value))
        norms.append(float(norm))
    return parameters, losses, norms


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *(
            pytest.param(name, "float64", marks=[] if i % 2 == 0 else pytest.mark.slow)
            for i, name in enumerate(RUNS)
        ),
        ("momentum", "float32"),
        pytest.param("rate", "float32", marks=pytest.mark.slow),
        pytest.param("adam-schedule", "float32", marks=pytest.mark.slow),
    ],
)
def test_minimize_is_the_hand_written_loop(x64, name, dtype):
    parameters, loss = problem("nested", dtype)
    given, reference = RUNS[name]()
    steps = 20 if name == "lbfgs" else 100
    found = descent.minimize(loss, parameters, optimizer=given, steps=steps)
    expected, losses, norms = optax_loop(loss, parameters, reference, steps)
    # roundings differ where XLA fuses differently, and 100 steps amplify them
    rtol, atol = {"float32": (2e-4, 2e-5), "float64": (1e-11, 1e-12)}[dtype]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), found.parameters, expected
    )
    np.testing.assert_allclose(found.history.loss, losses, rtol=rtol)
    np.testing.assert_allclose(found.history.gradient_norm, norms, rtol=50 * rtol, atol=atol)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(found.parameters))


@pytest.mark.parametrize("name", ["rate", "momentum", "adam"])
def test_complex_parameters_are_optax_fed_the_conjugate(x64, name):
    target = jnp.array([1 + 2j, -0.5j])
    loss = lambda z: jnp.sum(jnp.abs(z - target) ** 4)  # noqa: E731
    given, reference = RUNS[name]()
    start = jnp.array([0.3 - 0.2j, 0.1 + 0.4j])
    found = descent.minimize(loss, start, optimizer=given, steps=50)
    expected, losses, _ = optax_loop(loss, start, reference, 50)
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-10)
    assert losses[-1] < 0.5 * losses[0]
