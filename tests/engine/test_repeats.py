"""What fused programs compute more than once, against counts by hand and XLA's own programs."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.engine.repeats import repeated_time

SINE = 12.0  # nanoseconds that the model gives it
N = 1000
index = np.arange(N)[::-1].copy()


@pytest.mark.parametrize(
    ("f", "sines"),
    [
        (lambda y: y, 0),
        (lambda y: y * y + y, 0),  # read at one place
        (lambda y: y[None, :] + y[None, :] * 2, 0),
        (lambda y: y.reshape(1, -1).T[:, 0] + y, N),  # a transposition may be of anything
        (lambda y: y[1:] * y[:-1], N - 2),  # at two places
        (jax.jit(lambda y: y[1:] * y[:-1]), N - 2),
        (lambda y: y[::-1] * y, N),
        (lambda y: y[index] * y, N),
        (lambda y: (y + 1, y * 2), N),  # two loops
        (lambda y: jnp.concatenate([y, y * 2]), N),
        (lambda y: jnp.sum(y) + jnp.max(y), N),
        (lambda y: jnp.outer(y, y), N),  # kept once for each operand
        (lambda y: y * y[0], 1),
        (lambda y: y[1:] @ y[:-1], N - 2),
        (jnp.cumsum, 0),
    ],
)
def test_counts(f, sines):
    jaxpr = jax.make_jaxpr(lambda x: f(jnp.sin(x)))(jnp.ones(N)).jaxpr
    assert repeated_time(jaxpr) == pytest.approx(SINE * sines)


def test_what_is_read_in_very_many_ways_is_counted_once_for_each():
    def f(x):
        y = jnp.sin(x + 0)
        return [y[k : k + 10] * 2 for k in range(100)]

    assert repeated_time(jax.make_jaxpr(f)(jnp.ones(N)).jaxpr) == 0.0  # 100 times 10
    g = lambda x: [y + 1 for y in f(x)[:1] * 200]  # noqa: E731
    assert repeated_time(jax.make_jaxpr(g)(jnp.ones(N)).jaxpr) == pytest.approx(SINE * 1000)


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
