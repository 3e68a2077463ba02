"""Functions without a path for the gradient, and with one that is dead at this point."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault("warning", "zero gradient", "cut at", np.float32(0.3))
def time_of_an_event(drag):
    """the time at which a loop ends, found by steps (diffrax#451)"""

    def step(state):
        t, height = state
        return t + 0.1, height - 0.1 * (1.0 - drag)

    return jax.lax.while_loop(lambda s: s[1] > 0.0, step, (0.0, 1.0))[0]  # <-


@fault("warning", "zero gradient", "cut at the order of a sort", vector(2.0, 1.0, 3.0))
def rank_correlation(x):
    """a correlation of ranks (jax#11040)"""
    ranks = jnp.argsort(jnp.argsort(x))  # <-
    return ranks @ jnp.array([0.5, -1.0, 2.0])


@fault("warning", "zero gradient", "cut at a comparison", vector(2.0, 1.0))
def share_of_hits(scores):
    """the share of predictions that hit (haiku#442)"""
    hits = scores == jnp.max(scores)  # <-
    return jnp.mean(hits * jnp.array([1.0, 0.0]))


@fault("warning", "zero gradient", "cut at rounding (round)", vector(0.3, 1.7))
def nearest_pixel(x):
    """an image at the nearest pixel (jax#8684)"""
    places = jnp.round(x).astype(jnp.int32)  # <-
    return jnp.sum(jnp.array([1.0, 4.0, 9.0])[places])


@fault("warning", "zero gradient", "cut at rounding (ceil)", vector(0.3, 1.7))
def number_of_boxes(x):
    """a number of boxes that is rounded up"""
    return jnp.sum(jnp.ceil(x) * 3.0)  # <-


@fault("warning", "zero gradient", "cut at rounding", vector(0.3, 1.7))
def quantized(x):
    """weights on a grid of 1/127"""
    levels = jnp.rint(x * 127.0)  # <-
    return jnp.sum(levels / 127.0)


@fault("warning", "zero gradient", "cut at a cast to integer", vector(0.3, 1.7))
def one_of_many(x):
    """a one-hot vector of a class that is computed"""
    classes = x.astype(jnp.int32)  # <-
    return jnp.sum(jax.nn.one_hot(classes, 3) * jnp.arange(3.0))


@fault("warning", "zero gradient", "cut at", vector(2.0, 1.0, 3.0))
def places_of_the_largest(x):
    """the places of the largest elements"""
    places = jax.lax.top_k(x, 2)[1]  # <-
    return jnp.sum(places * 1.5)


@fault("warning", "zero gradient", "cut at", vector(2.0, 1.0))
def number_of_nonzero(x):
    """the number of elements that are not 0, as a penalty"""
    return jnp.sum(x != 0) * 0.1  # <-


@fault("warning", "zero gradient", "cut at", vector(0.2, 0.7))
def histogram(x):
    """a histogram"""
    counts = jnp.digitize(x, jnp.array([0.0, 0.5, 1.0]))  # <-
    return jnp.sum(counts * 1.0)


@fault("warning", "zero gradient", "cut at stop_gradient", vector(0.2, 0.7), vector(1.0, 2.0))
def target_network(target, x):
    """the parameters of a target network"""
    goal = jax.lax.stop_gradient(target * x)  # <-
    return jnp.mean((goal - x) ** 2)


@fault("warning", "zero gradient", "saturated relu6", vector(7.0, 9.0))
def saturated_relu6(x):
    """relu6 above 6"""
    return jnp.sum(jax.nn.relu6(x))  # <-


@fault("warning", "zero gradient", "saturated", vector(4.0, -5.0))
def saturated_hard_sigmoid(x):
    """hard_sigmoid outside of its limits"""
    return jnp.sum(jax.nn.hard_sigmoid(x))  # <-


@fault("warning", "zero gradient", "is zero at this point", vector(1000.0, 0.0))
def saturated_softmax(x):
    """a softmax of logits that are far apart"""
    return jax.nn.softmax(x) @ jnp.array([1.0, 2.0])  # <-


@fault("warning", "zero gradient", "saturated erf", vector(20.0, -30.0))
def saturated_erf(x):
    """erf of large numbers"""
    return jnp.sum(jax.scipy.special.erf(x))  # <-


@fault("warning", "zero gradient", "saturated exp", vector(-200.0, -300.0))
def underflow_of_exp(x):
    """exp of numbers far below 0"""
    return jnp.sum(jnp.exp(x))  # <-


@fault("warning", "zero gradient", "saturated exp", vector(30.0, 40.0))
def gaussian_far_out(x):
    """a Gaussian far from its center"""
    return jnp.sum(jnp.exp(-(x**2)))  # <-


@fault("warning", "zero gradient", "a product with zeros", vector(1.0, 2.0))
def masked_throughout(x):
    """a loss whose mask is 0 throughout"""
    return jnp.sum(x**2 * jnp.zeros(2))  # <-


@fault("note", "zero gradient", "a stationary point", vector(0.0, 0.0))
def stationary_square(x):
    """a square at its minimum"""
    return jnp.sum(x**2)  # <-


@fault("warning", "zero gradient", "a dead where", vector(0.1, 0.2))
def hinge_that_is_met(x):
    """a hinge loss that is met in all elements"""
    return jnp.sum(jnp.where(x > 1.0, x - 1.0, 0.0))  # <-


@fault("warning", "zero gradient", "saturated max", vector(0.1, 0.2))
def margin_that_is_kept(x):
    """a triplet loss whose margin is kept"""
    distance = x[0] - x[1] - 1.0
    return jnp.maximum(0.0, distance)  # <-


@fault("warning", "zero gradient", "cut at sign", vector(0.1, -0.2))
def binary_weights(w):
    """weights that are binary, without a rule that passes the gradient on"""
    return jnp.sign(w) @ jnp.array([1.0, 2.0])  # <-


@fault("warning", "zero gradient", "cut at a comparison", vector(0.1, 0.9))
def thresholded(p):
    """a Dice score of a prediction that is thresholded"""
    mask = (p > 0.5).astype(jnp.float32)  # <-
    return 2.0 * jnp.sum(mask * jnp.array([0.0, 1.0])) / (jnp.sum(mask) + 1.0)


@fault(
    "warning",
    "zero gradient",
    "does not depend on b: it is not used",
    vector(1.0),
    vector(2.0),
    argnums=(0, 1),
)
def second_of_two(a, b):
    """an argument that is shadowed"""
    b = a * 2.0
    return jnp.sum(a * b)
