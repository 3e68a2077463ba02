"""Numbers that are too large for their dtype, in values and in derivatives, in every dtype."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from tests.checking.faults import fault, vector


def half(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float16)


def brain(*numbers: float) -> np.ndarray:
    return np.array(numbers, ml_dtypes.bfloat16)


@fault("error", "value", "exceeds the largest float16", half(300.0, 1.0))
def square_in_float16(x):
    """overflow of a square in float16"""
    return jnp.sum(x * x)  # <-


@fault("error", "value", "exceeds the largest float16", half(300.0, 1.0))
def norm_in_float16(x):
    """overflow of a norm in float16"""
    return jnp.sqrt(jnp.sum(jnp.square(x)))  # <-


@fault("error", "value", "exceeds the largest bfloat16", brain(1e20, 1.0))
def dot_in_bfloat16(x):
    """overflow of a scalar product in bfloat16"""
    return x @ x  # <-


@fault("error", "derivative", "overflow in integer_pow: the result exceeds", vector(1e20, 1.0))
def masked_cube(x):
    """overflow of a cube in the branch that where does not take"""
    cube = x**3  # <-
    return jnp.sum(jnp.where(x > 10, x, cube))


@fault("error", "derivative", "the derivative overflows in log: it exceeds", half(6e-6))
def logarithm_in_float16(x):
    """the derivative of a logarithm overflows in float16"""
    return jnp.sum(jnp.log(x))  # <-


@fault("error", "derivative", "the derivative overflows in integer_pow", vector(1e-18))
def negative_power(x):
    """the derivative of a negative power overflows"""
    return jnp.sum(x**-2)  # <-


@fault("error", "derivative", "the derivative overflows in div", half(1e-3))
def quotient_in_float16(x):
    """the derivative of a quotient overflows in float16"""
    return jnp.sum(1 / x)  # <-


@fault("error", "derivative", "the derivative overflows in broadcast_in_dim", half(1e-3))
def broadcast_in_float16(x):
    """the derivatives of many copies add up to more than float16 holds"""
    copies = jnp.broadcast_to(x, (90, 1))  # <-
    return jnp.sum(copies * jnp.float16(1000.0)).astype(jnp.float32)


@fault("error", "value", "numbers below the smallest normal float32 count as 0", vector(2e-39))
def logarithm_of_a_subnormal(x):
    """the logarithm of a subnormal number"""
    return jnp.sum(jnp.log(x))  # <-


@fault("error", "derivative", "the derivative overflows in convert_element_type", half(1.0))
def cast_of_a_cotangent(x):
    """a cotangent of float32 that float16 does not hold"""
    wide = x.astype(jnp.float32)  # <-
    return jnp.sum(jnp.sin(wide * 1e5))


HEALTHY = {
    "squares in float16 within range": (lambda x: jnp.sum(x * x), half(200.0, 1.0)),
    "a sum of float16 that is added up in float32": (lambda x: jnp.mean(x), half(6e4, 6e4)),  # noqa: PLW0108
    "a masked overflow with a finite derivative": (
        lambda x: jnp.sum(jnp.where(x > 10, x, x * x)),
        vector(1e20, 1.0),
    ),
    "a quotient of large numbers": (lambda x: jnp.sum(1e20 / (x * 1e10)), vector(1e5, 3e5)),
    "softmax in float16": (lambda x: jax.nn.softmax(x)[0], half(300.0, 299.0)),
    "a power of small numbers": (lambda x: jnp.sum((x * 1e10) ** -2), vector(1e-10, 2e-10)),
}
