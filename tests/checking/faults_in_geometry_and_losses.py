"""Rotations, distances, losses and densities that were reported, each with the line of its fault."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from tests.checking.faults import fault, vector

BRANCH = "a branch that where"


@fault("error", "derivative", "norm at 0 has no derivative", vector(0.0, 0.0, 0.0))
def quaternion_of_no_rotation(v):
    """the quaternion of a rotation by 0 (kornia#3949, jaxsim#339)"""
    angle = jnp.sqrt(jnp.sum(v**2))  # <-
    scale = jnp.where(angle > 0, jnp.sin(angle / 2) / jnp.where(angle > 0, angle, 1.0), 0.5)
    return jnp.sum(v * scale * jnp.arange(1.0, 4.0))


@fault("error", "derivative", BRANCH, vector(0.0, 0.5))
def half_turn(w):
    """the series for small angles, at half a turn (jaxlie#9)"""
    series = 2.0 / w - 2.0 / 3.0 / w**3  # <-
    return jnp.sum(jnp.where(jnp.abs(w) > 0.9, series, jnp.pi - 2.0 * w))


@fault("error", "derivative", BRANCH, np.diag([1.0, -1.0, -1.0]).astype(np.float32))
def quaternion_of_half_a_turn(r):
    """the real part of the quaternion of half a turn (kornia#1653)"""
    trace = jnp.trace(r)
    real = jnp.sqrt(trace + 1.0) / 2.0  # <-
    return jnp.where(trace > 0, real, r[0, 0])


@fault("error", "derivative", "acos has an infinite derivative at 1", vector(1.0, 0.0, 0.0))
def logarithm_of_no_rotation(q):
    """half the angle of a quaternion that is 1, clipped first (kornia#4228)"""
    angle = jnp.arccos(jnp.clip(q[0], -1.0, 1.0))  # <-
    return angle * jnp.sum(q[1:])


@fault("error", "derivative", f"atan2(0, 0) has no derivative, in {BRANCH}", vector(3.0, 0.0, -5.0))
def angles_or_nothing(x):
    """the angle at the origin, in the branch that where does not take (jax#1052)"""
    angles = jnp.arctan2(x, 2.0 * x)  # <-
    return jnp.sum(jnp.where(x == 0, 0.0, angles * x))


@fault("error", "derivative", BRANCH, np.float32(0.0))
def lens_without_strength(k):
    """a lens of strength 0, whose limit where puts in (cheetah#79)"""
    root = jnp.sqrt(k)  # <-
    return jnp.where(k == 0, 0.5, jnp.sin(0.5 * root) / jnp.where(k == 0, 1.0, root))


@fault(
    "error", "derivative", "norm at 0 has no derivative", np.eye(2, dtype=np.float32) * [[0.0], [1.0]]
)
def similarity_of_normalized(x):
    """rows divided by their norm or by 1, one of them zero (optax#946)"""
    lengths = jnp.linalg.norm(x, axis=1, keepdims=True)  # <-
    rows = x / jnp.where(lengths == 0.0, 1.0, lengths)
    return jnp.sum(rows @ jnp.array([1.0, 2.0]))


@fault("error", "derivative", "equal numbers", vector(2.0, 2.0, 2.0))
def normalized_layer_of_constants(x):
    """a layer normalized by a deviation of 0 and an epsilon (Flux#2096, pytorch_geometric#2917)"""
    deviation = jnp.std(x)  # <-
    return jnp.sum((x - jnp.mean(x)) / (deviation + 1e-5) * jnp.arange(3.0))


@fault("error", "derivative", "x**0.5 has an infinite derivative at 0", vector(100.0, 0.3))
def focal_loss_of_certainty(logits):
    """a focal loss of exponent 1/2 at a certain hit (kornia#918)"""
    miss = 1.0 - jax.nn.sigmoid(logits)
    return jnp.sum(miss**0.5 * jax.nn.softplus(-logits))  # <-


@fault("error", "derivative", "x**0.0 at 0", vector(100.0, 0.3))
def focal_loss_of_exponent_zero(logits):
    """a focal loss of exponent 0 at a certain hit (optax#1267, sam3#575)"""
    miss = 1.0 - jax.nn.sigmoid(logits)
    return jnp.sum(miss**0.0 * jax.nn.softplus(-logits))  # <-


@fault("error", "derivative", BRANCH, vector(1.0, -1.0))
def quotient_or_logarithm(x):
    """a quotient below 0 and a logarithm above, at the pole of the quotient (tensorflow#20355)"""
    below = 1.0 / (1.0 - x)  # <-
    return jnp.sum(jnp.where(x < 0, below, jnp.log(jnp.maximum(x, 0.0) + 1.0)))


@fault("error", "derivative", BRANCH, np.float32(2.0))
def factor_of_logarithms(a):
    """a factor of logarithms, some of them of negative numbers (tensorflow#27684)"""
    x = jnp.array([0.5, -1.0, 2.0])
    products = a * jnp.log(x)  # <-
    return jnp.sum(jnp.where(x > 0, products, 0.0))


@fault("error", "derivative", "overflow in exp", vector(-200.0, 0.5))
def sigmoid_by_hand(x):
    """1 / (1 + exp(-x)) far below 0 (jax#777)"""
    return jnp.sum(1.0 / (1.0 + jnp.exp(-x)))  # <-


@fault("error", "derivative", "xlogy", vector(0.0, 0.5))
def beta_density_at_its_edge(x):
    """the density of Beta(1, 2) at 0, where its slope is -1 (numpyro#2089)"""
    return jnp.sum(special.xlogy(0.0, x) + jnp.log1p(-x))  # <-


@fault("error", "derivative", "log has an infinite derivative at 0", vector(0.0, 0.5, 0.5))
def mixture_without_one_part(weights):
    """a mixture of densities, one of them of weight 0 (numpyro#2224)"""
    densities = jnp.array([0.2, 1.0, 0.5])
    logs = jnp.log(weights)  # <-
    return jax.nn.logsumexp(logs + jnp.log(densities))


@fault("error", "value", "0 / 0 is NaN", vector(1.5))
def variance_of_one(x):
    """the unbiased variance of one number (Flux#1992)"""
    return jnp.sum((x - jnp.mean(x)) ** 2) / (x.size - 1)  # <-


@fault("error", "derivative", "norm at 0 has no derivative", np.zeros((2, 2), np.float32))
def norm_of_an_update(g):
    """a gradient scaled by its norm, at convergence (optax#1743)"""
    norm = jnp.sqrt(jnp.sum(g * g))  # <-
    return jnp.sum(g / (norm + 1e-8))


@fault("warning", "zero gradient", "saturated tanh", vector(-9.0109138, 9.5))
def tanh_just_saturated(x):
    """tanh where its slope of 6e-8 is lost (jax#40388)"""
    return jnp.sum(jnp.tanh(x))  # <-


@fault("warning", "zero gradient", "saturated sigmoid", vector(20.0, 40.0))
def sigmoid_on_one_side(x):
    """sigmoid far above 0, where its slope is lost, unlike below (jax#40342)"""
    return jnp.sum(jax.nn.sigmoid(x))  # <-


@fault("note", "kink", "has a kink here", vector(3.0, 1.0))
def hard_swish_at_its_bend(x):
    """hard_swish at 3, where its slopes are 1.5 and 1 (pytorch#147801, attorch#16)"""
    return jnp.sum(jax.nn.hard_swish(x))  # <-


@fault("error", "derivative", "Betainc gradient with respect to a and b", np.float32(2.0))
def betainc_by_its_shape(a):
    """betainc by its first argument, which JAX does not differentiate (jax#38610)"""
    return special.betainc(a, 3.0, 0.5)  # <-


@fault("error", "derivative", "holds an infinity", np.float32(2.0))
def no_path_and_one_path(x):
    """logaddexp of -inf and -inf, and then of a number (pytorch#49724)"""
    nothing = x - jnp.inf
    neither = jnp.logaddexp(nothing, nothing)  # <-
    return jnp.logaddexp(neither, x)


@fault(
    "warning", "zero gradient", "a product with several zeros", np.tile(vector(0.0, 0.1, 0.2), (2, 1))
)
def product_of_rows_with_zeros(x):
    """a product of all elements, two of them 0 (tensorflow#62556)"""
    return jnp.prod(x)  # <-


@fault("warning", "zero gradient", "the custom_jvp rule of scaled, which gives zero", vector(2.0, 1.0))
def rule_of_one_argument(x):
    """a custom_jvp rule of None for the argument in question (jax#3389)"""

    @jax.custom_jvp
    def scaled(x, y):
        return x**2 * y

    scaled.defjvps(None, lambda t, _, x, __: x**2 * t)
    return jnp.sum(scaled(x, jnp.array([3.0, 4.0])))  # <-


@fault("error", "derivative", "the squares in this norm underflow", vector(1e-25, 2e-25))
def norm_of_tiny_numbers(x):
    """a norm of numbers whose squares are 0 (tensorflow#12071)"""
    return jnp.sqrt(jnp.sum(x**2))  # <-


@fault("error", "derivative", "the squares in this norm underflow", np.float16([1e-4, 1e-4]))
def norm_of_small_numbers_in_half_precision(x):
    """the same in float16, where numbers are small much sooner, by a product"""
    return jnp.sqrt(x @ x)  # <-
