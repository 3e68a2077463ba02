"""The functions that the structure benchmark differentiates, with their arguments.

Each maker takes a size and returns a `Problem`. Weights and constants are arguments, so that no
contender can fold them into its program. Data are float32 from seeded numpy generators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@dataclass(frozen=True)
class Problem:
    """A function and where to differentiate it.

    Attributes:
        f: the function; it is differentiated with respect to its first argument.
        args: its arguments.
        order: 1 for the Jacobian, 2 for the Hessian.
        reference: its dense derivative, where `jax.jacfwd` or `jax.hessian` does not give it.
    """

    f: Callable[..., Any]
    args: tuple[Any, ...]
    order: int = 1
    reference: Callable[..., Any] | None = None


def normal(*shape: int, scale: float = 1.0, seed: int = 0) -> Any:
    """Random numbers of a normal distribution, the same for the same seed."""
    generator = np.random.default_rng(seed)
    return jnp.asarray(scale * generator.standard_normal(shape), jnp.float32)


def weights(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """Random weights, scaled by what each output sums over."""
    return tuple(
        normal(*shape, scale=float(np.prod(shape[:-1])) ** -0.5, seed=k + 1)
        for k, shape in enumerate(shapes)
    )


# ---- stencils


def tridiagonal(n: int) -> Problem:
    def f(x: Any) -> Any:
        padded = jnp.pad(x, 1)
        return padded[:-2] - 2 * x + padded[2:] + jnp.sin(x) * x

    return Problem(f, (normal(n),))


def brusselator(n: int) -> Problem:
    """Reaction and diffusion of two species on a periodic n x n grid: (2, n, n) to (2, n, n)."""

    def laplacian(u: Any) -> Any:
        shifted = sum(jnp.roll(u, by, axis) for axis in (0, 1) for by in (1, -1))
        return shifted - 4 * u

    def f(state: Any) -> Any:
        u, v = state
        reaction = u * u * v
        du = 1.0 + reaction - 4.4 * u + 0.1 * laplacian(u)
        dv = 3.4 * u - reaction + 0.1 * laplacian(v)
        return jnp.stack([du, dv])

    return Problem(f, (normal(2, n, n),))


def wave(n: int) -> Problem:
    """sin(u) times the 7-point Laplacian on an n^3 grid, zero outside."""

    def f(u: Any) -> Any:
        p = jnp.pad(u, 1)
        inner = slice(1, -1)
        neighbors = (
            p[2:, inner, inner] + p[:-2, inner, inner] + p[inner, 2:, inner]
            + p[inner, :-2, inner] + p[inner, inner, 2:] + p[inner, inner, :-2]
        )  # fmt: skip
        return jnp.sin(u) * (neighbors - 6 * u)

    return Problem(f, (normal(n, n, n),))


def heat(n: int) -> Problem:
    """One explicit step of nonlinear diffusion on a line, zero outside."""

    def f(u: Any) -> Any:
        p = jnp.pad(u, 1)
        return u + 0.1 * (1 + u**2) * (p[2:] + p[:-2] - 2 * u)

    return Problem(f, (normal(n),))


def heat_plane(n: int) -> Problem:
    """The same step on an n x n grid."""

    def f(u: Any) -> Any:
        p = jnp.pad(u, 1)
        neighbors = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]
        return u + 0.1 * (1 + u**2) * (neighbors - 4 * u)

    return Problem(f, (normal(n, n),))


# ---- Hessians


def rosenbrock(n: int) -> Problem:
    def f(x: Any) -> Any:
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return Problem(f, (normal(n),), order=2)


def springs(n: int) -> Problem:
    """The energy of an n x n grid of points in the plane, with a spring of length 1 on each edge."""

    def f(position: Any) -> Any:
        edges = (position[1:] - position[:-1], position[:, 1:] - position[:, :-1])
        return sum(jnp.sum((jnp.sqrt(jnp.sum(d**2, axis=-1)) - 1) ** 2) for d in edges)

    grid = jnp.stack(jnp.meshgrid(jnp.arange(n), jnp.arange(n), indexing="ij"), -1)
    return Problem(f, (1.1 * grid + normal(n, n, 2, scale=0.1),), order=2)


# ---- batches: no vmap in the function, and samples do not mix


def mlp(batch: int) -> Problem:
    def f(x: Any, a: Any, b: Any, c: Any) -> Any:
        return jnp.tanh(jnp.tanh(x @ a) @ b) @ c

    return Problem(f, (normal(batch, 64), *weights((64, 64), (64, 64), (64, 16))))


def layer_norm(batch: int) -> Problem:
    def f(x: Any, gain: Any, bias: Any) -> Any:
        mean = jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean((x - mean) ** 2, axis=-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * gain + bias

    return Problem(f, (normal(batch, 64), normal(64, seed=1), normal(64, seed=2)))


def softmax(batch: int) -> Problem:
    return Problem(lambda x: jax.nn.softmax(x, axis=-1), (normal(batch, 64),))


def attention(batch: int) -> Problem:
    """One head over 8 tokens of 8 features; every token of a sample sees all its tokens."""

    def f(x: Any, query: Any, key: Any, value: Any) -> Any:
        scores = jnp.einsum("btd,bsd->bts", x @ query, x @ key) / jnp.sqrt(1.0 * x.shape[-1])
        return jnp.einsum("bts,bsd->btd", jax.nn.softmax(scores, axis=-1), x @ value)

    return Problem(f, (normal(batch, 8, 8), *weights((8, 8), (8, 8), (8, 8))))


def convolution_line(batch: int) -> Problem:
    def f(x: Any, a: Any, b: Any) -> Any:
        hidden = jnp.tanh(_convolved(x, a, ("NWC", "WIO", "NWC")))
        return _convolved(hidden, b, ("NWC", "WIO", "NWC"))

    return Problem(f, (normal(batch, 64, 2), *weights((3, 2, 4), (3, 4, 2))))


def convolution_plane(batch: int) -> Problem:
    def f(x: Any, a: Any, b: Any) -> Any:
        hidden = jnp.tanh(_convolved(x, a, ("NHWC", "HWIO", "NHWC")))
        return _convolved(hidden, b, ("NHWC", "HWIO", "NHWC"))

    return Problem(f, (normal(batch, 16, 16, 1), *weights((3, 3, 1, 4), (3, 3, 4, 1))))


def _convolved(x: Any, kernel: Any, dimensions: tuple[str, str, str]) -> Any:
    strides = (1,) * (x.ndim - 2)
    return lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=dimensions)


# ---- others


def dense(n: int) -> Problem:
    def f(x: Any, matrix: Any) -> Any:
        return jnp.tanh(matrix @ jnp.tanh(matrix @ x))

    return Problem(f, (normal(n), *weights((n, n))))


def phases(sources: int) -> Problem:
    """The delays of jax's issue 215: sources x baselines x frequencies, by the sources' places."""

    def f(lm: Any, uvw: Any, frequency: Any) -> Any:
        l, m = lm[:, 0, None, None], lm[:, 1, None, None]  # noqa: E741
        u, v, w = (uvw[None, :, k, None] for k in range(3))
        n = jnp.sqrt(1 - l**2 - m**2) - 1
        return (u * l + v * m + w * n) * frequency

    places = 0.1 * normal(sources, 2)
    return Problem(f, (places, normal(128, 3, seed=1), 1 + normal(16, seed=2) ** 2))


def segments(n: int) -> Problem:
    def f(x: Any) -> Any:
        return jax.ops.segment_sum(x**2, jnp.arange(n) // (n // 10), 10)

    return Problem(f, (normal(n),))


# ---- where others do well


def waves(n: int) -> Problem:
    """A small function whose every output depends on every input."""
    return Problem(lambda x: jnp.sin(x) * jnp.sum(x**2), (normal(n),))


def logsumexp(n: int) -> Problem:
    """A number, for its gradient."""
    return Problem(lambda x: jax.nn.logsumexp(jnp.sin(x) * x), (normal(n),))


def shuffled(n: int) -> Problem:
    """Each output depends on three inputs at random places: a few colors suffice."""
    generator = np.random.default_rng(0)
    first, second = (generator.permutation(n).astype(np.int32) for _ in range(2))

    def f(x: Any) -> Any:
        return jnp.sin(x) * x[first] + x[second] ** 2

    return Problem(f, (normal(n),))


def elementwise(n: int) -> Problem:
    """Twenty steps on each element: one color suffices."""

    def f(x: Any) -> Any:
        for _ in range(20):
            x = x + 0.1 * jnp.sin(x)
        return x

    return Problem(f, (normal(n),))
