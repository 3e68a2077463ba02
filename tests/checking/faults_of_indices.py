"""Indices out of bounds, scatters that leave infinities, and calls that JAX does not see into."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector

X = vector(1.0, 2.0, 3.0)
SEGMENTS = np.array([0, 0, 2])


@fault("warning", "value", "of 3 elements JAX reads number 2 for 5", X)
def index_too_large(x):
    """an index that is too large, where JAX reads the last element"""
    return jnp.sum(x[jnp.array([0, 5])])  # <-


@fault("warning", "value", "of 3 elements JAX reads number 2 for 3", X)
def next_element_in_a_loop(x):
    """a loop that reads one element too far"""
    return jax.lax.fori_loop(0, 3, lambda i, s: s + x[i] * x[i + 1], 0.0)  # <-


@fault("error", "value", "scatter-max keeps the infinity or NaN that the array began with", X)
def empty_segment(x):
    """segment_max of an empty segment"""
    return jnp.sum(jax.ops.segment_max(x, SEGMENTS, 3))  # <-


@fault("error", "value", "scatter-min keeps the infinity or NaN", X)
def unwritten_minimum(x):
    """a scattered minimum that leaves an element as it was"""
    return jnp.sum(jnp.full(4, jnp.inf).at[jnp.array([0, 1, 2])].min(x))  # <-


@fault("error", "derivative", "JAX has no derivative of scatter-mul: it multiplies at places", X)
def product_of_segments(x):
    """segment_prod, which has no derivative"""
    return jnp.sum(jax.ops.segment_prod(x, SEGMENTS, 3))  # <-


@jax.custom_batching.custom_vmap
def _root(x):
    return jnp.sqrt(x - 1.0)


@_root.def_vmap
def _(axis_size, in_batched, x):
    return jnp.sqrt(x - 1.0), True


@fault("error", "derivative", "JAX has no reverse mode of custom_vmap_call: JAX", np.float32(2.0))
def custom_vmap(x):
    """a custom_vmap function, which has no reverse mode"""
    return _root(x) ** 2  # <-


@fault("error", "derivative", "JAX has no derivative of pure_callback: it calls a function of", X)
def callback_into_python(x):
    """a callback into Python on the way"""
    shape = jax.ShapeDtypeStruct((3,), "float32")
    doubled = jax.pure_callback(lambda a: np.asarray(a) * 2, shape, x)  # <-
    return jnp.sum(doubled)


@fault("error", "value", "the function of Python that pure_callback calls returns NaN", X)
def callback_that_gives_nan(x):
    """a callback into Python that returns NaN"""
    still = jax.lax.stop_gradient(x)
    shape = jax.ShapeDtypeStruct((3,), "float32")
    factors = jax.pure_callback(lambda a: np.asarray(a) * np.float32(np.nan), shape, still)  # <-
    return jnp.sum(x * factors)


def _neighbors(x):
    i = jnp.arange(3) + 1
    return jnp.sum(jnp.where(i < 3, x[i], 0.0) * x)


HEALTHY = {
    "an index out of bounds that is masked": (_neighbors, X),
    "a fill that was asked for": (
        lambda x: jnp.sum(x.at[jnp.array([0, 5])].get(mode="fill", fill_value=0)),
        X,
    ),
    "a clip that was asked for": (lambda x: jnp.sum(x.at[jnp.array([0, 5])].get(mode="clip")), X),
    "negative indices": (lambda x: jnp.sum(x[jnp.array([-1, -3])]) + x[-1], X),
    "a window that moves inward": (lambda x: jnp.sum(jax.lax.dynamic_slice(x, (5,), (2,))), X),
    "segments that all have elements": (
        lambda x: jnp.sum(jax.ops.segment_max(x, np.array([0, 0, 1]), 2)) + x[0],
        X,
    ),
    "custom_vmap under vmap": (lambda x: jnp.sum(jax.vmap(_root)(x)), vector(2.0, 3.0)),
    "a callback that is not differentiated": (
        lambda x: jnp.sum(
            x * jax.pure_callback(lambda: np.ones(3, np.float32), jax.ShapeDtypeStruct((3,), "float32"))
        ),
        X,
    ),
}
