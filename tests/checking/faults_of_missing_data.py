"""Missing data: NaN in an array, which is kept from the value and not from the derivative."""

import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector

X = vector(1.0, 2.0, 3.0)
Y = vector(1.0, np.nan, 3.0)
W = np.float32(1.5)
MASKED = "the argument y holds NaN, in a branch that where"
CONSTANT = "an array held constant holds NaN, in a branch that where"


@fault("error", "derivative", MASKED, W, Y, argnums=(0, 1))
def masked_loss(w, y):
    """missing data that where masks in the loss"""
    squares = (w * X - y) ** 2  # <-
    return jnp.sum(jnp.where(jnp.isnan(y), 0.0, squares))


@fault("error", "derivative", MASKED, W, Y, argnums=(0, 1))
def nansum_of_products(w, y):
    """nansum of products with missing data"""
    return jnp.nansum(w * y)  # <-


@fault("error", "derivative", CONSTANT, W)
def nanmean_of_squares(w):
    """nanmean of a loss of missing data"""
    return jnp.nanmean((w * X - Y) ** 2)  # <-


@fault("error", "derivative", CONSTANT, W)
def products_to_numbers(w):
    """nan_to_num of products with missing data"""
    return jnp.sum(jnp.nan_to_num(w * Y))  # <-


@fault("error", "derivative", CONSTANT, W)
def exponentials_to_numbers(w):
    """nan_to_num of exponentials of missing data"""
    return jnp.sum(jnp.nan_to_num(jnp.exp(w * Y)))  # <-


@fault("error", "derivative", CONSTANT, W)
def masked_logarithms(w):
    """logarithms of missing data, masked"""
    logs = jnp.log(w * Y)  # <-
    return jnp.sum(jnp.where(jnp.isnan(Y), 0.0, logs))


@fault("error", "derivative", "an array held constant holds an infinity, in a branch", W)
def infinities_masked(w):
    """data with an infinity, masked in the loss"""
    y = vector(1.0, np.inf, 3.0)
    squares = (w * X - y) ** 2  # <-
    return jnp.sum(jnp.where(jnp.isinf(y), 0.0, squares))


@fault("error", "derivative", "an array held constant holds NaN", vector(1.0, 2.0))
def matrix_with_missing_data(w):
    """a product with a matrix of missing data, of which the rows are masked"""
    a = np.array([[np.nan, 1.0], [1.0, 2.0]], np.float32)
    rows = a @ w  # <-
    return jnp.sum(jnp.where(vector(0.0, 1.0) > 0, rows, 0.0))


@fault("error", "derivative", "division by zero has an infinite derivative, in a branch", W)
def quotients_to_numbers(w):
    """nan_to_num of a division by zero"""
    return jnp.sum(jnp.nan_to_num(w / vector(0.0, 1.0)))  # <-


@fault("error", "derivative", "x**0.5 has an infinite derivative at 0", np.float32(0.0))
def array_of_exponents(x):
    """0 to an array of exponents"""
    return jnp.sum(x ** vector(2.0, 0.5, 1.0))  # <-


@fault("error", "derivative", "a negative power has no derivative at 0, in a branch", np.float32(0.0))
def masked_negative_exponents(x):
    """0 to an array of exponents, the negative one masked"""
    e = vector(2.0, -1.0)
    powers = x**e  # <-
    return jnp.sum(jnp.where(e > 0, powers, 0.0))


def _safe_loss(w, y):
    is_known = ~jnp.isnan(y)
    return jnp.sum(jnp.where(is_known, (w * X - jnp.where(is_known, y, 0.0)) ** 2, 0.0))


HEALTHY = {
    "missing data put aside first": (_safe_loss, W, Y),
    "nan_to_num of the data": (lambda w, y: jnp.sum(jnp.nan_to_num(y) * w), W, Y),
    "missing data filled with the mean": (
        lambda w, y: jnp.sum(jnp.where(jnp.isnan(y), jnp.nanmean(y), y) * w),
        W,
        Y,
    ),
    "missing data that is not read": (lambda w: jnp.sum(w * Y[np.array([0, 2])]), W),
    "nansum without missing data": (lambda w: jnp.nansum(w * X), W),
    "array of exponents": (lambda x: jnp.sum(x ** vector(2.0, 0.5, -1.0)), np.float32(2.0)),
    "0 to an array of large exponents": (
        lambda x: jnp.sum(x ** vector(2.0, 3.0, 1.0)),
        np.float32(0.0),
    ),
}
