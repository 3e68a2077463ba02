"""Missing data, branches that where does not take, powers of zero, and numbers outside of the array."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector

MISSING = vector(1.0, np.nan, 3.0)


@fault("error", "derivative", "a branch that where", vector(0.0, 4.0))
def root_above_one(x):
    """the root of what is above 1, where the derivative at 0 is 1 (jax#5798)"""
    root = jnp.sqrt(x)  # <-
    return jnp.sum(jnp.where(x < 1.0, x, root))


@fault("error", "derivative", "a branch that where", vector(100.0, -1.0))
def exponential_below_zero(x):
    """exp below 0 and a line above, where the derivative at 100 is 1 (pytorch#68425)"""
    below = jnp.exp(x)  # <-
    return jnp.sum(jnp.where(x <= 0, below, 1.0 + x))


@fault("error", "derivative", "a branch that where", vector(1e10, -1.0))
def exponential_or_nothing(x):
    """exp below 0 and 0 above (tensorflow#2540)"""
    y = jnp.exp(x)  # <-
    return jnp.sum(jnp.where(x > 0, 0.0, y))


@fault("error", "derivative", "a branch that where", vector(2.0, 0.0))
def quotient_or_nothing(w):
    """a quotient by a weight that is 0, in the other branch (tensorflow#20091)"""
    quotient = 3.0 / w  # <-
    return jnp.sum(jnp.where(w > 0, quotient, 0.0))


@fault("error", "derivative", "sqrt has an infinite derivative at 0", np.float32(0.0))
def root_of_product(c):
    """the root of a product with a constant of 0 (tensorflow#4914)"""
    return jnp.sum(jnp.sqrt(c * jnp.array([1.0, 2.0])))  # <-


@fault("error", "derivative", "x**0.0 at 0", np.float32(0.0))
def polynomial_by_powers(x):
    """a polynomial as powers of an array of exponents, the first of them 0 (jax#14397)"""
    return jnp.sum(x ** jnp.arange(3.0))  # <-


@fault("error", "derivative", "at 0", vector(1.0))
def power_of_fraction(x):
    """a fractional part to the power 0 (jax#12409)"""
    return jnp.sum((x - jnp.floor(x)) ** jnp.array([0.0]))  # <-


@fault("error", "derivative", "a branch that where", vector(-1.0, 2.0))
def even_power(x):
    """an even power of a fractional exponent, by two branches (jax#6024)"""
    right = x**1.5  # <-
    return jnp.sum(jnp.where(x < 0, (-1.0 * x) ** 2.0, right))


@fault("error", "derivative", "the argument y holds NaN", np.float32(1.5), MISSING)
def squares_of_missing(w, y):
    """squares of what is missing, masked by where (pytorch#64305)"""
    x = jnp.array([1.0, 2.0, 3.0])
    return jnp.sum(jnp.where(jnp.isnan(y), 0.0, (w * x - y) ** 2))  # <-


@fault("error", "derivative", "the argument y holds NaN", np.float32(1.5), MISSING)
def nansum_of_products(w, y):
    """nansum of products with missing data (jax#15933, pytorch#67180)"""
    return jnp.nansum(w * y)  # <-


@fault("error", "derivative", "the argument x holds NaN", MISSING)
def nanmean_of_squares(x):
    """nanmean of squares of missing data (jax#9040)"""
    return jnp.nanmean(x**2)  # <-


@fault("error", "derivative", "the argument y holds NaN", np.float32(1.5), MISSING)
def nan_to_num_of_squares(w, y):
    """nan_to_num of squares of missing data"""
    return jnp.sum(jnp.nan_to_num((w * y) ** 2))  # <-


@fault("error", "derivative", "sqrt has an infinite derivative at 0", vector(1.0, 0.5))
def padded_roots(x):
    """roots of squares that are padded with zeros, which forward mode alone makes NaN"""
    return jnp.sqrt(jnp.pad(x**2, 1))  # <-


@fault("error", "derivative", "norm at 0 has no derivative", vector(1.0, 0.5))
def root_of_masked_row(x):
    """the norms of rows of which one is masked throughout"""
    rows = jnp.array([[1.0, 1.0], [0.0, 0.0]]) * x
    return jnp.sqrt(jnp.sum(rows**2, axis=1))  # <-


@fault("warning", "value", "out of bounds", vector(1.0, 2.0), np.array([5, 0]))
def read_out_of_bounds(x, places):
    """a place outside of the array, which gives its last element (jax#9839, jax#5760)"""
    return jnp.sum(x[places] ** 2)  # <-


@fault("error", "value", "an index is out of bounds", vector(1.0, 2.0), np.array([7, 0]))
def embedding_out_of_bounds(x, words):
    """an embedding of a word outside of the table (jax#26328)"""
    return jnp.max(jnp.take(x, words))  # <-


@fault("warning", "zero gradient", "set outside of the array", vector(1.0, 2.0), np.array([2, 3]))
def segments_out_of_bounds(x, segments):
    """sums over segments that do not exist (jax#8634)"""
    return jnp.sum(jax.ops.segment_sum(x, segments, num_segments=2))  # <-


@fault("error", "value", "0 / 0 is NaN", vector(1.0, 2.0))
def mean_of_nothing(x):
    """the mean of a group without members (jax#21330)"""
    chosen = jnp.zeros(2)
    return jnp.sum(chosen * x) / jnp.sum(chosen)  # <-


@fault("error", "value", "division by zero", vector(0.0, 1.0))
def relative_error(target):
    """a relative error for a target of 0"""
    return jnp.mean(jnp.abs((target - 2.0) / target))  # <-


@fault("error", "value", "to the power", vector(-0.1, 1.0))
def gamma_correction(x):
    """the gamma correction of a pixel that a filter has made negative (jax#7440)"""
    return jnp.sum(x ** (1.0 / 2.2))  # <-


@fault("error", "derivative", "a branch that where", vector(0.0, 0.0))
def sinc_by_where(x):
    """sin(x) / x, with the limit at 0 put in by where (jax#1722, pytorch#53989)"""
    ratio = jnp.sin(np.pi * x) / (np.pi * x)  # <-
    return jnp.sum(jnp.where(x == 0, 1.0, ratio))


@fault("error", "derivative", "a branch that where", vector(0.0, 1.0))
def logarithm_or_nothing(x):
    """x log x with the limit at 0 put in by where"""
    y = x * jnp.log(x)  # <-
    return jnp.sum(jnp.where(x == 0, 0.0, y))


@fault("error", "value", "an infinity", np.float32(np.inf))
def infinite_argument(x):
    """an infinity in an argument"""
    return x * 2.0


@fault("error", "derivative", "atan2(0, 0) has no derivative", np.array([0j, 1.0], np.complex64))
def phase_of_zero(z):
    """the phase of a complex 0"""
    return jnp.sum(jnp.angle(z))  # <-
