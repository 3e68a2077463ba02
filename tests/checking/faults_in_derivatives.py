"""Functions of which only the derivative is NaN or infinite."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from tests.checking.faults import fault, vector


@fault("error", "derivative", "sqrt has an infinite derivative at 0", vector(0.0, 1.0))
def sqrt_at_zero(x):
    """sqrt at 0"""
    return jnp.sum(jnp.sqrt(x))  # <-


@fault("error", "derivative", "a branch that where", vector(0.0, 1.0))
def untaken_sqrt(x):
    """sqrt at 0 in the branch that where does not take"""
    root = jnp.sqrt(x)  # <-
    return jnp.sum(jnp.where(x > 0, root, 0.0))


@fault("error", "derivative", "a branch that where", vector(0.0, 1.0))
def untaken_division(x):
    """division by zero in the branch that where does not take"""
    quotient = jnp.sin(x) / x  # <-
    return jnp.sum(jnp.where(x == 0, 1.0, quotient))


@fault("error", "derivative", "a branch that where", vector(-1.0, 1.0))
def untaken_log(x):
    """log of a negative number, squared away by where"""
    return jnp.sum(
        jnp.where(
            x > 0,
            jnp.sqrt(jnp.log(jnp.maximum(x, 0.0) + 1.0)),  # <-
            0.0,
        )
    )


@fault("error", "derivative", "a branch that where", vector(1000.0, 1.0))
def untaken_overflow(x):
    """overflow of exp in the branch that where does not take"""
    return jnp.sum(
        jnp.where(
            x > 10,
            x,
            jnp.log(1.0 + jnp.exp(x)),  # <-
        )
    )


@fault("error", "derivative", "norm at 0 has no derivative", vector(0.0, 0.0))
def norm_at_zero(x):
    """norm at 0"""
    return jnp.linalg.norm(x)  # <-


@fault("error", "derivative", "norm at 0 has no derivative", np.ones((3, 2), np.float32))
def pairwise_distances(x):
    """distances between all points, of a point to itself as well"""
    difference = x[:, None, :] - x[None, :, :]
    squares = jnp.sum(difference**2, axis=-1)
    return jnp.sum(jnp.sqrt(squares))  # <-


@fault("error", "derivative", "x**0.5 has an infinite derivative at 0", vector(0.0))
def root_as_power(x):
    """x**0.5 at 0"""
    return jnp.sum(x**0.5)  # <-


@fault("error", "derivative", "x**0.0 at 0", vector(0.0))
def zeroth_power(x):
    """x**0. at 0"""
    return jnp.sum(x**0.0)  # <-


@fault(
    "error",
    "derivative",
    "the derivative with respect to the exponent",
    np.float32(-2.0),
    np.float32(2.0),
    argnums=(0, 1),
)
def exponent_of_negative(x, y):
    """the exponent of a negative number as an argument"""
    return x**y  # <-


@fault("error", "derivative", "asin has an infinite derivative at 1", vector(1.0))
def arcsin_at_edge(x):
    """arcsin at the edge of its domain"""
    return jnp.sum(jnp.arcsin(x))  # <-


@fault("error", "derivative", "acos has an infinite derivative at 1", vector(1.0, 0.0))
def angle_of_parallel_vectors(x):
    """the angle between parallel vectors"""
    cosine = jnp.dot(x, jnp.array([1.0, 0.0]))
    return jnp.arccos(cosine)  # <-


@fault("error", "derivative", "atan2(0, 0) has no derivative", vector(0.0, 0.0))
def angle_at_origin(x):
    """arctan2 at the origin"""
    return jnp.arctan2(x[0], x[1])  # <-


@fault("error", "derivative", "eigh with equal eigenvalues", np.eye(3, dtype=np.float32))
def degenerate_eigh(a):
    """eigenvectors of a matrix with equal eigenvalues"""
    values, vectors = jnp.linalg.eigh(a)  # <-
    return jnp.sum(vectors * jnp.arange(3.0)) + jnp.sum(values)


@fault("error", "derivative", "svd with equal singular values", np.eye(3, dtype=np.float32))
def degenerate_svd(a):
    """singular vectors of a matrix with equal singular values"""
    u, s, _ = jnp.linalg.svd(a)  # <-
    return jnp.sum(u * jnp.arange(3.0)) + jnp.sum(s)


@fault("error", "derivative", "sqrt has an infinite derivative at 0", np.float32(2.0))
def loop_reaches_root(x):
    """sqrt at 0 at a step of a scan"""

    def step(carry, k):
        return carry + jnp.sqrt(x - k), None  # <-

    return jax.lax.scan(step, 0.0, jnp.arange(3.0))[0]


@fault("error", "derivative", "0 / 0 is NaN", vector(0.0, 1.0))
def custom_rule(x):
    """a custom_jvp rule that divides by zero"""

    @jax.custom_jvp
    def smooth(x):
        return jnp.abs(x) ** 1.5

    @smooth.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        slope = 1.5 * x / jnp.sqrt(jnp.abs(x))  # <-
        return smooth(x), slope * t

    return jnp.sum(smooth(x))


@fault("error", "derivative", "the standard deviation of equal numbers", vector(1.0, 1.0, 1.0))
def deviation_of_constants(x):
    """the standard deviation of equal numbers"""
    return jnp.std(x)  # <-


@fault("error", "derivative", "the gradient overflows in mul", vector(1e-30))
def gradient_overflows(x):
    """a gradient that overflows where the value does not"""
    y = x * 1e30  # <-
    return jnp.sum(y * 1e30)


@fault("error", "derivative", "a branch that where", vector(0.0, 4.0), np.float32(1.0))
def branches_in_a_mapped_loop(x, y):
    """sqrt at 0 in an untaken branch at a step of a loop under vmap"""

    def one(t):
        def step(carry, _):
            root = jnp.sqrt(t)  # <-
            return carry + jnp.where(t > 0, root, 0.0), None

        return jax.lax.scan(step, y, None, length=3)[0]

    return jnp.sum(jax.vmap(one)(x))


@fault("error", "derivative", "norm at 0 has no derivative", np.eye(3, 2, dtype=np.float32))
def rows_normalized(x):
    """rows divided by their norm, one of them zero"""
    lengths = jnp.sqrt(jnp.sum(x**2, axis=-1, keepdims=True))  # <-
    return jnp.sum(x / (lengths + 1e-6))


@fault("error", "derivative", "xlogy has an infinite derivative", vector(0.0, 1.0))
def xlogy_at_zero(p):
    """xlogy(p, p) at 0"""
    return jnp.sum(jax.scipy.special.xlogy(p, p))  # <-


@fault("error", "derivative", "xlogx has an infinite derivative", vector(0.0, 1.0))
def entropy_at_zero(p):
    """the entropy of a probability that is 0"""
    return jnp.sum(jax.scipy.special.entr(p))  # <-


@fault("error", "derivative", "JAX has no derivative of io_callback", vector(1.0, 2.0))
def callback(x):
    """a callback that is not differentiated, though its result is not used"""
    io_callback(lambda _: None, None, x)  # <-
    return jnp.sum(x**2)


@fault("error", "derivative", "a branch that where", vector(0.0, 1.0))
def untaken_entropy(p):
    """p log p at 0, in the branch that where does not take"""
    return jnp.sum(jnp.where(p > 0, p * jnp.log(p), 0.0))  # <-


@fault("error", "derivative", "0 / 0 is NaN", vector(0.0, 1.0))
def backward_rule(x):
    """a custom_vjp rule that divides by zero"""

    @jax.custom_vjp
    def squares(x):
        return jnp.sum(x**2)

    def backward(x, cotangent):
        return (2.0 * cotangent * x**2 / x,)

    squares.defvjp(lambda x: (squares(x), x), backward)
    return squares(x)  # <- JAX knows the line of the call alone
