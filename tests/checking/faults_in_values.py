"""Functions whose value is NaN or infinite."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def log_of_zero(x):
    """log of 0"""
    y = 2.0 * x
    return jnp.sum(jnp.log(y))  # <-


@fault("error", "value", "log of -1, below 0, is NaN", vector(-1.0, 1.0))
def log_of_negative(x):
    """log of a negative number"""
    return jnp.sum(jnp.log(x))  # <-


@fault("error", "value", "sqrt of -2, a negative number, is NaN", vector(-2.0, 1.0))
def sqrt_of_negative(x):
    """sqrt of a negative number"""
    y = jnp.sqrt(x)  # <-
    return jnp.sum(y * 3.0)


@fault("error", "value", "division by zero", vector(1.0, 0.0))
def division_by_zero(x):
    """division by zero"""
    y = 1.0 / x  # <-
    return jnp.sum(y)


@fault("error", "value", "0 / 0 is NaN", vector(0.0, 0.0))
def normalize_zero(x):
    """a zero vector normalized"""
    total = jnp.sum(x)
    return jnp.sum((x / total) ** 2)  # <-


@fault("error", "value", "overflow in exp: exp(200)", vector(1.0, 200.0))
def softmax_without_shift(x):
    """a softmax without a shift"""
    e = jnp.exp(x)  # <-
    return jnp.sum(e / jnp.sum(e) * jnp.arange(2.0))


@fault("error", "derivative", "overflow in exp: exp(200)", vector(1.0, 200.0))
def part_of_softmax_without_shift(x):
    """a softmax without a shift, whose finite part alone is used"""
    e = jnp.exp(x)  # <-
    return (e / jnp.sum(e))[0]


@fault("error", "value", "overflow in exp: exp(100)", vector(1.0, 100.0))
def logsumexp_without_shift(x):
    """a logsumexp without a shift"""
    return jnp.log(jnp.sum(jnp.exp(x)))  # <-


@fault("error", "value", "overflow in exp: exp(90)", vector(90.0))
def softplus_without_shift(x):
    """log(1 + exp(x)) of a large x"""
    y = jnp.exp(x)  # <-
    return jnp.sum(jnp.log(1.0 + y))


@fault("error", "value", "overflow in mul", vector(1e30, 1.0))
def product_overflows(x):
    """a product that overflows"""
    y = x * x  # <-
    return jnp.sum(y) - 1.0


@fault("error", "value", "overflow in dot_general", vector(1e30, 1e30))
def dot_overflows(x):
    """an inner product that overflows"""
    return x @ x  # <-


@fault("error", "value", "0 to a negative power is inf", vector(0.0))
def negative_power_of_zero(x):
    """a negative power of 0"""
    return jnp.sum(x**-2)  # <-


@fault("error", "value", "to the power 0.5 is NaN", vector(-4.0))
def power_of_negative(x):
    """a fractional power of a negative number"""
    return jnp.sum(x**0.5)  # <-


@fault("error", "value", "asin of 1.5", vector(1.5))
def arcsin_outside(x):
    """arcsin outside of its domain"""
    return jnp.sum(jnp.arcsin(x))  # <-


@fault("error", "value", "atanh of 1, at the edge", vector(1.0))
def arctanh_at_edge(x):
    """arctanh at the edge of its domain"""
    return jnp.sum(jnp.arctanh(x))  # <-


@fault("error", "value", "not positive definite", -np.eye(3, dtype=np.float32))
def cholesky_of_indefinite(a):
    """cholesky of an indefinite matrix"""
    return jnp.sum(jnp.linalg.cholesky(a))  # <-


@fault("error", "value", "singular matrix", np.ones((3, 3), np.float32))
def singular_solve(a):
    """a linear system with a singular matrix"""
    return jnp.sum(jnp.linalg.solve(a, jnp.ones(3)))  # <-


@fault("error", "value", "inf - inf is NaN", vector(1.0, 2.0))
def row_masked_throughout(x):
    """softmax of a row that is masked throughout"""
    scores = jnp.where(jnp.zeros(2, bool), x, -jnp.inf)
    return jax.nn.softmax(scores)[0]  # <-


@fault("error", "value", "too large for float16", vector(1e6))
def cast_overflows(x):
    """a cast that overflows"""
    half = x.astype(jnp.float16)  # <-
    return jnp.sum(half.astype(jnp.float32))


@fault("error", "value", "the argument x holds NaN", vector(1.0, np.nan))
def nan_argument(x):
    """NaN in an argument"""
    return jnp.sum(x**2)


@fault("error", "value", "division by zero", np.float32(3.0))
def loop_divides_by_zero(x):
    """division by zero at a step of a scan"""

    def step(carry, k):
        return carry + 1.0 / (x - k), None  # <-

    return jax.lax.scan(step, 0.0, jnp.arange(5.0))[0]


@fault("error", "value", "overflow in integer_pow", np.float32(3.0))
def while_overflows(x):
    """overflow at a step of a while loop"""

    def body(state):
        n, y = state
        return n + 1, y**2  # <-

    return jax.lax.while_loop(lambda s: s[0] < 20, body, (0, x))[1]


@fault("error", "value", "log(0) is -inf", np.float32(0.0))
def branch_that_is_taken(x):
    """log of 0 in the branch of a cond that is taken"""
    return jax.lax.cond(
        x < 1.0,
        lambda x: jnp.log(x),  # <-  # noqa: PLW0108
        lambda x: x,
        x,
    )


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def jitted_and_mapped(x):
    """log of 0 under jit and vmap"""

    @jax.jit
    def entropy(p):
        return -p * jnp.log(p)  # <-

    return jnp.sum(jax.vmap(entropy)(x))


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def inside_of_custom_jvp(x):
    """log of 0 inside of a custom_jvp function"""

    @jax.custom_jvp
    def scaled_log(x):
        return 2.0 * jnp.log(x)  # <-

    scaled_log.defjvp(lambda p, t: (scaled_log(*p), 2.0 * t[0] / p[0]))
    return jnp.sum(scaled_log(x))


@fault("error", "value", "the 0 is an underflow of exp", vector(-200.0, 1.0))
def cross_entropy_of_probabilities(x):
    """a cross entropy of probabilities that underflow"""
    p = jax.nn.softmax(x)
    return -jnp.log(p)[0]  # <-


@fault("error", "value", "the 0 is an underflow of logistic", vector(-200.0, 1.0))
def log_of_sigmoid(x):
    """log of a sigmoid that underflows"""
    return jnp.sum(jnp.log(jax.nn.sigmoid(x)))  # <-


@fault(
    "error",
    "value",
    "overflow in integer_pow: the result exceeds the largest float16",
    np.array([300.0], np.float16),
)
def half_precision_overflows(x):
    """a square that overflows in float16"""
    return jnp.sum(x**2)  # <-


@fault("error", "value", "log(0) is -inf", vector(5.0, 2.0))
def mapped_loop(x):
    """log of 0 at a step of a scan under vmap"""

    def step(total, k):
        return total + jnp.log(x[:, None].sum(1) - k), None  # <-

    return jnp.sum(jax.lax.scan(step, jnp.zeros(2), jnp.arange(3.0))[0])


@fault("error", "value", "a sum of exp(-inf)", vector(-np.inf, -np.inf))
def logsumexp_of_nothing(x):
    """logsumexp of nothing but -inf"""
    return jax.scipy.special.logsumexp(x)  # <-


@fault("error", "value", "what rounding leaves of a difference from sigmoid(x)", vector(100.0))
def log_of_complement(x):
    """log(1 - p) of a probability that is rounded to 1"""
    p = jax.nn.sigmoid(x)
    return -jnp.sum(jnp.log(1.0 - p))  # <-


@fault("error", "value", "overflow in reduce_sum: 9e+04", np.full(3, 30000.0, np.float16))
def half_precision_sum(x):
    """a sum that overflows in float16"""
    return jnp.sum(x)  # <-


@fault("error", "value", "determinant of a singular matrix", np.ones((2, 2), np.float32))
def singular_determinant(a):
    """the logarithm of the determinant of a singular matrix"""
    return jnp.linalg.slogdet(a)[1]  # <-


@fault("error", "value", "the 0 is an underflow of exp", vector(30.0))
def log_of_density(x):
    """the logarithm of a density that underflows"""
    return jnp.sum(jnp.log(jax.scipy.stats.norm.pdf(x)))  # <-


@fault("error", "value", "an index is out of bounds", vector(1.0, 2.0), np.array([5, 0]))
def index_out_of_bounds(x, places):
    """an index out of bounds that is filled with NaN"""
    return jnp.sum(x.at[places].get(mode="fill"))  # <-


@fault("error", "value", "log(0) is -inf", np.array([0j, 1.0], np.complex64))
def complex_log_of_zero(z):
    """log of a complex 0"""
    return jnp.sum(jnp.abs(jnp.log(z)))  # <-


@fault("error", "value", "determinant of a singular matrix", np.ones((4, 4), np.float32))
def larger_singular_determinant(a):
    """the logarithm of the determinant of a larger singular matrix, which JAX takes from its factors"""
    return jnp.linalg.slogdet(a)[1]  # <-


@fault("error", "value", "a constant that is an infinity reaches the output", vector(0.0, 1.0))
def barrier_inside_of_custom_jvp(x):
    """an infinity that a custom_jvp function puts in place"""

    @jax.custom_jvp
    def barrier(x):
        return jnp.where(x > 0, -jnp.log(jnp.where(x > 0, x, 1.0)), jnp.inf)  # <-

    barrier.defjvp(lambda primals, tangents: (barrier(*primals), -tangents[0] / primals[0]))
    return jnp.sum(barrier(x))
