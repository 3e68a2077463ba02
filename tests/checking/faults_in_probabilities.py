"""Densities, entropies and losses of probabilities at the edge of what is allowed, or out of range."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special, stats

from tests.checking.faults import fault, vector


@fault("error", "value", "log1p", vector(1.0, 0.5))
def bernoulli_of_certainty(p):
    """the log-probability of what a probability of 1 excludes (pyro#436)"""
    return jnp.sum(jnp.log1p(-p))  # <-


@fault("error", "value", "log(0) is -inf", vector(1.0, 0.0))
def categorical_of_zero(p):
    """the log-probabilities of categories, one of them impossible (tfp#1317)"""
    return jnp.sum(jnp.log(p))  # <-


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def divergence_from_zero(q):
    """the Kullback-Leibler divergence from a distribution with a zero"""
    p = jnp.array([0.5, 0.5])
    return jnp.sum(p * (jnp.log(p) - jnp.log(q)))  # <-


@fault("error", "value", "division by zero", vector(0.0, 1.0))
def ratio_of_densities(q):
    """the ratio of densities, one of them zero"""
    return jnp.sum(jnp.array([0.5, 0.5]) / q)  # <-


@fault("error", "value", "log(0) is -inf", vector(30.0, 40.0))
def product_of_densities(x):
    """the logarithm of a product of densities that underflows (tfp#233)"""
    density = jnp.prod(jnp.exp(-0.5 * x))
    return jnp.log(density * density * density * density)  # <-


@fault("error", "value", "log(0) is -inf", vector(9.0))
def interval_far_out(x):
    """the log-probability of an interval far out in the tail (tfp#518)"""
    mass = special.ndtr(x + 1.0) - special.ndtr(x)
    return jnp.sum(jnp.log(mass))  # <-


@fault("error", "derivative", "a branch that where", vector(0.0, 0.5))
def entropy_of_masked(p):
    """an entropy in base 2, masked where the probability is 0 (jax#17070)"""
    bits = p * jnp.log2(p)  # <-
    return -jnp.sum(jnp.where(p > 0, bits, 0.0))


@fault("error", "value", "inf - inf is NaN", np.float32(1.0))
def paths_without_weight(x):
    """a softmax over paths that all have a weight of 0 (jax#6811)"""
    scores = jnp.stack([-jnp.inf, -jnp.inf + x])
    return jax.nn.softmax(scores)[0]  # <-


@fault("error", "value", "gamma", vector(0.0, 1.0))
def gamma_of_pole(x):
    """the logarithm of the gamma function at its pole"""
    return jnp.sum(special.gammaln(x))  # <-


@fault("error", "value", "log(0) is -inf", vector(0.0, 0.5))
def gumbel_of_zero(u):
    """a Gumbel variable made of a uniform number that is 0"""
    inner = -jnp.log(u)  # <-
    return jnp.sum(-jnp.log(inner))


@fault("error", "value", "erf_inv", vector(1.0, 0.5))
def quantile_of_one(p):
    """the quantile of the probability 1"""
    return jnp.sum(special.erfinv(p))  # <-


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def poisson_of_no_rate(rate):
    """the log-probability of a count at a rate of 0"""
    count = jnp.array([2.0, 3.0])
    return jnp.sum(count * jnp.log(rate) - rate)  # <-


@fault("error", "value", "division by zero", vector(0.0, 1.0))
def normal_without_spread(sigma):
    """a normal density with a standard deviation of 0 (distrax#216)"""
    standard = 1.0 / sigma  # <-
    return jnp.sum(-0.5 * standard**2)


@fault("error", "value", "a negative number, is NaN", vector(1.0, 1.0, 1.0))
def negative_variance(x):
    """the root of a variance that rounding makes negative (jax#30426)"""
    variance = jnp.mean(x) ** 2 - jnp.mean(x**2) * 1.0000002
    return 1.0 / jnp.sqrt(variance)  # <-


@fault("warning", "zero gradient", "cut at argmax", vector(0.2, 0.8))
def sampled_category(logits):
    """the value of a sampled category (jax#17555)"""
    sample = jax.random.categorical(jax.random.key(0), logits)  # <-
    return jnp.arange(2.0)[sample] * 2.0


@fault("warning", "zero gradient", "cut at a comparison", vector(0.2, 0.8))
def sampled_coin(p):
    """the share of heads among coins that are thrown"""
    heads = jax.random.uniform(jax.random.key(1), (2,)) < p  # <-
    return jnp.mean(heads.astype(jnp.float32))


@fault("warning", "zero gradient", "saturated", vector(2.0, -1.0))
def clipped_probability(p):
    """the log of probabilities that are clipped (pyro#436)"""
    safe = jnp.clip(p, 1e-6, 1.0 - 1e-6)  # <-
    return jnp.sum(jnp.log(safe))


@fault("warning", "precision", "loss of significance", vector(1e-5, 2e-5))
def chance_of_any(p):
    """the chance of any rare event, as 1 - (1 - p)**3"""
    none = (1.0 - p) ** 3
    return jnp.sum(1.0 - none)  # <-


@fault("error", "derivative", "xlogy has an infinite derivative", vector(0.0, 1.0))
def cross_entropy_with_itself(p):
    """a binary entropy at the probability 0"""
    return -jnp.sum(special.xlogy(p, p) + special.xlog1py(0.5, -0.5 * p))  # <-


@fault("error", "derivative", "has an infinite derivative", vector(0.0, 0.5))
def beta_at_its_edge(x):
    """a density of Beta(3/2, 2) at 0 (pytorch#28441)"""
    return jnp.sum(x**0.5 * (1.0 - x))  # <-


@fault("error", "value", "log(0) is -inf", vector(0.0, 2.0))
def survival_of_event_at_zero(t):
    """the log-hazard of an event at time 0"""
    return jnp.sum(0.5 * jnp.log(t) - t)  # <-


@fault("error", "value", "log(0) is -inf", vector(0.0, 0.5))
def logit_of_edge(p):
    """the logit of a relaxed sample that has reached 0 (pytorch#18254)"""
    return jnp.sum(special.logit(p))  # <-


@fault("error", "value", "log(0) is -inf: the 0 is an underflow of exp", vector(15.0, 1.0))
def log_of_normal_density(x):
    """the log of a normal density that is computed first"""
    return jnp.sum(jnp.log(stats.norm.pdf(x)))  # <-
