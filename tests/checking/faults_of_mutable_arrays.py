"""Functions that write into mutable arrays (`jax.new_ref`), with a fault and without one."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault("error", "derivative", "sqrt has an infinite derivative at 0", vector(0.0, 0.0, 0.0))
def root_of_an_accumulator(x):
    """sqrt of a sum that a loop adds up in a mutable array"""
    total = jax.new_ref(jnp.zeros(()))

    def body(i, carry):
        total[...] += x[i] ** 2
        return carry

    jax.lax.fori_loop(0, 3, body, 0)
    return jnp.sqrt(total[...])  # <-


@fault("error", "value", "log of -1, below 0, is NaN", np.float32(-1.0))
def branch_that_writes(t):
    """a branch that writes the logarithm of a negative number into a mutable array"""
    held = jax.new_ref(t)

    def one():
        held[...] = t * 0 + 1.0

    def logarithm():
        held[...] = jnp.log(held[...])  # <-

    jax.lax.cond(t > 5, one, logarithm)
    return held[...]


@fault("warning", "zero gradient", "rounding (floor)", np.float32(1.5))
def rounded_into_an_array(t):
    """what is written into a mutable array is rounded"""
    held = jax.new_ref(jnp.zeros(2))
    held[0] = jnp.floor(t)  # <-
    return jnp.sum(held[...])


def _written(t):
    held = jax.new_ref(jnp.zeros(2))
    held[0] = t**2
    held[1] = jnp.sin(t)
    return jnp.sum(held[...])


def _accumulated(x):
    total = jax.new_ref(jnp.ones(()))

    def body(i, carry):
        total[...] *= x[i] + i
        return carry

    jax.lax.fori_loop(0, 3, body, 0)
    return jnp.sin(total[...])


_OUTSIDE = jax.new_ref(jnp.zeros(2))


def _outside(t):
    _OUTSIDE[0] = t
    return jnp.sum(_OUTSIDE[...] ** 2)


HEALTHY = {
    "numbers written into a mutable array": (_written, np.float32(1.3)),
    "a mutable array under jit": (jax.jit(_written), np.float32(1.3)),
    "a mutable array in a loop": (_accumulated, vector(0.3, 0.2, 0.1)),
    "a mutable array from outside": (_outside, np.float32(1.3)),
    "a mutable array that is frozen": (lambda t: jax.ref.freeze(jax.new_ref(t)) ** 2, np.float32(1.0)),
}
