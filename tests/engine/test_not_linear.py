"""Backward rules that are not linear: what `jax.jacrev` says, and no more entries than need be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental.ode import odeint

import jaxcalc
from tests.dense_reference import normal
from tests.in_numpy import in_numpy

MATRIX = np.random.default_rng(1).normal(size=(4, 4))


def with_backward(rule):
    """The function 2 x with a backward rule of its own."""

    @jax.custom_vjp
    def double(x):
        return x * 2.0

    double.defvjp(lambda x: (x * 2.0, x), lambda x, cotangent: (rule(x, cotangent),))
    return double


RULES = {
    "clipped": (lambda x, c: jnp.clip(c, -0.5, 0.5), 4),
    "clipped by what may exclude zero": (lambda x, c: jnp.clip(c, x - 1, x + 1), 16),
    "clipped by the norm": (lambda x, c: c / jnp.maximum(1, jnp.linalg.norm(c)), 16),
    "positive ones alone": (lambda x, c: jnp.where(c > 0, c, 0.0), 4),
    "something else alone": (lambda x, c: x, 16),
    "known numbers alone": (lambda x, c: jnp.ones(4, x.dtype), 16),
    "something added": (lambda x, c: c + 0.1 * x, 16),
    "something instead": (lambda x, c: jnp.where(x > 0, c, x), 16),
    "something written": (lambda x, c: x.at[2].set(c[2]), 13),
    "a known number added to one": (lambda x, c: c.at[1].add(3.0), 7),
    "a branch by the cotangent": (lambda x, c: lax.cond(c[0] > 0, lambda c: c, lambda c: 2 * c, c), 7),
    "a branch to something else": (lambda x, c: lax.cond(c[0] > 0, lambda c: c, lambda c: x, c), 16),
    "a loop that adds": (lambda x, c: lax.fori_loop(0, 40, lambda _, y: 0.9 * y + 0.01 * x, c), 16),
    "a loop from something": (lambda x, c: lax.fori_loop(0, 40, lambda _, y: 0.9 * y + c, x), 16),
    "a loop of squares": (lambda x, c: lax.fori_loop(0, 20, lambda _, y: y - 0.1 * y**2, c), 4),
    "a loop over slices": (lambda x, c: lax.scan(lambda s, y: (s, jnp.tanh(y)), 0.0, c)[1], 16),
    "as long as it is large": (
        lambda x, c: lax.while_loop(lambda y: jnp.sum(y**2) > 0.1, lambda y: 0.9 * y, c),
        16,
    ),
    "a solve": (lambda x, c: jnp.linalg.solve(3 * jnp.eye(4) + jnp.outer(c, c), c), 16),
    "a square": (lambda x, c: jnp.dot(c, c) * c, 16),
    "a product of rows": (lambda x, c: (jnp.asarray(MATRIX) @ c) * c, 16),
    "sorted": (lambda x, c: jnp.sort(c), 16),
    "the largest": (lambda x, c: jnp.full(4, jnp.max(c)), 16),
    "taken where the largest is": (lambda x, c: c[jnp.argmax(c)] * jnp.ones(4), 16),
    "the sign": (lambda x, c: jnp.sign(c), 4),
    "an exponential": (lambda x, c: jnp.exp(c), 16),
}


@pytest.mark.parametrize("name", RULES)
def test_it_is_what_jacrev_says(name, x64):
    rule, entries = RULES[name]
    double = with_backward(rule)

    def f(x):
        return jnp.sin(3 * double(x))

    x = normal(4)
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacrev(f))(x), rtol=1e-12, atol=1e-14)
    assert found.nnz == entries


@pytest.mark.parametrize("name", ["clipped", "something added", "clipped by the norm"])
def test_a_batch_stays_apart(name, x64):
    double = jax.vmap(with_backward(RULES[name][0]))

    def f(x):
        return jnp.sin(3 * double(x))

    x = normal(5, 4)
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacrev(f))(x), rtol=1e-12, atol=1e-14)
    assert found.nnz == {"clipped": 20, "something added": 400, "clipped by the norm": 80}[name]


def test_an_adaptive_ode_solver_for_each_sample(x64):
    """The steps backward depend on the cotangent; those of one sample on its own alone."""

    def solve(y):
        return odeint(lambda y, _: jnp.roll(y, 1) * y - y, y, jnp.linspace(0.0, 0.2, 3))[-1]

    f, x = jax.vmap(solve), normal(4, 3)
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacrev(f))(x), rtol=1e-10, atol=1e-12)
    assert found.nnz == 4 * 9


def test_the_values_are_differentiable_and_compile_once(x64):
    double = with_backward(RULES["clipped"][0])
    traces = []

    def f(x):
        traces.append(1)
        return double(x) ** 2

    transformed = jax.jit(lambda x: jaxcalc.jacobian(f, format="structured", mode="reverse")(x).values)
    first = transformed(normal(4))
    count = len(traces)
    transformed(normal(4, seed=1))
    assert len(traces) == count
    assert first.shape == (4,)


def test_empty_arrays(x64):
    double = with_backward(RULES["clipped by the norm"][0])

    def f(x):
        return jax.nn.softplus(jnp.outer(double(x), double(x)))

    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(jnp.zeros(0))
    assert found.shape == (0, 0)
    total = jaxcalc.jacobian(lambda x: jnp.sum(f(x)), format="structured", mode="reverse")
    assert total(jnp.zeros(0)).shape == (1, 0)


def test_rules_for_tangents_are_taken_at_their_word(x64):
    """A `custom_jvp` rule is linear: the zeros that JAX adds to it are no obstacle."""

    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    sine.defjvp(lambda p, t: (sine(p[0]), jnp.cos(p[0]) * t[0]))

    def f(x):
        return jax.nn.softplus(sine(x))

    x = normal(5)
    found = jaxcalc.jacobian(f, format="structured", strict=True)(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(f))(x), rtol=1e-12)
    assert found.nnz == 5
