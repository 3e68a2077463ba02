"""Mixed precision, digits that are lost, gradients out of range, and kinks at the point."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault("warning", "precision", "loss of significance in sub", vector(1e4, 2e4))
def root_difference(x):
    """sqrt(x**2 + 1) - x of a large x"""
    root = jnp.sqrt(x**2 + 1.0)
    return jnp.sum(root - x)  # <-


@fault("warning", "precision", "loss of significance in sub", vector(1e-6, 2e-6))
def exponential_less_one(x):
    """exp(x) - 1 of a small x"""
    return jnp.sum(jnp.exp(x) - 1.0)  # <-


@fault("warning", "precision", "loss of significance in sub", np.float32(0.5))
def difference_quotient(x):
    """a difference quotient inside of the function"""
    step = 1e-6
    return (jnp.sin(x + step) - jnp.sin(x)) / step  # <-


@fault("warning", "precision", "loss of significance in sub", vector(1e-3, 2e-3))
def sine_less_line(x):
    """x - sin(x) of a small x"""
    return jnp.sum((x - jnp.sin(x)) / x**3)  # <-


@fault("warning", "precision", "loss of significance in add", np.float32(1.0))
def small_root_of_a_quadratic(c):
    """the small root of a quadratic equation"""
    b = 1e4
    return -b + jnp.sqrt(b * b - 4.0 * c)  # <-


@fault("warning", "precision", "loss of significance", vector(3e-5, 2e-5))
def angle_by_cosine(x):
    """a small angle by its cosine"""
    cosine = jnp.sqrt(1.0 - x**2)
    return jnp.sum(1.0 - cosine)  # <-


@fault("note", "precision", "a cast to a smaller dtype: float32 -> float16", vector(1.5, 2.5))
def half_precision_layer(x):
    """a layer in float16 of a network in float32"""
    half = x.astype(jnp.float16)  # <-
    return jnp.sum(jnp.tanh(half).astype(jnp.float32))


@fault(
    "note", "precision", "a cast to a smaller dtype: float32 -> bfloat16", np.ones((2, 2), np.float32)
)
def bfloat16_product(w):
    """a product of matrices in bfloat16"""
    low = w.astype(jnp.bfloat16)  # <-
    return jnp.sum((low @ low).astype(jnp.float32))


@fault("note", "precision", "weakly typed", 0.3, np.ones(2, np.float16))
def learned_temperature(temperature, x):
    """a number of Python that is divided by in float16"""
    return jnp.sum(x / temperature)  # <-


@fault("note", "precision", "is complex128", np.array([1 + 1j]))
def double_complex_argument(z):
    """a complex argument of 128 bits where JAX has 64"""
    return jnp.sum(jnp.real(z * jnp.conj(z)))


@fault("error", "value", "too large for float16", vector(7e4, 1.0))
def logits_in_half_precision(x):
    """logits that are too large for float16"""
    half = x.astype(jnp.float16)  # <-
    return jnp.sum(half.astype(jnp.float32) * 0.5)


@fault("error", "value", "overflow in", np.full(3, 200.0, np.float16))
def variance_in_half_precision(x):
    """a variance in float16 that overflows, as squares of deviations do (tensorflow#47156)"""
    squares = (x * jnp.array([1.0, -1.0, 2.0], jnp.float16)) ** 2  # <-
    return jnp.sum(squares.astype(jnp.float32))


@fault("error", "derivative", "overflows in mul", np.array([1e-3, 2e-3], np.float16))
def scaled_loss_in_half_precision(x):
    """a scaled loss whose gradient overflows in float16"""
    y = x * jnp.float16(500.0)  # <-
    return jnp.sum(y * jnp.float16(500.0))


@fault("warning", "zero gradient", "a product with zeros", np.array([1e-4, 1e-4], np.float16))
def squares_in_half_precision(x):
    """squares that underflow in float16"""
    return jnp.sum((x * x) * jnp.float16(0.0001))  # <-


@fault("error", "value", "overflow in exp", np.array([12.0, 1.0], np.float16))
def exponential_in_half_precision(x):
    """exp(12) in float16"""
    return jnp.sum(jnp.exp(x))  # <-


@fault("warning", "scale", "explodes", vector(0.1, 0.2))
def deep_linear_network(x):
    """a deep linear network whose weights are too large"""
    return jnp.sum(jax.lax.scan(lambda h, _: (3.0 * h, None), x, None, length=40)[0])  # <-


@fault("warning", "scale", "vanishes", vector(0.1, 0.2))
def deep_sigmoid_network(x):
    """a deep network of sigmoids"""
    step = lambda h, _: (jax.nn.sigmoid(h), None)  # <-  # noqa: E731
    return jnp.sum(jax.lax.scan(step, x, None, length=50)[0])


@fault("warning", "scale", "vanishes", np.float32(1.0))
def decay_over_a_long_time(y):
    """a decay by small steps over a long time"""
    return jax.lax.fori_loop(0, 60, lambda _, y: jnp.sin(0.5 * y), y)  # <-


@fault("note", "kink", "slopes on its two sides are", vector(1.0, 1.0, 2.0))
def smallest_of_equal(x):
    """the smallest of two equal numbers"""
    return jnp.min(x) * 1.0  # <-


@fault("note", "kink", "abs at 0 has a kink here", vector(1.0, 2.0))
def perfect_fit(x):
    """an absolute error of 0"""
    return jnp.sum(jnp.abs(x - jnp.array([1.0, 0.0])))  # <-


@fault("note", "kink", "slopes on its two sides are 0 and 1", vector(1.0, 3.0))
def hinge_at_its_margin(x):
    """a hinge loss at its margin (jax#37821)"""
    return jnp.sum(jnp.maximum(0.0, x - 1.0))  # <-


@fault("note", "kink", "has a kink here", vector(6.0, 1.0))
def relu6_at_its_limit(x):
    """relu6 at 6"""
    return jnp.sum(jax.nn.relu6(x))  # <-


@fault("note", "kink", "has a kink here", vector(1.0, 0.2))
def hard_tanh_at_its_limit(x):
    """hard_tanh at 1"""
    return jnp.sum(jax.nn.hard_tanh(x))  # <-


@fault("note", "kink", "max with ties has a kink here", vector(0.5, 0.5))
def largest_of_a_softmax(x):
    """the largest probability of equal logits (jax#13600)"""
    return jnp.max(jax.nn.softmax(x))  # <-


@fault("note", "kink", "max with ties has a kink here", vector(1.0, -1.0))
def largest_size(x):
    """the maximum norm of a vector with two sizes that are equal"""
    return jnp.max(jnp.abs(x))  # <-


@fault("note", "kink", "has a kink here", vector(1.0, 1.0, 0.0, 2.0))
def pooled(x):
    """max pooling of equal numbers"""
    return jnp.sum(jnp.max(x.reshape(2, 2), axis=1) * jnp.array([1.0, 2.0]))  # <-


@fault("note", "kink", "interp at a grid point has a kink here", np.float32(1.0))
def knot_of_a_table(x):
    """a table at its knot (jax#3024)"""
    return jnp.interp(x, jnp.array([0.0, 1.0, 2.0]), jnp.array([0.0, 1.0, 4.0]))  # <-
