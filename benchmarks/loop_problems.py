"""Functions that loop over time for a batch of samples which do not mix; there is no vmap in them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.ode import odeint

if __package__:
    from benchmarks.problems import Problem, normal, weights
else:
    from problems import Problem, normal, weights

TIMES = 20
FEATURES = 8
HIDDEN = 16


# ---- ordinary differential equations


def lorenz(x: Any) -> Any:
    """Lorenz, *Predictability: a problem partly solved*, 1996; states along the last axis."""
    ahead, behind, far_behind = (jnp.roll(x, by, -1) for by in (-1, 1, 2))
    return (ahead - far_behind) * behind - x + 8.0


def _runge_kutta(x: Any, h: float = 0.01) -> Any:
    a = lorenz(x)
    b = lorenz(x + h / 2 * a)
    c = lorenz(x + h / 2 * b)
    d = lorenz(x + h * c)
    return x + h / 6 * (a + 2 * b + 2 * c + d)


def flow_scan(batch: int) -> Problem:
    """100 steps of the classical Runge-Kutta method by `lax.scan`."""

    def f(x: Any) -> Any:
        return lax.scan(lambda y, _: (_runge_kutta(y), None), x, length=100)[0]

    return Problem(f, (normal(batch, 6),))


def flow_for(batch: int) -> Problem:
    """The same by `lax.fori_loop`."""

    def f(x: Any) -> Any:
        return lax.fori_loop(0, 100, lambda _, y: _runge_kutta(y), x)

    return Problem(f, (normal(batch, 6),))


def flow_adaptive(batch: int) -> Problem:
    """`odeint` for each sample; it has reverse mode only, which solves the adjoint equation."""

    def f(x: Any) -> Any:
        times = jnp.array([0.0, 0.2], x.dtype)
        return jax.vmap(lambda y: odeint(lambda z, _: lorenz(z), y, times)[-1])(x)

    return Problem(f, (normal(batch, 6),), reference=jax.jacrev(f))


# ---- recurrent networks


def gru_inputs(batch: int) -> Problem:
    """The last state of a gated recurrent unit, by its inputs."""

    def f(inputs: Any, *parameters: Any) -> Any:
        start = jnp.zeros((inputs.shape[0], HIDDEN), inputs.dtype)
        return _gru(start, inputs, *parameters)

    return Problem(f, (normal(batch, TIMES, FEATURES), *_gates(3)))


def gru_state(batch: int) -> Problem:
    """The last state of a gated recurrent unit, by the first one."""
    start, inputs = normal(batch, HIDDEN), normal(batch, TIMES, FEATURES, seed=9)
    return Problem(_gru, (start, inputs, *_gates(3)))


def gru_all_states(batch: int) -> Problem:
    """All states of a gated recurrent unit, by the first one."""
    start, inputs = normal(batch, HIDDEN), normal(batch, TIMES, FEATURES, seed=9)

    def f(*args: Any) -> Any:
        return jnp.swapaxes(_gru_states(*args)[1], 0, 1)

    return Problem(f, (start, inputs, *_gates(3)))


def lstm_inputs(batch: int) -> Problem:
    """The last hidden state of a long short-term memory, by its inputs."""

    def f(inputs: Any, *parameters: Any) -> Any:
        start = jnp.zeros((inputs.shape[0], HIDDEN), inputs.dtype)
        return _lstm(jnp.concatenate([start, start], axis=1), inputs, *parameters)[:, :HIDDEN]

    return Problem(f, (normal(batch, TIMES, FEATURES), *_gates(4)))


def lstm_state(batch: int) -> Problem:
    """The last hidden state and cell, by the first ones."""
    start, inputs = normal(batch, 2 * HIDDEN), normal(batch, TIMES, FEATURES, seed=9)
    return Problem(_lstm, (start, inputs, *_gates(4)))


def _gates(count: int) -> tuple[Any, ...]:
    """The weights of inputs and of the state, and the bias, of `count` gates side by side."""
    width = count * HIDDEN
    return (*weights((FEATURES, width), (HIDDEN, width)), normal(width, scale=0.1, seed=5))


def _gru(start: Any, inputs: Any, *parameters: Any) -> Any:
    return _gru_states(start, inputs, *parameters)[0]


def _gru_states(start: Any, inputs: Any, w: Any, u: Any, b: Any) -> tuple[Any, Any]:
    """Cho et al., *Learning phrase representations using RNN encoder-decoder*, 2014."""

    def step(h: Any, x: Any) -> tuple[Any, Any]:
        wx, uh = jnp.split(x @ w + b, 3, axis=-1), jnp.split(h @ u, 3, axis=-1)
        update, reset = (jax.nn.sigmoid(wx[k] + uh[k]) for k in (0, 1))
        new = (1 - update) * jnp.tanh(wx[2] + reset * uh[2]) + update * h
        return new, new

    return lax.scan(step, start, jnp.swapaxes(inputs, 0, 1))


def _lstm(start: Any, inputs: Any, w: Any, u: Any, b: Any) -> Any:
    """Hochreiter and Schmidhuber, *Long short-term memory*, 1997, with a forget gate."""

    def step(state: Any, x: Any) -> tuple[Any, None]:
        h, cell = state
        into, forget, out, change = jnp.split(x @ w + h @ u + b, 4, axis=-1)
        cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(into) * jnp.tanh(change)
        return (jax.nn.sigmoid(out) * jnp.tanh(cell), cell), None

    state = tuple(jnp.split(start, 2, axis=1))
    return jnp.concatenate(lax.scan(step, state, jnp.swapaxes(inputs, 0, 1))[0], axis=1)
