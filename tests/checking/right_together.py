"""More functions whose derivatives are right; those of the same arguments are checked together.

One call of `check` takes many functions, each an output of its own: programs are compiled once for
all of them. A number such as jax#2107 in a name is the public report that a case was made after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special, stats

from tests.checking.right_functions import KINK, UNKNOWN, Case


class Together:
    """Functions of the same arguments as one, with a dict of outputs."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.functions = functions

    def __call__(self, *args: Any) -> dict[str, Any]:
        return {name: f(*args) for name, f in self.functions.items()}


def together(*args: Any, options: Any = None, remarks: Any = frozenset(), **named: Any) -> Case:
    """A case of functions by their names."""
    return Case(Together(named["functions"]), args, options or {}, remarks)


def names() -> list[str]:
    """The names of all functions here."""
    return [f"{function}, {group}" for group, case in TOGETHER.items() for function in case.f.functions]


X = np.array([0.3, -1.2, 2.1], np.float32)
P = np.array([0.4, 0.7, 1.6], np.float32)
Z = np.array([0.5 + 1j, -0.8 + 0.3j], np.complex64)
A = np.array([[2.0, 0.3, 0.1], [0.5, 3.0, 0.2], [0.1, -0.2, 4.0]], np.float32)
RANK_TWO = np.array([[1.0, 2.0, 0.5], [2.0, 5.0, 1.0], [3.0, 7.0, 1.5]], np.float32)
GRID = np.linspace(-3.0, 3.0, 5, dtype=np.float32)
SEEN = np.array([True, False, True])
FILLED = np.array([1.0, 0.0, 3.0], np.float32)

SMOOTH: dict[str, Callable[[Any], Any]] = {
    "softplus (jax#2107)": jax.nn.softplus,
    "log_sigmoid (jax#2140)": jax.nn.log_sigmoid,
    "tanh (jax#764)": jnp.tanh,
    "sinc (jax#1722, pytorch#53989)": jnp.sinc,
    "the derivative of sinc (jax#5054)": jax.vmap(jax.grad(jnp.sinc)),
    "a number and its floor (tensorflow#897)": lambda x: x + jnp.floor(x + 0.45),
    "deviations from a mean (pytorch#107007)": lambda x: x - jnp.mean(x),
    "a norm and a logsumexp (jax#939)": lambda x: jnp.sum(x**2) - jax.nn.logsumexp(x),
    "logaddexp (jax#1626)": lambda x: jnp.logaddexp(x, 0.5),
    "the square of a norm (jax#4177)": lambda x: jnp.linalg.norm(x) ** 2,
    "a standard deviation (jax#11716, pytorch#4320)": jnp.std,
    "nansum (jax#15933)": jnp.nansum,
    "nanmean of squares (jax#9040)": lambda x: jnp.nanmean(x**2),
    "nanstd (jax#8128)": jnp.nanstd,
    "arctan2": lambda x: jnp.arctan2(x, 2.0),
    "hypot": lambda x: jnp.hypot(x, 1.5),
    "mish": jax.nn.mish,
    "log_softmax (jax#16208)": jax.nn.log_softmax,
    "a softmax of chosen elements (jax#17070)": lambda x: jax.nn.softmax(x, where=SEEN),
    "a logsumexp of chosen elements (jax#23842)": lambda x: jax.nn.logsumexp(x, where=SEEN),
    "a maximum of chosen elements (jax#26328)": lambda x: jnp.max(x, where=SEEN, initial=-9.0),
    "a loss of what is seen (pytorch#64305)": lambda x: jnp.where(SEEN, (x - FILLED) ** 2, 0.0),
    "two wheres around a root (jax#5798)": lambda x: jnp.where(
        x < 1, x, jnp.sqrt(jnp.where(x < 1, 1.0, x))
    ),
    "two wheres around an exponential (pytorch#68425)": lambda x: jnp.where(
        x <= 0, jnp.exp(jnp.where(x <= 0, x, 0.0)), 1 + x
    ),
    "two wheres around a quotient (tensorflow#20091)": lambda x: jnp.where(
        x > 0, 3 / jnp.where(x > 0, x, 1.0), 0.0
    ),
    "the largest of distinct numbers (jax#13600)": jnp.max,
    "a median of distinct numbers": jnp.median,
    "polynomials by powers (jax#14397)": lambda x: jnp.stack([x[2] ** k for k in range(4)]),
    "a table between its knots": lambda x: jnp.interp(x, GRID, GRID**2),
    "an image between its pixels (jax#3024)": lambda x: jax.scipy.ndimage.map_coordinates(
        GRID, [x[:1] + 1.0], order=1
    ),
    "sums over segments (jax#8634)": lambda x: jax.ops.segment_sum(x**2, jnp.array([0, 1, 1]), 2),
    "segments out of bounds (jax#8634)": lambda x: jax.ops.segment_sum(x**2, jnp.array([0, 5, 1]), 2),
    "places out of bounds (jax#5760)": lambda x: jnp.take(x, jnp.array([7, 0]), mode="clip") ** 2,
    "a norm away from 0 (jax#3058)": jnp.linalg.norm,
}

