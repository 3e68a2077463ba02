"""What was reported as wrong or as NaN, and is right here or done safely: nothing must be found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special, stats

from tests.checking.faults import vector


def functions() -> dict[str, tuple[Any, ...]]:
    """Functions by name, each with its arguments."""
    return _of_numbers() | _of_probabilities() | _of_arrays() | _of_geometry()


def _of_numbers() -> dict[str, tuple[Any, ...]]:
    def two_wheres(x):
        below = 1.0 / (1.0 - jnp.where(x < 0, x, 0.0))
        above = jnp.log1p(jnp.where(x < 0, 0.0, x))
        return jnp.sum(jnp.where(x < 0, below, above))

    def chosen_divisors(x):
        divisors = jnp.linspace(-1.0, 1.0, 5)
        return jnp.sum(jnp.arange(5.0) * x / jnp.where(divisors == 0, jnp.inf, divisors))

    def recovery(rate, t):
        since = jnp.where(t > 0, t, 0.0)
        return jnp.sum(jnp.where(t > 0, jnp.exp(-since / rate), 0.0))

    def factor_of_logarithms(a):
        x = jnp.array([0.5, -1.0, 2.0])
        return jnp.sum(jnp.where(x > 0, a * jnp.log(jnp.where(x > 0, x, 1.0)), 0.0)) + a

    return {
        "x**0 at 0, of a number of Python (jax#18450)": (
            lambda x: jnp.sum(x**0 + x),
            vector(0.0, 1.0),
        ),
        "powers of an array of whole exponents (jax#17996)": (
            lambda x: jnp.sum(x ** jnp.arange(3)),
            np.float32(2.0),
        ),
        "a quotient by infinity in place of 0 (jax#8247)": (chosen_divisors, np.float32(2.0)),
        "a sigmoid by tanh far out (jax#777)": (
            lambda x: jnp.sum(0.5 + 0.5 * jnp.tanh(0.5 * x)),
            vector(-200.0, 0.5),
        ),
        "two wheres at the pole of a quotient (tensorflow#20355)": (two_wheres, vector(1.0, -1.0)),
        "a decay that begins later (discovery#91)": (
            recovery,
            np.float32(0.5),
            vector(-4000.0, 0.3, 2.0),
        ),
        "a factor of safe logarithms (tensorflow#27684)": (
            factor_of_logarithms,
            np.float32(2.0),
        ),
        "a softplus with a scale, far out (burn#5373)": (
            lambda x: jnp.sum(jnp.logaddexp(5.0 * x, 0.0) / 5.0),
            vector(100.0, 0.2),
        ),
        "logaddexp of -inf and -inf, and then of a number (pytorch#49724)": (
            lambda x: jnp.sum(jnp.logaddexp(jnp.logaddexp(-jnp.inf, -jnp.inf), x)),
            vector(2.0, 0.5),
        ),
        "the second derivative of an angle that is constant (jax#37909)": (
            jax.grad(jax.grad(lambda x: 2.0 * jnp.arctan2(x, x) / x)),
            np.float32(-0.12),
        ),
    }


def _of_probabilities() -> dict[str, tuple[Any, ...]]:
    def focal_loss(logits):
        miss = jax.nn.log_sigmoid(-logits)
        return jnp.sum(jnp.exp(0.5 * miss) * jax.nn.softplus(-logits))

    def squashed(x):
        return jnp.sum(2.0 * (jnp.log(2.0) - x - jax.nn.softplus(-2.0 * x)))

    def mixture(weights):
        return jnp.log(jnp.sum(weights * jnp.exp(vector(-1.0, 0.5, -2.0))))

    def outside_of_support(x):
        inside = stats.gamma.logpdf(jnp.abs(x), 2.0)
        return jnp.sum(jnp.where(x > 0, inside, 0.0) + 0.1 * x)

    return {
        "an entropy away from 0 (jax#15737)": (
            lambda p: jnp.sum(special.entr(p)),
            vector(0.2, 0.8),
        ),
        "a focal loss by logarithms, at a certain hit (optax#1346, kornia#918)": (
            focal_loss,
            vector(30.0, 0.3),
        ),
        "the volume of tanh far out (tfp#318, distrax#7)": (squashed, vector(20.0, -20.0)),
        "a mixture with a weight of 0 (numpyro#2224)": (mixture, vector(0.0, 0.5, 0.5)),
        "a density of Beta(1, 2) inside (numpyro#2089)": (
            lambda x: jnp.sum(stats.beta.logpdf(x, 1.0, 2.0)),
            vector(0.2, 0.5),
        ),
        "a Gamma density outside of its support (gluonts#1057)": (
            outside_of_support,
            vector(-1.0, 2.0),
        ),
        "a difference of betaln (jax#34353)": (
            lambda t: special.betaln(jnp.exp(t), 1.0) - special.betaln(jnp.exp(t) + 1.0, 1.0),
            np.float32(0.0),
        ),
        "betainc by its last argument (jax#38610)": (
            lambda x: jnp.sum(special.betainc(2.0, 3.0, x)),
            vector(0.2, 0.5),
        ),
        "a normal density by its covariance (autograd#412)": (
            lambda s: stats.multivariate_normal.logpdf(vector(0.5, -0.3), jnp.zeros(2), s),
            np.array([[2.0, 0.3], [0.3, 1.0]], np.float32),
        ),
        "the logarithm of a certain chance (stan#3370)": (
            lambda x: jnp.sum(jax.nn.log_sigmoid(x)),
            vector(25.0, -25.0),
        ),
    }


def _of_arrays() -> dict[str, tuple[Any, ...]]:
    def products(x):
        logs = jax.ops.segment_sum(jnp.log(x), jnp.array([0, 0, 1]), 2)
        return jnp.sum(jnp.exp(logs))

    def normalized(x):
        centered = x - jnp.mean(x)
        return jnp.sum(centered / jnp.sqrt(jnp.var(x) + 1e-5) * jnp.arange(3.0))

    def variance(x):
        return jnp.maximum(jnp.mean(x**2) - jnp.mean(x) ** 2, 0.0)

    def pseudoinverse(p):
        a = jnp.zeros((2, 2)).at[1].set(jnp.stack([-p, jnp.ones_like(p)])) / (1.0 + p**2)
        return jnp.linalg.pinv(a)[0, 1]

    return {
        "products over segments by logarithms (jax#9296)": (products, vector(0.5, 2.0, 3.0)),
        "a normalized layer of constants, epsilon below the root (Flux#2096)": (
            normalized,
            vector(2.0, 2.0, 2.0),
        ),
        "a variance that is kept from below 0 (flax#1491, equinox#314)": (
            variance,
            vector(1.0, 2.0, 4.0),
        ),
        "a product with one zero, differentiated twice (tensorflow#61117, tensorflow#2641)": (
            lambda x: jax.grad(jnp.prod)(x)[1],
            vector(0.0, 1.0),
        ),
        "a product of complex numbers (tensorflow#12514)": (
            lambda x: jnp.real(jnp.prod(x * jnp.array([1 + 2j, 1 + 2j]))),
            vector(1.0, 1.0),
        ),
        "running maxima (pytorch#26637)": (
            lambda x: jnp.sum(jax.lax.cummax(x)),
            vector(1.0, -0.5, 2.0, 0.5),
        ),
        "running logsumexps of numbers far apart (pytorch#196705)": (
            lambda x: jnp.sum(jax.lax.cumlogsumexp(x) * vector(1.0, 2.0, -1.0)),
            vector(-400.0, 401.0, -797.0),
        ),
        "a pseudoinverse without full rank (jax#2792)": (pseudoinverse, np.float32(2.0)),
        "sums at a place that is there twice (pytorch#80204)": (
            lambda x: jnp.sum(jnp.zeros(5).at[jnp.array([1, 3, 1])].add(x) ** 2),
            vector(0.5, 2.0, 3.0),
        ),
        "a vector of one number (pytorch#38586)": (
            lambda x: jnp.sum(jnp.array([[1.0, 2.0], [3.0, 4.0]]) @ jnp.broadcast_to(x, (2,))),
            vector(0.5),
        ),
        "the derivative of a norm's Hessian (jax#5262)": (
            lambda x: jnp.sum(jax.hessian(jnp.linalg.norm)(x)),
            vector(1.0, 2.0, 3.0),
        ),
    }


def _of_geometry() -> dict[str, tuple[Any, ...]]:
    places = np.array([[1.0, 2.0], [2.0, 3.0], [0.0, 0.5]], np.float32)

    def pairs(x, sigma):
        away = x[:, None] - x[None, :] + jnp.eye(3)[:, :, None]
        ratio = (sigma / jnp.sqrt(jnp.sum(away**2, axis=-1))) ** 6
        return jnp.sum(jnp.where(jnp.eye(3) > 0, 0.0, ratio**2 - ratio))

    def turned(v):
        square = jnp.sum(v**2)
        angle = jnp.sqrt(jnp.where(square > 0, square, 1.0))
        scale = jnp.where(square > 0, jnp.sin(angle / 2) / angle, 0.5)
        return jnp.sum(v * scale * jnp.arange(1.0, 4.0))

    def half_turn(w):
        safe = jnp.where(jnp.abs(w) > 0.9, w, 1.0)
        series = 2.0 / safe - 2.0 / 3.0 / safe**3
        return jnp.sum(jnp.where(jnp.abs(w) > 0.9, series, jnp.pi - 2.0 * w))

    def lens(k):
        root = jnp.sqrt(jnp.where(k > 1e-6, k, 1.0))
        return jnp.where(k > 1e-6, jnp.sin(0.5 * root) / root, 0.5 - k / 48.0)

    def normalized(x):
        lengths = jnp.sqrt(jnp.sum(x**2, axis=1, keepdims=True) + 1e-4)
        return jnp.sum(x / lengths @ jnp.array([1.0, 2.0]))

    return {
        "forces between all pairs (jax-md#258, jax#18562)": (pairs, places, np.float32(0.8)),
        "forces between all pairs, by their range (jax-md#258)": (
            lambda sigma, x: pairs(x, sigma),
            np.float32(0.8),
            places,
        ),
        "a safe quaternion of no rotation (kornia#3949, jaxsim#339)": (turned, vector(0.0, 0.0, 0.0)),
        "a safe series at half a turn (jaxlie#9)": (half_turn, vector(0.0, 0.5)),
        "a safe lens of strength 0 (cheetah#79)": (lens, np.float32(0.0)),
        "rows divided by safe norms, one of them zero (optax#946)": (
            normalized,
            np.array([[0.0, 0.0], [0.6, 0.8]], np.float32),
        ),
        "angles away from the origin (jax#1052)": (
            lambda x: jnp.sum(jnp.where(x == 0, 0.0, jnp.arctan2(x, 2.0) * x) + x),
            vector(3.0, 0.0, -5.0),
        ),
        "the axis and angle of half a turn back (kornia#4237)": (
            lambda v, w: jnp.sum(2.0 * jnp.arctan(v / w)),
            vector(0.0, 0.1),
            vector(-1.0, -1.0),
        ),
    }
