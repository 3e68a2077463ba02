"""Derivatives of any order through every kind of equation: linear, bilinear, nonlinear, custom."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from nested_jvp import assert_equals_nested, equation_count

import jaxcalc

A = np.array([[2.0, 1.0], [0.5, 3.0]])


def vector(x):
    return jnp.stack([x, x * x, jnp.sin(x)])


@jax.custom_jvp
def cube(x):
    return x**3


@cube.defjvp
def _cube_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return cube(x), 3 * x**2 * t


FUNCTIONS = {
    "polynomial": lambda x: 2 * x**3 + 5,
    "moving exponent": lambda x: x**x,
    "quotient": lambda x: (1 + x) / (2 + jnp.cos(x)),
    "select": lambda x: jnp.where(x > 0.5, x**3, jnp.exp(x)),
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "gammaln": jax.scipy.special.gammaln,
    "custom_jvp": lambda x: cube(jnp.sin(x)) * x,
    "jit inside": lambda x: jax.jit(lambda y: jnp.tanh(y) * x)(x),
    "checkpoint": jax.checkpoint(lambda x: jnp.sin(jnp.exp(x))),
    "complex output": lambda x: jnp.exp(1j * x) * x,
    "indexing": lambda x: vector(x)[1] * vector(x)[::-1][0],
    "gather": lambda x: vector(x)[jnp.array([2, 0])],
    "scatter": lambda x: jnp.zeros(3).at[jnp.array([0, 2])].add(x**2).at[1].set(x),
    "dynamic_slice": lambda x: lax.dynamic_slice(vector(x), (1,), (2,)),
    "dynamic_update_slice": lambda x: lax.dynamic_update_slice(vector(x), (x**4)[None], (1,)),
    "concatenate and pad": lambda x: jnp.pad(jnp.concatenate([vector(x), vector(x**2)]), (1, 2)),
    "reductions": lambda x: jnp.sum(vector(x)) * jnp.prod(vector(x)) + jnp.max(vector(x)),
    "cumulative": lambda x: jnp.cumsum(vector(x)) + jnp.cumprod(vector(x)),
    "softmax": lambda x: jax.nn.softmax(vector(x)),
    "logsumexp": lambda x: jax.nn.logsumexp(vector(x)),
    "sort": lambda x: jnp.sort(vector(x)),
    "norm": lambda x: jnp.linalg.norm(vector(x)),
    "matmul": lambda x: (A * x) @ vector(x)[:2] + vector(x)[:2] @ (A + x * x),
    "convolution": lambda x: jnp.convolve(vector(x), vector(x * x)),
    "fft": lambda x: jnp.abs(jnp.fft.fft(vector(x))),
    "clip": lambda x: jnp.clip(x**3, 0.0, 1.0),
    "sqrt": lambda x: jnp.sqrt(1 + x * x),
    "arctan2": lambda x: jnp.arctan2(x, 1 + x * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.usefixtures("x64")
def test_equals_nested_jvp(name):
    f = FUNCTIONS[name]
    assert_equals_nested(f, 0.7, 1, 3, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_number_of_equations_grows_as_a_polynomial(name):
    # nesting multiplies it by at least 2 for each order: 16 times from order 4 to 8
    small, large = (
        equation_count(jaxcalc.derivative(FUNCTIONS[name], order=order), 0.7) for order in (4, 8)
    )
    assert large <= small * 2**3.5
    assert large < 3000


CLOSED_FORMS = {
    "sin": (jnp.sin, lambda x, n: math.sin(x + n * math.pi / 2)),
    "cos": (jnp.cos, lambda x, n: math.cos(x + n * math.pi / 2)),
    "exp(2x)": (lambda x: jnp.exp(2 * x), lambda x, n: 2**n * math.exp(2 * x)),
    "expm1": (jnp.expm1, lambda x, n: math.exp(x)),
    "log": (jnp.log, lambda x, n: (-1) ** (n - 1) * math.factorial(n - 1) / x**n),
    "log1p": (jnp.log1p, lambda x, n: (-1) ** (n - 1) * math.factorial(n - 1) / (1 + x) ** n),
    "1/x": (lambda x: 1 / x, lambda x, n: (-1) ** n * math.factorial(n) / x ** (n + 1)),
    "x**2.5": (
        lambda x: x**2.5,
        lambda x, n: math.prod(2.5 - i for i in range(n)) * x ** (2.5 - n),
    ),
    "sqrt": (jnp.sqrt, lambda x, n: math.prod(0.5 - i for i in range(n)) * x ** (0.5 - n)),
    "x**5": (lambda x: x**5, lambda x, n: math.perm(5, n) * x ** (5 - n) if n <= 5 else 0.0),
    "x sin": (
        lambda x: x * jnp.sin(x),
        lambda x, n: x * math.sin(x + n * math.pi / 2) - n * math.cos(x + n * math.pi / 2),
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize("order", range(1, 9))
@pytest.mark.usefixtures("x64")
def test_closed_forms_to_order_8(name, order):
    f, closed_form = CLOSED_FORMS[name]
    found = jaxcalc.derivative(f, order=order)(0.8)
    np.testing.assert_allclose(found, closed_form(0.8, order), rtol=1e-11)


@pytest.mark.usefixtures("x64")
def test_tanh_and_logistic_to_order_8():
    # tanh' = 1 - tanh^2 as polynomials in tanh: P_{n+1} = P_n' (1 - y^2); likewise y (1 - y)
    tanh, logistic = np.poly1d([1.0, 0.0]), np.poly1d([1.0, 0.0])
    for order in range(1, 9):
        tanh = tanh.deriv() * np.poly1d([-1.0, 0.0, 1.0])
        logistic = logistic.deriv() * np.poly1d([-1.0, 1.0, 0.0])
        found = jaxcalc.derivative(jnp.tanh, order=order)(0.4)
        np.testing.assert_allclose(found, tanh(math.tanh(0.4)), rtol=1e-10)
        found = jaxcalc.derivative(jax.nn.sigmoid, order=order)(0.4)
        np.testing.assert_allclose(found, logistic(1 / (1 + math.exp(-0.4))), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_polynomials_are_exact_in_every_dtype(dtype):
    x = jnp.asarray(2, dtype)
    f = lambda x: 2 * x**3 + 5  # noqa: E731
    for order, expected in enumerate([24.0, 24.0, 12.0, 0.0, 0.0], start=1):
        found = jaxcalc.derivative(f, order=order)(x)
        assert found.dtype == x.dtype
        assert float(found) == expected


def test_float16_neither_overflows_nor_underflows():
    # 9! does not fit float16 and 1 / 8! is subnormal there; the derivatives of exp at 0 are all 1
    for order in (8, 9, 10):
        assert float(jaxcalc.derivative(jnp.exp, order=order)(jnp.float16(0))) == 1.0


def test_custom_jvp_rule_is_used_not_its_body():
    @jax.custom_jvp
    def f(x):
        return x

    f.defjvp(lambda primals, tangents: (f(*primals), 10 * primals[0] ** 2 * tangents[0]))
    assert float(jaxcalc.derivative(f, order=2)(3.0)) == 60.0
    assert float(jaxcalc.derivative(f, order=3)(3.0)) == 20.0


def test_custom_vjp_says_what_to_do():
    @jax.custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (f(x), x), lambda x, g: (2 * x * g,))
    for order in (1, 2):
        with pytest.raises(TypeError, match=r"^jaxcalc.derivative: .*custom_vjp.*jaxcalc.jacobian"):
            jaxcalc.derivative(f, order=order)(3.0)
    # a custom_vjp function of what does not move is no obstacle
    assert float(jaxcalc.derivative(lambda x: x**2 * f(3.0), order=2)(1.0)) == 18.0


def test_errors_raised_inside_f_pass_through():
    def f(x):
        raise TypeError("mine")

    for order in (1, 2):
        with pytest.raises(TypeError, match=r"^mine"):
            jaxcalc.derivative(f, order=order)(1.0)


def test_callbacks_run_once():
    seen = []

    def f(x):
        jax.debug.callback(lambda y: seen.append(float(y)), x)
        return x**4

    assert float(jaxcalc.derivative(f, order=3)(2.0)) == 48.0
    jax.effects_barrier()
    assert seen == [2.0]


def test_what_is_constant_in_pieces_meets_no_infinity():
    # the slope of sqrt at 0 is infinite, but sign does not move: 0, not 0 * inf
    for order in (1, 2, 3):
        assert float(jaxcalc.derivative(lambda x: jnp.sqrt(jnp.sign(x)), order=order)(0.0)) == 0.0
