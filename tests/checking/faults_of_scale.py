"""Functions whose gradient is out of scale, that lose digits, or that have a kink at the point."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault("warning", "scale", "the gradient with respect to h vanishes", vector(0.5, -0.2))
def vanishing(h):
    """a recurrence whose gradient vanishes"""

    def step(h, _):
        return jnp.tanh(0.5 * h), None  # <-

    return jnp.sum(jax.lax.scan(step, h, None, length=60)[0])


@fault("warning", "scale", "the gradient with respect to x explodes", vector(0.3))
def exploding(x):
    """a chaotic recurrence whose gradient explodes"""
    return jnp.sum(jax.lax.fori_loop(0, 60, lambda _, x: 3.9 * x * (1.0 - x), x))  # <-


@fault("warning", "precision", "loss of significance in log", vector(1e-9))
def log_near_one(x):
    """log(1 + x) of a small x"""
    return jnp.sum(jnp.log(1.0 + x))  # <-


@fault("warning", "precision", "loss of significance in sub", vector(1e-4))
def cosine_difference(x):
    """1 - cos(x) of a small x"""
    c = jnp.cos(x)
    return jnp.sum((1.0 - c) / x**2)  # <-


@fault("warning", "precision", "loss of significance in sub", vector(1000.0, 1000.1, 1000.2))
def naive_variance(x):
    """a variance as the difference of two means"""
    squares = jnp.mean(x**2)
    return squares - jnp.mean(x) ** 2  # <-


@fault("note", "precision", "a cast to a smaller dtype: float32 -> bfloat16", vector(1.5, 2.5))
def silent_cast(x):
    """a cast down in the middle"""
    low = x.astype(jnp.bfloat16)  # <-
    return jnp.sum(low.astype(jnp.float32) ** 2)


@fault("note", "precision", "weakly typed", 0.1, np.ones(3, jnp.bfloat16))
def weak_number(scale, x):
    """a Python number that takes a small dtype"""
    return jnp.sum(scale * x)  # <-


@fault("note", "precision", "the argument x is float64", np.ones(3))
def double_argument(x):
    """an argument of 64 bits where JAX has 32"""
    return jnp.sum(x**2)


@fault(
    "note",
    "kink",
    "abs at 0 has a kink here: the slopes on its two sides are -1 and 1, and JAX takes 1",
    vector(0.0, 1.0),
)
def kink_of_abs(x):
    """abs at 0"""
    return jnp.sum(jnp.abs(x))  # <-


@fault("note", "kink", "slopes on its two sides are 0 and 1, and JAX takes 0", vector(0.0, 1.0))
def kink_of_relu(x):
    """relu at 0"""
    return jnp.sum(jax.nn.relu(x))  # <-


@fault("note", "kink", "slopes on its two sides are 0 and 1, and JAX takes 0.5", vector(0.0, 1.0))
def kink_of_maximum(x):
    """maximum(x, 0) at 0"""
    return jnp.sum(jnp.maximum(x, 0.0))  # <-


@fault(
    "note",
    "kink",
    "max with ties has a kink here at 2 elements: the slopes on its two sides are 0 and 1, and "
    "JAX takes 0.5",
    vector(1.0, 1.0, 0.0),
)
def kink_of_ties(x):
    """the largest of two equal numbers"""
    return jnp.max(x) * 1.0  # <-


@fault(
    "note",
    "kink",
    "clip has a kink here: the slopes on its two sides are 1 and 0, and JAX takes 0.5",
    vector(1.0, 0.5),
)
def kink_of_clip(x):
    """clip at its limit"""
    return jnp.sum(jnp.clip(x, 0.0, 1.0))  # <-


@fault("note", "kink", "sort with ties has a kink here", vector(1.0, 1.0, 3.0))
def kink_of_sort(x):
    """the median of tied numbers"""
    return jnp.sort(x)[1]  # <-


@fault(
    "note",
    "kink",
    "where has a kink here: the slopes on its two sides are 0.01 and 1, and JAX takes 1",
    vector(0.0, 1.0),
)
def kink_of_where(x):
    """leaky_relu at 0"""
    return jnp.sum(jax.nn.leaky_relu(x))  # <-


@fault(
    "warning",
    "scale",
    "the gradient with respect to w explodes",
    2.5 * np.eye(2, dtype=np.float32),
    vector(1.0, 2.0),
)
def shared_weights(w, h):
    """a linear recurrence whose shared weights are too large"""
    step = lambda h, _: (w @ h, None)  # <-  # noqa: E731
    return jnp.sum(jax.lax.scan(step, h, None, length=30)[0])