AT_ZERO: dict[str, Callable[[Any], Any]] = {
    "softplus (jax#2107)": jax.nn.softplus,
    "log_sigmoid (jax#2140)": jax.nn.log_sigmoid,
    "sinc (pytorch#53989)": jnp.sinc,
    "a square (tensorflow#3937)": lambda x: x**2,
    "a product with one zero (pytorch#773)": lambda x: jnp.prod(x + jnp.array([0.0, 2.0, 3.0])),
    "a binary cross entropy of logits (jax#2195)": lambda x: jax.nn.softplus(x) - 0.3 * x,
    "erf": special.erf,
    "gelu": jax.nn.gelu,
    "log1p": jnp.log1p,
    "the exponent of a positive number (pytorch#27134)": lambda x: jnp.array([2.0, 3.0, 0.5]) ** x,
}

POSITIVE: dict[str, Callable[[Any], Any]] = {
    "digamma (jax#37635)": special.digamma,
    "i0 (jax#40628)": special.i0,
    "i1": special.i1,
    "gammainc (jax#2064)": lambda x: special.gammainc(2.0, x),
    "betaln": lambda x: special.betaln(x, 2.0),
    "a Beta density (jax#15598)": lambda x: stats.beta.logpdf(0.3, x, 2.0),
    "a Gamma density (tensorflow#7474)": lambda x: stats.gamma.logpdf(2.0, x),
    "a Dirichlet density (pytorch#28441)": lambda x: jnp.sum(jnp.log(x) * 1.5) - special.gammaln(2.5),
    "a truncated normal density (tfp#518)": lambda x: special.log_ndtr(x) - special.log_ndtr(-x),
    "xlogy": lambda x: special.xlogy(x, 2 * x),
    "entr": special.entr,
    "erfinv": lambda x: special.erfinv(x / 2),
    "ndtri": lambda x: special.ndtri(x / 2),
    "a power of both (pytorch#27134)": lambda x: x**x,
    "a gamma correction (jax#7440)": lambda x: x ** (1 / 2.2),
    "a distance of power 1/2 (pytorch#36493)": lambda x: jnp.sum(jnp.sqrt(x)) ** 2,
    "arccos (jax#15798)": lambda x: jnp.arccos(x / 2),
    "logsumexp with weights (jax#37729)": lambda x: special.logsumexp(X, b=x),
    "rsqrt": jax.lax.rsqrt,
}

LOW: dict[str, Callable[[Any], Any]] = {
    "a softmax": jax.nn.softmax,
    "log1p": jnp.log1p,
    "a norm": jnp.linalg.norm,
    "a mean": jnp.mean,
    "silu": jax.nn.silu,
    "a reciprocal": jnp.reciprocal,
    "a logsumexp": jax.nn.logsumexp,
    "a cosine": jnp.cos,
}

MATRICES: dict[str, Callable[[Any], Any]] = {
    "an inverse (jax#518, jax-js#84)": jnp.linalg.inv,
    "a determinant": jnp.linalg.det,
    "the logarithm of a determinant (jax#1213)": lambda a: jnp.linalg.slogdet(-a)[1],
    "a triangle that is read alone (jax#40421)": lambda a: jnp.linalg.cholesky(
        jnp.triu(a) + jnp.triu(a).T
    ),
    "a symmetric solve (jax#1458)": lambda a: jax.scipy.linalg.solve(a + a.T, X, assume_a="pos"),
    "a triangular solve (jax#1458)": lambda a: jax.scipy.linalg.solve_triangular(a, X, lower=False),
    "eigenvalues (jax#669)": lambda a: jnp.linalg.eigvalsh(a + a.T),
    "a projector on an eigenvector (jax#4646)": lambda a: jnp.outer(
        *[jnp.linalg.eigh(a + a.T)[1][:, 2]] * 2
    ),
    "singular values (jax#8732)": lambda a: jnp.linalg.svd(a, compute_uv=False),
    "R": lambda a: jnp.abs(jnp.diag(jnp.linalg.qr(a)[1])),
    "a third power": lambda a: jnp.linalg.matrix_power(a, 3),
}

