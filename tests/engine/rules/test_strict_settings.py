"""Every family of rules under JAX's strictest settings: no promotion of ranks or dtypes, no NaN."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from tests.thinned import thinned_product

IMAGE = (2, 6, 6, 1)
K = np.random.default_rng(0).normal(size=(3, 3, 1, 2)).astype(np.float32)
BIG = np.random.default_rng(0).normal(size=(12, 12, 1, 1)).astype(np.float32)
BAND = np.triu(np.tril(np.ones((6, 6), np.float32), 1), -1)
W = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


def convolved(x, k=K):
    return lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pooled(operation, initial, size, stride):
    window, strides = (1, size, size, 1), (1, stride, stride, 1)
    return lambda x: lax.reduce_window(x, np.float32(initial), operation, window, strides, "SAME")


def after_dense(f):
    """f on lanes that are dense within a sample."""
    return lambda x: f(
        jnp.tanh(jnp.cumsum(jnp.reshape(x, (2, 36)), 1) * jnp.float32(0.1)).reshape(IMAGE)
    )


POOLS = {
    f"{name} {size}": pooled(operation, initial, size, size // 2)
    for name, operation, initial in (("max", lax.max, -np.inf), ("sum", lax.add, 0.0))
    for size in (2, 12)  # the larger one is gathered at once
}
CASES = {
    "convolution": (convolved, IMAGE),
    "convolution with a large kernel": (lambda x: convolved(x, BIG), (1, 14, 14, 1)),
    "convolution after dense": (after_dense(convolved), IMAGE),
    "by the kernel": (lambda k: convolved(jnp.ones(IMAGE) / 2, k), (3, 3, 1, 2)),
    **{name: (f, (1, 14, 14, 1)) for name, f in POOLS.items()},
    "max after dense": (after_dense(POOLS["max 2"]), IMAGE),
    "sum after dense": (after_dense(POOLS["sum 2"]), IMAGE),
    "band": (lambda x: BAND @ jnp.sin(BAND @ x), (6,)),
    "layers": (lambda x: jnp.tanh(x @ W) @ W.T, (4, 6)),
    "softmax": (lambda x: jax.nn.softmax(x, -1), (3, 4)),
    "places": (lambda x: x[jnp.arange(3), jnp.argmax(x, 1)] + x[np.array([2, 0, 1]), 0], (3, 4)),
    "scatter": (lambda x: x.at[jnp.argsort(x)].add(x * x).at[np.array([0, 0])].add(x[:2]), (4,)),
    "tile, pad, select": (
        lambda x: jnp.where(jnp.tile(x, 2) > 0, jnp.pad(x, (1, 3)), jnp.tile(jnp.sin(x), 2)),
        (4,),
    ),
    "solve": (lambda x: jnp.linalg.solve(x + 4 * jnp.eye(3)[None], jnp.ones((2, 3, 1))), (2, 3, 3)),
    "transform": (lambda x: jnp.real(jnp.fft.rfft(x)), (2, 4)),
}


def point(shape):
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


@functools.cache
def references():
    """JAX's own, by one program for all cases."""
    points = {name: point(shape) for name, (_, shape) in CASES.items()}
    return jax.jit(lambda xs: {name: jax.jacrev(CASES[name][0])(x) for name, x in xs.items()})(points)


@pytest.mark.parametrize(("name", "mode"), thinned_product(CASES, ["forward", "reverse"]))
def test_under_the_strictest_settings(name, mode):
    f, shape = CASES[name]
    with (
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.debug_nans(True),
    ):
        found = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(point(shape)).todense()
    np.testing.assert_allclose(found, references()[name], atol=1e-5)
