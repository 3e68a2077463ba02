"""Wrong rules in every dtype, at scales within its normal range, by every argument and in pytrees.

Each is wrong by more than the tolerance of its dtype: 0.03 in float16, 0.09 in bfloat16, 3.5e-4 in
float32 and complex64, 1.5e-8 in float64. A number such as jax#13048 in a name is the public report
of that error; the right derivative stands beside the rule.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.wrong_rules import Wrong, with_jvp, with_vjp

V = np.array([0.5, 0.8, 1.3])
Z = np.array([0.5 + 1j, -0.8 + 0.3j])


def f16(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float16)


def bf16(*numbers: float) -> np.ndarray:
    return np.array(numbers, jnp.bfloat16)


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def c64(*numbers: complex) -> np.ndarray:
    return np.array(numbers, np.complex64)


def scaled(factor: float) -> Any:
    """x**2 with a slope that is 2 x times a factor."""
    return with_jvp(jnp.square, lambda x, t: (2 * factor) * x[0] * t[0])


def second(factor: float) -> Any:
    """x y**2, whose slope by y is 2 x y; the rule has a factor more."""
    return with_vjp(
        lambda x, y: x * y * y,
        lambda x, ct: (ct * x[1] ** 2, (2 * factor) * ct * x[0] * x[1]),
    )


def ratio(x: Any, y: Any) -> Any:
    """x / y, whose slope by y is -x / y**2; the rule forgets a y."""
    rule = with_vjp(lambda x, y: x / y, lambda x, ct: (ct / x[1], -ct * x[0] / x[1]))
    return rule(x, y)


def of_leaf(path: str, factor: float) -> Any:
    """The sum of squares of the leaves of a pytree, wrong for one of them."""

    def f(p: Any) -> Any:
        leaves = jax.tree_util.tree_leaves_with_path(p)
        named = [(jax.tree_util.keystr(key), leaf) for key, leaf in leaves]
        assert any(name == path for name, _ in named)
        return sum(jnp.sum(scaled(factor if name == path else 1.0)(leaf)) for name, leaf in named)

    return f


def digamma(x: Any) -> Any:
    """1/x - log x, whose slope is -1/x**2 - 1/x; the rule has the sign of one term wrong."""
    return with_jvp(lambda x: 1 / x - jnp.log(x), lambda x, t: (1 / x[0] ** 2 - 1 / x[0]) * t[0])(x)


def broadcast(x: Any, b: Any) -> Any:
    """x + b for each row; the cotangent of b is that of one row alone."""
    rule = with_vjp(lambda x, b: x + b, lambda x, ct: (ct, ct[0]))
    return rule(x, b)


def mean(x: Any) -> Any:
    """The mean, with the gradient of a sum."""
    average = lambda x: jnp.mean(x)  # noqa: E731, PLW0108 (custom_vjp sees its options too)
    return with_vjp(average, lambda x, ct: (ct * jnp.ones_like(x[0]),))(x)


def softmax(x: Any) -> Any:
    """p (1 - p) on the diagonal alone: the other entries of the Jacobian are forgotten."""

    def rule(x: Any, ct: Any) -> Any:
        p = jax.nn.softmax(x[0])
        return (ct * p * (1 - p),)

    probabilities = lambda x: jax.nn.softmax(x)  # noqa: E731, PLW0108
    return with_vjp(probabilities, rule)(x)


def norm(x: Any) -> Any:
    """x / |x| is the gradient; the rule forgets the norm."""
    return with_vjp(lambda x: jnp.sqrt(jnp.sum(x * x)), lambda x, ct: (ct * x[0],))(x)


def inverse(a: Any) -> Any:
    """-A^-1 dA A^-1 without its sign."""

    def rule(a: Any, t: Any) -> Any:
        inverted = jnp.linalg.inv(a[0])
        return inverted @ t[0] @ inverted

    return with_jvp(jnp.linalg.inv, rule)(a)


def cholesky_upper(a: Any) -> Any:
    """A function of the upper triangle, with a gradient that the lower one gets as well."""
    return with_vjp(lambda a: jnp.sum(jnp.triu(a) ** 2), lambda a, ct: (2 * ct * a[0],))(a)


def logsumexp(x: Any, b: Any) -> Any:
    """log(sum(b exp(x))): the slope by an element of b that is 0 is not 0."""
    total = lambda x, b: jnp.log(jnp.sum(b * jnp.exp(x)))  # noqa: E731

    def rule(x: Any, ct: Any) -> Any:
        terms = jnp.exp(x[0]) / jnp.sum(x[1] * jnp.exp(x[0]))
        return ct * x[1] * terms, ct * jnp.where(x[1] == 0, 0.0, terms)

    return with_vjp(total, rule)(x, b)


def conjugate(z: Any) -> Any:
    """exp(z) with the conjugate of its slope."""
    return with_jvp(jnp.exp, lambda z, t: jnp.conj(jnp.exp(z[0])) * t[0])(z)


def size(z: Any) -> Any:
    """|z|**2 = x**2 + y**2, with the sign of the imaginary part of the cotangent wrong."""
    return with_vjp(lambda z: jnp.real(z * jnp.conj(z)), lambda z, ct: (2 * ct * z[0],))(z)


def real_part(z: Any) -> Any:
    """z**2 with a slope of which the imaginary part is forgotten."""
    return with_jvp(jnp.square, lambda z, t: 2 * jnp.real(z[0]) * t[0])(z)


def gain(z: Any, w: Any) -> Any:
    """z w of complex numbers, with a slope by w that is conjugated."""
    return with_jvp(lambda z, w: z * w, lambda z, t: z[1] * t[0] + jnp.conj(z[0]) * t[1])(z, w)


def isru(x: Any) -> Any:
    """x / sqrt(1 + x**2), whose rule gives the slope and forgets the cotangent."""
    root = lambda x: x * jax.lax.rsqrt(1 + x * x)  # noqa: E731
    return with_vjp(root, lambda x, _: ((1 + x[0] ** 2) ** -1.5,))(x)


def hard_sigmoid(x: Any) -> Any:
    """A slope of 1/6 everywhere, though it is 0 outside of [-3, 3]."""
    return with_jvp(lambda x: jnp.clip(x / 6 + 0.5, 0.0, 1.0), lambda x, t: t[0] / 6)(x)


def certain(x: Any) -> Any:
    """The logarithm of a probability near 1, -exp(-x): its slope is exp(-x), without the sign."""
    return with_jvp(lambda x: -jnp.exp(-x), lambda x, t: -jnp.exp(-x[0]) * t[0])(x)


def gaussian(s: Any) -> Any:
    """-(log det S + x S^-1 x) / 2, whose slope is (S^-1 x x S^-1 - S^-1) / 2: the rule has minus it."""
    x = jnp.array([0.5, -0.3], s.dtype)

    def density(s: Any) -> Any:
        return -0.5 * (jnp.linalg.slogdet(s)[1] + x @ jnp.linalg.solve(s, x))

    def rule(s: Any, ct: Any) -> Any:
        inverted = jnp.linalg.inv(s[0])
        return (0.5 * ct * (inverted - jnp.outer(inverted @ x, inverted @ x)),)

    return with_vjp(density, rule)(s)


def rotation(v: Any, w: Any) -> Any:
    """2 v / w, twice the tangent of half an angle: the rule is that of w = 1."""
    return with_jvp(lambda v, w: 2 * v / w, lambda x, t: 2 * t[0] - 2 * x[0] * t[1])(v, w)


def powers(x: Any) -> Any:
    """1, x, x**2, whose slopes are 0, 1, 2 x; the rule has 1 for the first."""
    exponents = jnp.arange(3)

    def rule(x: Any, t: Any) -> Any:
        return jnp.where(exponents == 0, 1.0, exponents * x[0] ** (exponents - 1.0)) * t[0]

    return with_jvp(lambda x: x**exponents, rule)(x)


def running(x: Any) -> Any:
    """The logsumexps of the first elements: the rule is that of a softmax for each alone."""

    def rule(x: Any, ct: Any) -> Any:
        return (ct * jnp.exp(x[0] - jax.lax.cumlogsumexp(x[0])),)

    sums = lambda x: jax.lax.cumlogsumexp(x)  # noqa: E731, PLW0108
    return with_vjp(sums, rule)(x)


def product(x: Any) -> Any:
    """The product of two numbers: its first derivative is right, and its second one is 0."""
    return with_jvp(lambda x: x[0] * x[1], lambda x, t: jax.lax.stop_gradient(x[0][::-1]) @ t[0])(x)


def complex_product(z: Any) -> Any:
    """The product of two complex numbers, with cotangents that are conjugated."""
    return with_vjp(lambda z: z[0] * z[1], lambda z, ct: (ct * jnp.conj(z[0][::-1]),))(z)


BOTH = {"argnums": (0, 1)}

IN_DTYPES: dict[str, Wrong] = {
    # float16: tolerance 0.03
    "float16: a slope of 1.1": Wrong(scaled(1.1), (f16(0.5, 1.0, 2.0),)),
    "float16: numbers of 1e-3": Wrong(scaled(1.2), (f16(2e-3, 4e-3),)),
    "float16: numbers of 100": Wrong(scaled(0.8), (f16(100.0, 60.0),)),
    "float16: by the second argument": Wrong(second(1.2), (f16(0.5, 1.0), f16(1.5, 2.0)), options=BOTH),
    "float16: a leaf of a pytree": Wrong(
        of_leaf("['b'][1]", 1.2), ({"a": f16(0.5, 1.0), "b": (f16(1.0), f16(2.0))},), input="['b'][1]"
    ),
    "float16: a forgotten norm": Wrong(norm, (f16(0.6, 0.9, 1.8),)),
    "float16: a sign": Wrong(digamma, (f16(0.5, 0.8),)),
    # bfloat16: tolerance 0.09
    "bfloat16: a slope of 1.25": Wrong(scaled(1.25), (bf16(0.5, 1.0, 2.0),)),
    "bfloat16: numbers of 1e-6": Wrong(scaled(1.5), (bf16(2e-6, 4e-6),)),
    "bfloat16: numbers of 1e8": Wrong(scaled(0.5), (bf16(1e8, 3e8),)),
    "bfloat16: by the second argument": Wrong(
        second(1.5), (bf16(0.5, 1.0), bf16(1.5, 2.0)), options=BOTH
    ),
    "bfloat16: a leaf of a pytree": Wrong(
        of_leaf("['b'][0]", 1.5),
        ({"a": bf16(0.5, 1.0), "b": [bf16(1.0), bf16(2.0)]},),
        input="['b'][0]",
    ),
    "bfloat16: the gradient of a sum for a mean": Wrong(mean, (bf16(0.5, 1.0, 2.0),)),
    "bfloat16: the diagonal of a softmax": Wrong(softmax, (bf16(0.5, 1.0, 2.0),)),
    # float32: tolerance 3.5e-4
    "float32: a slope of 1.002": Wrong(scaled(1.002), (f32(0.5, 1.0, 2.0),)),
    "float32: numbers of 1e-12": Wrong(scaled(1.01), (f32(2e-12, 4e-12),)),
    "float32: numbers of 1e12": Wrong(scaled(1.01), (f32(2e12, 4e12),)),
    "float32: numbers of 1e-10 and 1e10 in one leaf": Wrong(scaled(1.05), (f32(2e-10, 4e10),)),
    "float32: a quotient of SI units": Wrong(ratio, (f32(1e-10), f32(1e-3)), options=BOTH),
    "float32: by the second argument": Wrong(
        second(1.01), (f32(0.5, 1.0), f32(1.5, 2.0)), options=BOTH
    ),
    "float32: by the second argument alone": Wrong(
        second(1.01), (f32(0.5, 1.0), f32(1.5, 2.0)), options={"argnums": 1}
    ),
    "float32: a broadcast without its sum (pytorch#13669)": Wrong(
        broadcast, (np.ones((3, 2), np.float32), f32(0.5, 1.0)), options=BOTH
    ),
    "float32: a sign by the second argument (jax#13048)": Wrong(
        with_vjp(
            lambda x, y: jnp.sin(x) * y, lambda x, ct: (ct * jnp.cos(x[0]) * x[1], -ct * jnp.sin(x[0]))
        ),
        (f32(0.5, 0.8), f32(1.0, 2.0)),
        options=BOTH,
    ),
    "float32: a forgotten factor of 2 (jax#29485)": Wrong(
        with_vjp(jnp.square, lambda x, ct: (ct * x[0],)), (f32(0.5, 0.8),)
    ),
    "float32: a deep leaf of a pytree": Wrong(
        of_leaf("['a'][0]['w']", 1.01),
        ({"a": ({"w": f32(0.5, 1.0), "v": f32(2.0)}, f32(1.0))},),
        input="['a'][0]['w']",
    ),
    "float32: an inverse without its sign (jax#518)": Wrong(
        inverse, (np.array([[2, 1], [1, 3]], np.float32),)
    ),
    "float32: a triangle that is not read (jax#40421)": Wrong(
        cholesky_upper, (np.array([[2, 1], [0.5, 3]], np.float32),)
    ),
    "float32: weights of 0 in a logsumexp (jax#37729)": Wrong(
        logsumexp, (f32(0.3, 0.5, 0.1), f32(2.0, 0.0, 5.0)), options=BOTH
    ),
    "float32: a slope of sinc (jax#5054)": Wrong(
        with_jvp(jnp.sinc, lambda x, t: -x[0] * t[0]), (f32(0.4, 0.7),)
    ),
    "float32: the gradient of floor is 1 (tensorflow#897)": Wrong(
        with_jvp(lambda x: x + jnp.floor(x), lambda x, t: 2 * t[0]), (f32(3.8, 0.4),)
    ),
    "float32: deviations from a mean held constant (pytorch#107007)": Wrong(
        lambda x: (x - jax.lax.stop_gradient(jnp.mean(x))) ** 2, (f32(0.5, 1.0, 3.0),)
    ),
    "float32: a cotangent that is forgotten (pytorch#4355)": Wrong(
        isru, (f32(0.5, 0.8),), "not linear"
    ),
    "float32: a slope outside of a hard sigmoid (pytorch#51408)": Wrong(
        hard_sigmoid, (f32(-4.0, -3.5, -1.0),), input="[0]"
    ),
    "float32: a chain without its sign (stan#3370)": Wrong(certain, (f32(21.0, 25.0),)),
    "float32: the slope of a rotation at w = 1 (kornia#4237)": Wrong(
        rotation, (f32(0.1, 0.0), f32(-1.0, 2.0)), options=BOTH
    ),
    "float32: a slope of x**0 that is 1 (jax#17996)": Wrong(powers, (f32(2.0),)),
    "float32: running sums without the later ones (pytorch#32876, pytorch#196705)": Wrong(
        running, (f32(0.5, -0.3, 0.8),)
    ),
    "float32: a product whose second derivative is 0 (tensorflow#61117)": Wrong(
        product, (f32(0.0, 1.0),), options={"order": 2}
    ),
    # float64: tolerance 1.5e-8
    "float64: a slope of 1 + 1e-6": Wrong(scaled(1 + 1e-6), (V,)),
    "float64: numbers of 1e-100": Wrong(scaled(1.001), (1e-100 * V,)),
    "float64: numbers of 1e100": Wrong(scaled(1.001), (1e100 * V,)),
    "float64: by the second argument": Wrong(second(1 + 1e-5), (V, V + 1), options=BOTH),
    "float64: a quotient of SI units": Wrong(ratio, (1e-10 * V, 1e-6 * V), options=BOTH),
    "float64: a leaf of a pytree": Wrong(
        of_leaf("['b'][1]", 1 + 1e-5), ({"a": V, "b": (V + 1, 2 * V)},), input="['b'][1]"
    ),
    "float64: the trigamma function with a sign (jax#37635)": Wrong(digamma, (V,)),
    "float64: a softmax's diagonal": Wrong(softmax, (V,)),
    "float64: a density by its covariance, with a sign (autograd#412)": Wrong(
        gaussian, (np.array([[2.0, 0.3], [0.3, 1.0]]),)
    ),
    # complex64: tolerance 3.5e-4
    "complex64: a conjugated slope (jax#979)": Wrong(conjugate, (c64(*Z),)),
    "complex64: the sign of an imaginary part (jax#15872, jax#9110)": Wrong(size, (c64(*Z),)),
    "complex64: a forgotten imaginary part": Wrong(real_part, (c64(*Z),)),
    "complex64: a product of all (tensorflow#12514)": Wrong(complex_product, (c64(*Z),)),
    "complex64: by the second argument": Wrong(gain, (c64(*Z), c64(1 + 2j, 0.5j)), options=BOTH),
    "complex64: numbers of 1e-8": Wrong(real_part, (c64(*(1e-8 * Z)),)),
    "complex64: numbers of 1e8": Wrong(real_part, (c64(*(1e8 * Z)),)),
    "complex64: a leaf of a pytree": Wrong(
        lambda p: jnp.real(p["a"] * jnp.conj(p["a"])) + size(p["b"]),
        ({"a": c64(*Z), "b": c64(1 + 2j, 0.5j)},),
        input="['b']",
    ),
}