COMPLEX: dict[str, Callable[[Any], Any]] = {
    "the absolute value (jax#979)": jnp.abs,
    "the square of the imaginary part (jax#15872)": lambda z: jnp.imag(z) ** 2,
    "squares of both parts (jax#9110)": lambda z: jnp.real(z) ** 2 + jnp.imag(z) ** 2,
    "the phase": jnp.angle,
    "a product with a conjugate": lambda z: z * jnp.conj(z[::-1]),
    "a norm": jnp.linalg.norm,
    "a quotient": lambda z: 1 / z,
    "a product of all (tensorflow#12514)": jnp.prod,
}

PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "a product with a sine (jax#13048)": lambda x, y: jnp.sin(x) * y,
    "a broadcast (pytorch#13669, pytorch#1787)": lambda x, y: x[:, None] + y[None, :],
    "a power": lambda x, y: (1.5 + y) ** x,
    "a quotient": lambda x, y: x / (2.5 + y),
    "a cosine similarity (pytorch#51912)": lambda x, y: (
        x @ y / (jnp.linalg.norm(x) * jnp.linalg.norm(y))
    ),
    "distances (pytorch#37154)": lambda x, y: jnp.sqrt(jnp.sum((x - y) ** 2)),
    "a normal density (distrax#216)": lambda x, y: stats.norm.logpdf(x, y, 1.5),
    "a reparametrized sample": lambda x, y: x + jnp.exp(y) * jnp.array([0.3, -1.0, 0.7]),
}

SI_UNITS: dict[str, Callable[[Any], Any]] = {
    "Coulomb's law": lambda r: 2.307e-28 / r * (1.0 / r),
    "a Lennard-Jones potential": lambda r: (3.4e-10 / r) ** 12 - (3.4e-10 / r) ** 6,
    "a logarithm": jnp.log,
    "a square root": jnp.sqrt,
    "a sine of waves": lambda r: jnp.sin(2e10 * r),
}

CAST_INSIDE: dict[str, Callable[[Any], Any]] = {
    "a layer in bfloat16": lambda x: jnp.tanh(x.astype(jnp.bfloat16)).astype(jnp.float32),
    "a product in bfloat16": lambda x: jnp.matmul(
        A.astype(jnp.bfloat16), x.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    ),
}


def _simplex(x: Any) -> Any:
    """The nearest point whose elements are not negative and have the sum 1."""
    ordered = jnp.sort(x)[::-1]
    shifts = (1 - jnp.cumsum(ordered)) / jnp.arange(1.0, x.size + 1)
    return jnp.maximum(x + shifts[jnp.sum(ordered + shifts > 0) - 1], 0.0)


REPORTED: dict[str, Callable[[Any], Any]] = {
    "zeros beside a sine (pytorch#194869)": lambda x: jnp.stack([jnp.zeros_like(x), jnp.sin(x)]),
    "running maxima (pytorch#26637)": jax.lax.cummax,
    "running logsumexps (pytorch#32876)": jax.lax.cumlogsumexp,
    "running logsumexps far apart (pytorch#196705)": lambda x: jax.lax.cumlogsumexp(400 * x),
    "running products (jax#2542)": jnp.cumprod,
    "a linear layer in single precision (pytorch#5351)": lambda x: A @ x + 0.5,
    "a vector of one number (pytorch#38586)": lambda x: A @ jnp.broadcast_to(x[0], (3,)),
    "a place that is there twice (pytorch#80204)": lambda x: (
        jnp.zeros(4).at[jnp.array([1, 3, 1])].add(x) ** 2
    ),
    "softplus with a scale (burn#5373, pytorch#171249)": lambda x: jnp.logaddexp(5 * x, 0.0) / 5,
    "x / sqrt(1 + x**2) (pytorch#4355)": lambda x: x * jax.lax.rsqrt(1 + x**2),
    "celu (pytorch#21213)": jax.nn.celu,
    "elu (jax#39795)": jax.nn.elu,
    "swish (pytorch#110815)": jax.nn.silu,
    "hard_swish between its bends (pytorch#87778)": jax.nn.hard_swish,
    "the volume of tanh (tfp#318, distrax#7)": lambda x: (
        2 * (jnp.log(2.0) - x - jax.nn.softplus(-2 * x))
    ),
    "a focal loss (optax#1346)": lambda x: jnp.exp(2 * jax.nn.log_sigmoid(-x)) * jax.nn.softplus(-x),
    "logaddexp with -inf (pytorch#49724)": lambda x: jnp.logaddexp(-jnp.inf, x),
    "a number that is mapped over others (jax#6452)": lambda x: jax.vmap(
        lambda y: jnp.logaddexp(x[0], y + x[0])
    )(x),
    "a pseudoinverse without full rank (jax#2792, pytorch#65911)": lambda x: jnp.linalg.pinv(
        jnp.outer(x, jnp.array([1.0, 2.0]))
    ),
    "a projection on a simplex (jax#6357)": lambda x: _simplex(x / 4),
    "an angle of equals (jax#37909)": lambda x: jnp.arctan2(x, x) / x,
    "a quotient by infinity in place of 0 (jax#8247)": lambda x: x / jnp.array([2.0, jnp.inf, -1.0]),
    "a differentiable norm (drake#17127)": lambda x: jnp.sqrt(jnp.sum(x**2) + 1e-4),
}

