"""What fused programs compute more than once, against counts by hand and XLA's own programs."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.engine.jaxprs.repeats import repeated_time

SINE, TANH = 12.0, 3.0  # nanoseconds that the model gives them
N = 1000
index = np.arange(N)[::-1].copy()

CASES = {  # of y = sin(x) and y = tanh(x): how many of each are computed more than once
    "nothing": (lambda y: y, 0, 0),
    "one place": (lambda y: y * y + y, 0, 0),
    "one place of another shape": (lambda y: y[None, :] + y[None, :] * 2, 0, 0),
    "slices": (lambda y: y[1:] * y[:-1], N - 2, N - 2),
    "slices in a call": (jax.jit(lambda y: y[1:] * y[:-1]), N - 2, N - 2),
    "reversed": (lambda y: y[::-1] * y, N, N),
    "transposed": (lambda y: y.reshape(10, -1).T * y.reshape(-1, 10), N, N),
    "gathered": (lambda y: y[index] * y, N, N),
    "parts": (lambda y: jnp.concatenate([y, y * 2]), N, N),
    "two results": (lambda y: (y + 1, y * 2), N, 0),
    "a sum": (jnp.sum, 0, 0),
    "in turns": (lambda y: y[None, :] * jnp.ones((3, N)), 2 * N, 0),
    "in turns, implicitly": (lambda y: jax.lax.mul(y[None, :], jnp.ones((3, N))), 2 * N, 0),
    "one by one": (lambda y: y[:, None] * jnp.ones((N, 3)), 0, 0),
    "a number": (lambda y: y * y[0], 1, 1),
    "unfused": (jnp.cumsum, 0, 0),
    "unfused slices": (lambda y: y[1:] @ y[:-1], N - 2, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_counts(name):
    f, sines, tanhs = CASES[name]
    for g, expected in ((jnp.sin, SINE * sines), (jnp.tanh, TANH * tanhs)):
        jaxpr = jax.make_jaxpr(lambda x, g=g: f(g(x)))(jnp.ones(N)).jaxpr
        assert repeated_time(jaxpr) == pytest.approx(expected), g


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends fuse otherwise")
@pytest.mark.parametrize(("name", "in_loops"), [("two results", (2, 1)), ("slices", (1, 1))])
def test_the_rules_are_those_of_xla(name, in_loops):
    f = CASES[name][0]
    for g, word, loops in ((jnp.sin, "sine", in_loops[0]), (jnp.tanh, "tanh", in_loops[1])):
        text = jax.jit(lambda x, g=g: f(g(x))).lower(jnp.ones(100_000)).compile().as_text()
        assert len(re.findall(rf" {word}\(", text)) == loops, word


def test_what_is_read_in_very_many_ways_is_counted_once_for_each():
    def f(x):
        y = jnp.sin(jnp.cos(x))
        return [y[k : k + N // 10] * 2 for k in range(100)]

    jaxpr = jax.make_jaxpr(f)(jnp.ones(N)).jaxpr
    assert repeated_time(jaxpr) == pytest.approx(2 * SINE * 9 * N)


def steps(x):
    for _ in range(20):
        x = x + 0.1 * jnp.sin(x)
    return x


@pytest.mark.parametrize("format_", ["structured", "bcoo"])
def test_a_chain_computes_each_sine_and_cosine_once(format_):
    x = jnp.linspace(0.0, 1.0, 10_000)
    lowered = jax.jit(jaxcalc.jacobian(steps, format=format_)).lower(x)
    text = lowered.compile().as_text()
    assert len(re.findall(r" (?:sine|cosine)\(", text)) <= 2 * 20 + 2
    assert " conditional(" not in text
