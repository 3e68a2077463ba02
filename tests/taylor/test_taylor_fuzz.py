"""The series walk against nested jvp, on random expressions at ordinary points and at edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from nested_jvp import nested

import jaxcalc
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")

UNARY = {
    "sin": jnp.sin,
    "cos": jnp.cos,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "tanh": jnp.tanh,
    "logistic": jax.nn.sigmoid,
    "sqrt": jnp.sqrt,
    "square": jnp.square,
    "abs": jnp.abs,
    "relu": jax.nn.relu,
    "x**0": lambda x: x**0,
    "x**3": lambda x: x**3,
    "x**-1": lambda x: x**-1,
    "x**-2": lambda x: x**-2,
    "x**0.5": lambda x: x**0.5,
    "x**1.5": lambda x: x**1.5,
    "pow(x, 0.0)": lambda x: lax.pow(x, 0.0),
    "pow(x, 2.0)": lambda x: lax.pow(x, 2.0),
    "2**x": lambda x: 2.0**x,
    "rsqrt": lax.rsqrt,
    "cbrt": jnp.cbrt,
    "arctan": jnp.arctan,
    "arcsin": jnp.arcsin,
    "erf": jax.scipy.special.erf,
    "sign": jnp.sign,
    "floor": jnp.floor,
    "clip": lambda x: jnp.clip(x, 0, 1),
    "where": lambda x: jnp.where(x > 0, x, 0.0),
    "constant": lambda x: jnp.ones_like(x) * 0.5,
    "stop_gradient": lax.stop_gradient,
}
BINARY = {
    "+": jnp.add,
    "-": jnp.subtract,
    "*": jnp.multiply,
    "/": jnp.divide,
    "**": jnp.power,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "arctan2": jnp.arctan2,
    "hypot": jnp.hypot,
    "logaddexp": jnp.logaddexp,
}
POINTS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.3, 2.0])

# an expression is "x", (unary, expression) or (binary, expression, expression)
expressions = st.recursive(
    st.just("x"),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY)), inner),
        st.tuples(st.sampled_from(sorted(BINARY)), inner, inner),
    ),
    max_leaves=4,
)


def function(expression):
    def run(x):
        match expression:
            case "x":
                return x
            case (name, a):
                return UNARY[name](function(a)(x))
            case (name, a, b):
                return BINARY[name](function(a)(x), function(b)(x))

    return run


def require_equal_semantics(found, expected, what):
    """Equal numbers and infinities. Where nested jvp has NaN, the series may have the infinity of a
    pole, which nested jvp loses by subtracting two, but never a number."""
    found, expected = np.asarray(found), np.asarray(expected)
    nan = np.isnan(expected)
    np.testing.assert_allclose(found[~nan], expected[~nan], rtol=1e-7, atol=1e-9, err_msg=what)
    assert not np.isfinite(found[nan]).any(), what


@settings(max_examples=25, deadline=None, derandomize=True)
@given(expressions, st.integers(2, 4))
def test_random_expressions_equal_nested_jvp(expression, order):
    f = function(expression)
    found = jax.vmap(jaxcalc.derivative(f, order=order))(jnp.asarray(POINTS))
    expected = jax.vmap(nested(f, order))(jnp.asarray(POINTS))
    require_equal_semantics(found, expected, f"{expression}, order {order}")


@pytest.mark.parametrize("name", thinned(sorted(UNARY)))
def test_each_function_at_its_edges(name):
    # composed with 2 x - 1 and with x^2, so that higher derivatives of the inner function count
    for inner in (lambda x: 2 * x - 1, lambda x: x * x):
        f = lambda x, inner=inner: UNARY[name](inner(x))  # noqa: E731
        for order in (2, 3):
            found = jax.vmap(jaxcalc.derivative(f, order=order))(jnp.asarray(POINTS))
            expected = jax.vmap(nested(f, order))(jnp.asarray(POINTS))
            require_equal_semantics(found, expected, f"{name}, order {order}")


def test_the_comparison_fails_on_a_number_where_nan_is_expected():
    with pytest.raises(AssertionError):
        require_equal_semantics([1.0], [np.nan], "")
    with pytest.raises(AssertionError):
        require_equal_semantics([np.inf], [1.0], "")