REPORTED_POSITIVE: dict[str, Callable[[Any], Any]] = {
    "betainc by its last argument (jax#38610)": lambda x: special.betainc(2.0, 3.0, x / 2),
    "a Beta density of shape 1 (numpyro#2089)": lambda x: stats.beta.logpdf(x / 2, 1.0, 2.0),
    "weights of a mixture (numpyro#2224)": lambda w: jnp.log(w @ jnp.array([0.2, 1.0, 0.5])),
    "products over segments (jax#9296)": lambda x: jnp.exp(
        jax.ops.segment_sum(jnp.log(x), jnp.array([0, 0, 1]), 2)
    ),
    "whole exponents (jax#17996)": lambda x: x[0] ** jnp.arange(3),
    "an entropy (jax#15737)": lambda x: jnp.sum(special.entr(x / jnp.sum(x))),
    "a variance that is kept from below 0 (flax#1491)": lambda x: jnp.maximum(
        jnp.mean(x**2) - jnp.mean(x) ** 2, 0.0
    ),
    "a decay that begins later (discovery#91)": lambda x: jnp.where(
        x > 0.5, jnp.exp(-jnp.where(x > 0.5, x - 0.5, 0.0) / 0.1), 0.0
    ),
}

TWICE: dict[str, Callable[[Any], Any]] = {
    "the square of a norm (jax#5262)": lambda x: jnp.linalg.norm(x) ** 2,
    "a norm (functorch#1097)": jnp.linalg.norm,
    "a Lennard-Jones potential (jax#18562, jax-md#258)": lambda r: jnp.sum(
        (1 / r) ** 12 - (1 / r) ** 6
    ),
    "an angle of equals (jax#37909)": lambda x: jnp.sum(jnp.arctan2(x, x) / x),
}

TOGETHER: dict[str, Case] = {
    "float32": together(X, functions=SMOOTH),
    "float32 at 0": together(np.zeros(3, np.float32), functions=AT_ZERO),
    "float32, positive": together(P, functions=POSITIVE),
    "float16": together(P.astype(np.float16), functions=LOW, remarks=UNKNOWN),
    "bfloat16": together(P.astype(jnp.bfloat16), functions=LOW, remarks=UNKNOWN),
    "matrices": together(A, functions=MATRICES),
    "complex64": together(Z, functions=COMPLEX),
    "float32, as reported": together(X, functions=REPORTED),
    "float32, positive, as reported": together(P, functions=REPORTED_POSITIVE),
    "float32, twice": together(P, functions=TWICE, options={"order": 2}),
    "a zero, twice": together(
        np.array([0.0, 1.0, 2.0], np.float32),
        functions={"a product (tensorflow#61117, tensorflow#2641)": jnp.prod},
        options={"order": 2},
    ),
    "by the first": together(X, P, functions=PAIRS),
    "by the second": together(X, P, functions=PAIRS, options={"argnums": 1}),
    "a singular matrix": together(
        RANK_TWO, functions={"its determinant (jax#2380)": jnp.linalg.det}, remarks=UNKNOWN
    ),
    "ties": together(
        np.ones(3, np.float32),
        functions={
            "the largest of a softmax (jax#13600)": lambda x: jnp.max(jax.nn.softmax(x)),
            "maximum (jax#37821, pytorch#56734)": lambda x: jnp.maximum(x, 1.0),
            "minimum (tensorflow#97688)": lambda x: jnp.minimum(x, x[::-1] ** 2),
            "a hinge at its margin": lambda x: jnp.maximum(0.0, 1.0 - x),
            "a knot of a table (jax#3024)": lambda x: jnp.interp(
                x, jnp.arange(3.0), jnp.arange(3.0) ** 2
            ),
        },
        remarks=KINK,
    ),
    "numbers of 1e-10": together(
        np.array([3e-10, 4e-10], np.float32), functions=SI_UNITS, remarks=UNKNOWN
    ),
    "casts inside": together(X, functions=CAST_INSIDE, remarks=UNKNOWN),
    "samplers": together(
        P[:1],
        functions={"gamma (jax#27349)": lambda a: jax.random.gamma(jax.random.key(0), a)},
        remarks=UNKNOWN | {"sampler"},
    ),
}
