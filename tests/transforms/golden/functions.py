"""The functions whose explanations are kept as texts, and how these are freed of what jitters."""

import re
from math import log2, log10
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxcalc

FOLDER = Path(__file__).parent
W = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)


def vector(n):
    return jax.ShapeDtypeStruct((n,), jnp.float32)


def stencil(u):
    inner = u[2:] - 2 * u[1:-1] + u[:-2]
    return jnp.sin(u[1:-1]) * inner


def batched_layers(x):
    hidden = jnp.tanh(x @ W)
    return jnp.tanh(hidden @ W)


def arrow(x):
    total = jnp.sum(x)
    return (x + x[0]).at[0].add(total)


def becomes_dense(x):
    y = jnp.sin(x)
    y = y[1:] * y[:-1]
    y = y / jnp.sum(y)
    return jnp.exp(y)


def branches(x):
    def other(x):
        doubled = jnp.outer(x, x)
        return jnp.sum(jnp.sin(doubled), axis=1)

    y = lax.cond(x[0] > 0, jnp.sin, other, x)

    def step(carry, _):
        return jnp.sin(carry), None

    return lax.scan(step, y, None, length=2_000)[0]


def forward_only(x):
    return lax.while_loop(lambda y: jnp.sum(y) < 10.0, lambda y: 2 * y, x)


@jax.custom_vjp
def _halved_backwards(x):
    return x**2


_halved_backwards.defvjp(lambda x: (x**2, x), lambda x, cotangent: (x * cotangent,))


def reverse_only(x):
    return jnp.cumsum(_halved_backwards(x))


def pytrees(parameters, x):
    hidden = jnp.tanh(x @ parameters["weights"] + parameters["bias"])
    return {"hidden": hidden, "penalty": jnp.sum(parameters["weights"] ** 2)}


def chained(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def hourglass(x):
    x = jnp.tanh(x @ W)
    code = jnp.tanh(x @ W[:, :2])
    x = jnp.tanh(code @ W[:2])
    return jnp.tanh(x @ W)


def deep(x):
    for _ in range(3):
        x = jnp.tanh(x @ W)
    return x


PARAMETERS = {
    "weights": jax.ShapeDtypeStruct((4, 3), jnp.float32),
    "bias": jax.ShapeDtypeStruct((3,), jnp.float32),
}
GOLDEN = {
    "stencil": (stencil, (vector(1000),), {}),
    "batched_layers": (batched_layers, (jax.ShapeDtypeStruct((32, 64), jnp.float32),), {}),
    "arrow": (arrow, (vector(1000),), {}),
    "becomes_dense": (becomes_dense, (vector(200),), {}),
    "branches": (branches, (vector(50),), {}),
    "forward_only": (forward_only, (vector(100),), {}),
    "reverse_only": (reverse_only, (vector(100),), {"format": "dense"}),
    "pytrees": (pytrees, (PARAMETERS, vector(4)), {}),
    "chained": (chained, (vector(1000),), {"order": 2}),
    "hourglass": (hourglass, (vector(64),), {"format": "dense"}),
    "in_blocks": (deep, (vector(64),), {"format": "dense", "memory_limit": 4_000}),
}


def text_of(name):
    """The explanation as it is kept: estimates rounded, columns no wider than a blank or two."""
    f, arguments, options = GOLDEN[name]
    text = str(jaxcalc.explain(f, *arguments, **options))
    text = re.sub(r"([\d.]+(?:e[+-]?\d+)?) (ns|us|ms|s)\b", _power_of_ten, text)
    text = re.sub(r"([\d.,]+) (B|KiB|MiB|GiB)\b", _power_of_two, text)
    return re.sub(r"─+", "-", re.sub(r" {2,}", "  ", text)) + "\n"


def _power_of_ten(match):
    seconds = float(match[1]) * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[match[2]]
    return f"1e{round(log10(seconds))} s" if seconds else "0 s"


def _power_of_two(match):
    size = float(match[1].replace(",", "")) * 1024 ** ["B", "KiB", "MiB", "GiB"].index(match[2])
    return f"2^{round(log2(size))} B" if size else "0 B"
