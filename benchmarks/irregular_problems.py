"""Functions whose derivatives have no regular band: arrows, graphs, and what JAX takes in no mode.

Indices are numpy arrays in closures, since they are part of the structure; everything else is an
argument, as in `problems`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

if __package__:
    from benchmarks.problems import Problem, normal, weights
else:
    from problems import Problem, normal, weights


# ---- arrows: one full row, one full column and a diagonal


def arrow(n: int) -> Problem:
    first = np.zeros(n, np.float32)
    first[0] = 1

    def f(x: Any) -> Any:
        return x + first.astype(x.dtype) * jnp.sum(x) + x[0]

    return Problem(f, (normal(n),))


def arrow_at(n: int) -> Problem:
    """The same, with an update in place."""

    def f(x: Any) -> Any:
        return (x + x[0]).at[0].add(jnp.sum(x))

    return Problem(f, (normal(n),))


def arrow_joined(n: int) -> Problem:
    """The same, put together from its first element and the others."""

    def f(x: Any) -> Any:
        return jnp.concatenate([2 * x[:1] + jnp.sum(x), x[1:] + x[0]])

    return Problem(f, (normal(n),))


def arrow_hessian(n: int) -> Problem:
    def f(x: Any) -> Any:
        return jnp.sum(x[0] * x[1:] ** 2) + x[0] ** 3

    return Problem(f, (normal(n),), order=2)


def arrow_hessian_whole(n: int) -> Problem:
    """Without slices: the first element meets all, itself included."""

    def f(x: Any) -> Any:
        return jnp.sum(jnp.exp(x)) + x[0] * jnp.sum(jnp.sin(x))

    return Problem(f, (normal(n),), order=2)


# ---- graphs

HUBS = 0.8  # the largest of 20000 nodes is at 3 of 100 ends


def edges(nodes: int, count: int, *, skew: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets of distinct random edges between distinct nodes, in random order.

    With `skew`, both ends are drawn by a power law: node k is picked in proportion to (k+1)^-skew.
    """
    generator = np.random.default_rng(0)
    share = np.arange(1, nodes + 1) ** -skew
    share /= share.sum()
    found = np.empty(0, np.int64)
    while found.size < count:
        source, target = (generator.choice(nodes, 2 * count, p=share) for _ in range(2))
        fresh = (source * nodes + target)[source != target]
        found = np.unique(np.concatenate([found, fresh]))
    found = generator.permutation(found)[:count].astype(np.int32)
    return found // nodes, found % nodes


def messages(nodes: int) -> Problem:
    """Messages along 5 edges for each node, that depend on both ends, summed at the target."""
    return _messages(nodes, *edges(nodes, 5 * nodes))


def messages_between_hubs(nodes: int) -> Problem:
    """The same, where a few nodes have a large share of all edges."""
    return _messages(nodes, *edges(nodes, 5 * nodes, skew=HUBS))


def _messages(nodes: int, source: np.ndarray, target: np.ndarray) -> Problem:
    def f(x: Any, strength: Any) -> Any:
        sent = jnp.tanh(strength * x[source]) * jnp.cos(x[target])
        return jax.ops.segment_sum(sent, target, nodes) - x

    return Problem(f, (normal(nodes), normal(source.size, seed=1)))


def message_vectors(nodes: int) -> Problem:
    """Messages with 4 features, mixed by matrices."""
    source, target = edges(nodes, 5 * nodes)

    def f(x: Any, a: Any, b: Any, c: Any) -> Any:
        sent = jnp.tanh(x[source] @ a + x[target] @ b)
        return jnp.tanh(x @ c + jax.ops.segment_sum(sent, target, nodes))

    return Problem(f, (normal(nodes, 4), *weights((4, 4), (4, 4), (4, 4))))


# ---- parts that JAX differentiates in one mode only


@jax.custom_vjp
def sine(x: Any) -> Any:
    """A sine that has reverse mode only."""
    return jnp.sin(x)


sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (ct * jnp.cos(x),))


def doubled(x: Any, times: int) -> Any:
    """x * 2**times by a loop that has forward mode only."""
    return lax.while_loop(lambda s: s[0] < times, lambda s: (s[0] + 1, 2 * s[1]), (0, x))[1]


def one_way(n: int) -> Problem:
    """A product of both; the derivative written by hand is the reference, since JAX has none."""

    def f(x: Any) -> Any:
        return sine(x) * doubled(x, 3)

    def reference(x: Any) -> Any:
        return jnp.diag(8 * x * jnp.cos(x) + 8 * jnp.sin(x))

    return Problem(f, (normal(n),), reference=reference)


# ---- steps repeated by a loop


def steps_for(n: int) -> Problem:
    return _stepped(n, lambda step, x: lax.fori_loop(0, 3, lambda _, y: step(y), x))


def steps_while(n: int) -> Problem:
    """The number of steps depends on a counter alone."""

    def loop(step: Callable[[Any], Any], x: Any) -> Any:
        return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, step(s[1])), (0, x))[1]

    return _stepped(n, loop)


def steps_until(n: int) -> Problem:
    """The number of steps depends on the values."""

    def loop(step: Callable[[Any], Any], x: Any) -> Any:
        return lax.while_loop(lambda y: jnp.max(jnp.abs(y)) > 0.5, step, x)

    return _stepped(n, loop)


def _stepped(n: int, loop: Callable[[Callable[[Any], Any], Any], Any]) -> Problem:
    """Nonlinear diffusion on a ring of n points: a step reaches the neighbors."""

    def step(u: Any) -> Any:
        return u + 0.2 * (1 + u**2) / (1 + 2 * u**2) * (jnp.roll(u, 1) + jnp.roll(u, -1) - 2 * u)

    return Problem(lambda x: loop(step, x), (normal(n),))
