"""Masked data, losses, densities and solvers without a fault: nothing must be found."""

from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special, stats

from tests.checking.faults import vector

MISSING = vector(1.0, np.nan, 3.0)


def functions() -> dict[str, tuple[Any, ...]]:
    """Functions by name, each with its arguments; those of solvers only where these are installed."""
    x = vector(0.3, -1.2, 2.1)
    seen = np.array([True, False, True])
    filled = np.nan_to_num(MISSING)

    def masked_loss(w, x):
        return jnp.sum(jnp.where(seen, (w * x - filled) ** 2, 0.0))

    def masked_mean(x):
        return jnp.sum(x, where=seen) / 2.0

    def safe_sinc(x):
        away = jnp.where(x == 0, 1.0, x)
        return jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(away) / away) + x)

    def safe_entropy(p):
        inside = jnp.where(p > 0, p, 1.0)
        return -jnp.sum(jnp.where(p > 0, inside * jnp.log(inside), 0.0))

    def straight_through(x):
        return jnp.sum((x + jax.lax.stop_gradient(jnp.sign(x) - x)) * jnp.arange(1.0, 4.0))

    def gated(x, h):
        gate = jax.nn.sigmoid(x + h)
        return jnp.sum(gate * h + (1 - gate) * jnp.tanh(x))

    def runge_kutta(rate, y):
        def step(y, _):
            k1 = -rate * y
            k2 = -rate * (y + 0.05 * k1)
            return y + 0.1 * k2, None

        return jnp.sum(jax.lax.scan(step, y, None, length=5)[0])

    healthy = {
        # masked data
        "a loss of what is seen (pytorch#64305)": (masked_loss, np.float32(1.5), x),
        "a loss of what is seen, by the data": (
            lambda x, w: masked_loss(w, x) + jnp.sum(x),
            x,
            np.float32(1.5),
        ),
        "nanmean of missing data (jax#9040)": (jnp.nanmean, MISSING),
        "nansum of missing data (jax#15933)": (lambda x: jnp.nansum(x) * 2.0, MISSING),
        "missing data filled before the square": (
            lambda w, y: jnp.sum((w - jnp.where(jnp.isnan(y), 0.0, y)) ** 2),
            np.float32(1.5),
            MISSING,
        ),
        "a mean of chosen elements": (lambda x: masked_mean(x) + 0.1 * jnp.sum(x), x),
        "a softmax of chosen elements (jax#17070)": (
            lambda x: jax.nn.softmax(x, where=seen) @ vector(1.0, 0.0, 2.0) + jnp.sum(x),
            x,
        ),
        "a logsumexp of chosen elements (jax#23842)": (
            lambda x: special.logsumexp(jnp.where(seen, x, -jnp.inf)) + x[1],
            vector(0.0, 100.0, 1.0),
        ),
        "a maximum of chosen elements (jax#26328)": (
            lambda x: jnp.max(x, where=seen, initial=-jnp.inf) + jnp.sum(x),
            x,
        ),
        "a logsumexp with one impossible path (jax#6811)": (
            lambda t: jax.nn.logsumexp(jnp.stack([-jnp.inf, t, 2.0 * t])),
            np.float32(1.0),
        ),
        "two wheres around a root (jax#5798)": (
            lambda x: jnp.sum(jnp.where(x < 1.0, x, jnp.sqrt(jnp.where(x < 1.0, 1.0, x)))),
            vector(0.0, 4.0),
        ),
        "two wheres around an exponential (pytorch#68425)": (
            lambda x: jnp.sum(jnp.where(x <= 0, jnp.exp(jnp.minimum(x, 0.0)), 1.0 + x)),
            vector(100.0, -1.0),
        ),
        "two wheres around a quotient (tensorflow#20091)": (
            lambda w: jnp.sum(jnp.where(w > 0, 3.0 / jnp.where(w > 0, w, 1.0), 0.0) + w),
            vector(2.0, 0.0),
        ),
        "two wheres around an entropy": (safe_entropy, vector(0.0, 0.25, 0.75)),
        "two wheres around sin(x) / x": (safe_sinc, vector(0.0, 0.5)),
        # functions that were reported, and are right
        "sinc at 0 (jax#1722, pytorch#53989)": (lambda x: jnp.sum(jnp.sinc(x)), vector(0.0, 0.5)),
        "softplus at 0 (jax#2107)": (lambda x: jnp.sum(jax.nn.softplus(x)), vector(0.0, 1.0)),
        "log_sigmoid at 0 (jax#2140)": (lambda x: jnp.sum(jax.nn.log_sigmoid(x)), vector(0.0, 1.0)),
        "log_sigmoid far out": (lambda x: jnp.sum(jax.nn.log_sigmoid(x)), vector(-200.0, 1.0)),
        "tanh of a moderate number (jax#764)": (lambda x: jnp.sum(jnp.tanh(x)), vector(5.0, -5.0)),
        "a product with one zero (pytorch#773)": (jnp.prod, vector(0.0, 2.0, 3.0)),
        "the exponent of a zero (pytorch#27134)": (
            lambda b: jnp.sum(jnp.array([0.0, 2.0]) ** b),
            vector(1.0, 1.0),
        ),
        "a number and its floor (tensorflow#897)": (
            lambda x: jnp.sum((x + jnp.floor(x)) ** 2),
            vector(3.8),
        ),
        "a square by pow (tensorflow#3937)": (lambda x: jnp.sum(x**2 + x), vector(0.0, 1.0)),
        "deviations from a mean (pytorch#107007)": (
            lambda x: jnp.sum((x - jnp.mean(x)) * jnp.arange(3.0)),
            x,
        ),
        "the imaginary part (jax#15872)": (
            lambda z: jnp.sum(jnp.imag(z) ** 2),
            np.array([2j, 1.0 + 1j], np.complex64),
        ),
        "the absolute value of complex numbers (jax#979)": (
            lambda z: jnp.sum(jnp.abs(z)),
            np.array([1 + 0.5j, 2j], np.complex64),
        ),
        "a difference of norms and a logsumexp (jax#939)": (
            lambda x: jnp.linalg.norm(x) ** 2 - special.logsumexp(-(x**2)),
            x,
        ),
        # densities
        "a normal density": (lambda x: jnp.sum(stats.norm.logpdf(x, 0.5, 2.0)), x),
        "a normal density, by its spread": (
            lambda s: jnp.sum(stats.norm.logpdf(x, 0.0, s)),
            np.float32(0.5),
        ),
        "a Beta density (jax#15598)": (lambda t: stats.beta.logpdf(0.3, t, 2.0), np.float32(1.5)),
        "a Gamma density": (lambda t: stats.gamma.logpdf(2.0, t), np.float32(2.5)),
        "a Poisson probability": (
            lambda r: jnp.sum(vector(2.0, 3.0) * jnp.log(r) - r),
            vector(1.5, 2.0),
        ),
        "a binary cross entropy of logits": (
            lambda t: -jnp.sum(jax.nn.log_sigmoid(t) * 0.7 + jax.nn.log_sigmoid(-t) * 0.3),
            vector(90.0, -90.0),
        ),
        "a tail by log_ndtr (tfp#518)": (lambda t: jnp.sum(special.log_ndtr(t)), vector(-9.0, 1.0)),
        "a reparametrized sample": (
            lambda m, s: jnp.mean(m + s * jax.random.normal(jax.random.key(0), (3,))),
            np.float32(0.3),
            np.float32(1.2),
        ),
        # models
        "a gate": (gated, x, vector(0.1, 0.2, 0.3)),
        "a gate, by its state": (lambda h, x: gated(x, h), vector(0.1, 0.2, 0.3), x),
        "signs, straight through": (straight_through, x),
        "a Runge-Kutta method": (runge_kutta, np.float32(0.5), vector(1.0, 2.0)),
        "a Runge-Kutta method, by its start": (
            lambda y, rate: runge_kutta(rate, y),
            vector(1.0, 2.0),
            np.float32(0.5),
        ),
        "a Huber loss at its bend": (
            lambda t: jnp.sum(jnp.where(jnp.abs(t) < 1, 0.5 * t**2, jnp.abs(t) - 0.5)),
            vector(1.0, 0.2),
        ),
        "a quantile": (lambda t: jnp.quantile(t, 0.4), x),
    }
    return healthy | _solves()


def _solves() -> dict[str, tuple[Any, ...]]:
    """Solutions of differential equations and of roots, by the packages for them."""
    found: dict[str, tuple[Any, ...]] = {}
    if find_spec("diffrax") is not None:
        import diffrax

        def decay(rate):
            return diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, y, rate: -rate * y),
                diffrax.Heun(),
                t0=0.0,
                t1=0.5,
                dt0=0.25,
                y0=jnp.ones(2),
                args=rate,
                max_steps=4,
            ).ys.sum()

        found["a differential equation (diffrax)"] = (decay, np.float32(0.5))
    if find_spec("optimistix") is not None:
        import optimistix

        def root(c):
            solver = optimistix.Newton(rtol=1e-5, atol=1e-5)
            return optimistix.root_find(lambda y, c: y**2 - c, solver, jnp.float32(1.0), args=c).value

        found["a root (optimistix)"] = (root, np.float32(2.0))
    return found
