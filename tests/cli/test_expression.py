"""Expressions: every function against numpy, what is refused, and how the refusal reads."""

import ast
import inspect
import math
from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxcalc
from jaxcalc.cli.errors import UsageError
from jaxcalc.cli.expression import function_of
from jaxcalc.cli.vocabulary import FUNCTIONS

pytestmark = pytest.mark.usefixtures("x64")

X = np.array([0.3, -0.8, 0.5])
A = np.array([[2.0, 0.5], [-0.3, 1.5]])

REFERENCES = {
    "2*x**3 + 5": 2 * X**3 + 5,
    "-x": -X,
    "+x - 2/x": X - 2 / X,
    "x % 0.7": X % 0.7,
    "x // 0.2": X // 0.2,
    "x**(2**3) + 2**-1": X**8 + 0.5,
    "x ** 2.0": X**2,
    "x @ x": X @ X,
    "sum(x[0:2]) + x[-1] + x[..., 0]": X[:2].sum() + X[-1] + X[0],
    "x[::-1]": X[::-1],
    "[x[0], 1, pi]": np.array([X[0], 1, math.pi]),
    "x[0], x[1]": X[:2],
    "[[x[0], 0], [0, e]]": np.array([[X[0], 0], [0, math.e]]),
    "where(x > 0, x, 0)": np.maximum(X, 0),
    "where(x == 0.5, tau, -1)": np.where(X == 0.5, 2 * math.pi, -1),
    "abs(x) + sign(x) + floor(x) + ceil(x)": abs(X) + np.sign(X) + np.floor(X) + np.ceil(X),
    "sin(x) + cos(x) + tan(x)": np.sin(X) + np.cos(X) + np.tan(X),
    "asin(x) + acos(x) + atan(x)": np.arcsin(X) + np.arccos(X) + np.arctan(X),
    "arcsin(x) + arccos(x) + arctan(x)": np.arcsin(X) + np.arccos(X) + np.arctan(X),
    "sinh(x) + cosh(x) + tanh(x)": np.sinh(X) + np.cosh(X) + np.tanh(X),
    "asinh(x) + acosh(2 + x) + atanh(x)": np.arcsinh(X) + np.arccosh(2 + X) + np.arctanh(X),
    "arcsinh(x) + arccosh(2 + x) + arctanh(x)": np.arcsinh(X) + np.arccosh(2 + X) + np.arctanh(X),
    "exp(x) + exp2(x) + expm1(x)": np.exp(X) + 2**X + np.expm1(X),
    "log(2+x) + ln(2+x) + log2(2+x) + log10(2+x) + log1p(x)": (
        2 * np.log(2 + X) + np.log2(2 + X) + np.log10(2 + X) + np.log1p(X)
    ),
    "sqrt(2 + x) + cbrt(x) + square(x) + sinc(x)": np.sqrt(2 + X) + np.cbrt(X) + X**2 + np.sinc(X),
    "sum(x) + prod(x) + mean(x)": X.sum() + X.prod() + X.mean(),
    "var(x) + std(x) + min(x) + max(x)": X.var() + X.std() + X.min() + X.max(),
    "cumsum(x) + cumprod(x) + sort(x)": np.cumsum(X) + np.cumprod(X) + np.sort(X),
    "norm(x) + logsumexp(x)": np.linalg.norm(X) + np.log(np.exp(X).sum()),
    "softmax(x)": np.exp(X) / np.exp(X).sum(),
    "sigmoid(x) + softplus(x) + relu(x)": (
        1 / (1 + np.exp(-X)) + np.log1p(np.exp(X)) + np.maximum(X, 0)
    ),
    "erf(x)": scipy.special.erf(X),
    "atan2(x, 2) + arctan2(x, 2) + hypot(x, 2)": 2 * np.arctan2(X, 2) + np.hypot(X, 2),
    "maximum(x, 0) + minimum(x, 0) + clip(x, 0, 1)": X + np.clip(X, 0, 1),
    "dot(x, x) + outer(x, x)": X @ X + np.outer(X, X),
    "cross(x, [1, 2, 3])": np.cross(X, [1, 2, 3]),
    "roll(x, 1) - roll(x, -1)": np.roll(X, 1) - np.roll(X, -1),
    "diff(x)": np.diff(X),
}
MATRIX_REFERENCES = {
    "a @ transpose(a)": A @ A.T,
    "sum(a, axis=0) + max(a, axis=-1)": A.sum(0) + A.max(-1),
    "trace(a) + det(a)": np.trace(A) + np.linalg.det(A),
    "inv(a) + a[0, 1] + a[:, 0]": np.linalg.inv(A) + A[0, 1] + A[:, 0],
    "solve(a, a[1])": np.linalg.solve(A, A[1]),
}


@pytest.mark.parametrize("source", REFERENCES)
def test_values_of_a_vector(source: str) -> None:
    found = function_of(source)(jnp.asarray(X))
    np.testing.assert_allclose(found, REFERENCES[source], rtol=1e-12)
    assert found.dtype == jnp.float64


@pytest.mark.parametrize("source", MATRIX_REFERENCES)
def test_values_of_a_matrix(source: str) -> None:
    found = function_of(source)(jnp.asarray(A))
    np.testing.assert_allclose(found, MATRIX_REFERENCES[source], rtol=1e-12)


def test_every_function_is_tested_above() -> None:
    sources = [*REFERENCES, *MATRIX_REFERENCES]
    called = {
        node.func.id
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called == FUNCTIONS.keys()


def test_arguments_are_the_variables_in_order_of_appearance() -> None:
    f = function_of("4*z**4 * a**3 + sin(z) + pi")
    assert list(inspect.signature(f).parameters) == ["z", "a"]
    assert float(f(a=2.0, z=1.0)) == pytest.approx(32 + math.sin(1) + math.pi)


def test_a_constant_takes_the_arguments_it_is_given() -> None:
    f = function_of("5", otherwise=("x", "y"))
    assert list(inspect.signature(f).parameters) == ["x", "y"]
    assert float(jaxcalc.derivative(f)(1.0, 2.0)) == 0


def test_works_under_the_transformations_of_jax() -> None:
    f = function_of("sum(where(x > 0, x**3, 0))")
    slope = jax.jit(jax.vmap(jaxcalc.gradient(f)))(jnp.asarray([[1.0, -1.0], [2.0, 3.0]]))
    assert slope.tolist() == [[3.0, 0.0], [12.0, 27.0]]


@pytest.mark.parametrize("strict", ["jax_numpy_rank_promotion", "jax_numpy_dtype_promotion"])
def test_works_under_strict_promotion(strict: str) -> None:
    value = {"jax_numpy_rank_promotion": "raise", "jax_numpy_dtype_promotion": "strict"}[strict]
    was = getattr(jax.config, strict)
    jax.config.update(strict, value)
    try:
        found = function_of("[x[0]**2 + 1, 3, maximum(x[1], 0)]")(jnp.asarray([2.0, 3.0]))
    finally:
        jax.config.update(strict, was)
    assert found.tolist() == [5.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "the expression is empty"),
        ("2x", "a product is written 2*x"),
        ("x +", "cannot read the expression: invalid syntax"),
        ("x ^ 2", "^ is not a power here; write x**2"),
        ("jnp.sin(x)", "write sin(...), without jnp"),
        ("x.T", "attributes such as .T are not allowed"),
        ("x.__class__", "attributes such as .__class__ are not allowed"),
        ("().__class__.__bases__[0]", "attributes such as .__bases__ are not allowed"),
        ("__import__('os')", "unknown function '__import__'"),
        ("__builtins__", "__builtins__ cannot be a variable"),
        ("eval(x)", "unknown function 'eval'; the known ones are abs, acos,"),
        ("'text'", "'text' is not a number"),
        ("True", "True is not a number"),
        ("1or x", "BoolOp is not allowed in an expression"),
        ("1j * x", "1j is not a number"),
        ("lambda y: y", "Lambda is not allowed in an expression"),
        ("[y for y in x]", "ListComp is not allowed in an expression"),
        ("x if x else 0", "IfExp is not allowed in an expression"),
        ("x and x", "BoolOp is not allowed in an expression"),
        ("x | 1", "BitOr is not allowed in an expression"),
        ("~x", "Invert is not allowed in an expression"),
        ("x in x", "In is not allowed in an expression"),
        ("(y := x)", "NamedExpr is not allowed in an expression"),
        ("f'{x}'", "JoinedStr is not allowed in an expression"),
        ("{1: x}", "Dict is not allowed in an expression"),
        ("sin(*x)", "Starred is not allowed in an expression"),
        ("sin(**x)", "sin takes 1 argument(s), and got 0"),
        ("sum(x, **x)", "sum takes no option **"),
        ("sum", "sum is a function; call it: sum(...)"),
        ("x(2)", "unknown function 'x'"),
        ("(2)(x)", "only a function can be called"),
        ("sin(x, x)", "sin takes 1 argument(s), and got 2"),
        ("max(x, 0)", "max takes 1 argument(s), and got 2; write maximum(a, b)"),
        ("sin(x, out=x)", "sin takes no option out"),
        ("sum(x, axis=0.5)", "axis must be an integer"),
        ("0 < x < 1", "compare two things at a time"),
        ("x[1.5:]", "a slice needs integers"),
        ("x @ x.y()", "attributes such as .y are not allowed"),
        ("123456789012345678901234567890 * x", "the integer is larger than 2**53"),
    ],
)
def test_refusals(source: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        function_of(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "x**100000",
            "the exponent 100000 is too large: integer exponents go up to 1000; write 100000.0",
        ),
        ("x**(10**9)", "the exponent 1000000000 is too large"),
        ("x * 9**9**9", "a constant in the expression is too large for a float"),
        ("x + 1/(1 - 1)", "a constant in the expression divides by zero"),
        ("x + (-8)**0.5", "(-8)**(0.5) is not a real number"),
        ("x + 2@3", "@ multiplies vectors and matrices"),
        ("[x, [1, 2]]", "the elements of a list must have one shape, and got [], [2]"),
        ("x * []", "a list [] without elements has no derivative"),
        ("[1, 2, 3][x]", "an index must be an integer, a slice or '...'"),
    ],
)
def test_refusals_when_evaluated(source: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        function_of(source)(x=jnp.asarray(2.0))
    assert message in str(caught.value)


def test_the_place_of_a_mistake_is_marked() -> None:
    with pytest.raises(UsageError) as caught:
        function_of("2*x + y^2")
    assert str(caught.value).splitlines()[1:] == ["    2*x + y^2", "           ^"]


def test_an_index_out_of_range_is_an_error_where_jax_would_clamp() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        function_of("x[3]")(jnp.ones(3))


@pytest.mark.parametrize(
    "source",
    [
        "(" * 1500 + "x" + ")" * 1500,
        "-" * 3000 + "x",
        "sin(" * 300 + "x" + ")" * 300,
        "x" + "+x" * 1500,
    ],
    ids=["parentheses", "signs", "calls", "terms"],
)
def test_deep_nesting_ends_in_a_message_not_in_a_crash(source: str) -> None:
    with pytest.raises(UsageError, match=r"levels deep|nested parentheses"):
        function_of(source)


def test_parentheses_alone_are_no_nesting() -> None:
    assert float(function_of("(" * 150 + "x" + ")" * 150)(2.0)) == 2


def test_too_long() -> None:
    with pytest.raises(UsageError, match="5001 characters and the limit is 4000"):
        function_of("x + " * 1250 + "x")


def test_a_sum_of_many_terms_is_no_deep_nesting() -> None:
    f = function_of(" + ".join(["x"] * 150))
    assert float(f(jnp.asarray(2.0))) == 300


_LEAVES = st.sampled_from(["x", "y", "2", "0.5", "pi"])
_TREES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        )
        | inner.map(lambda s: f"sin({s})")
        | inner.map(lambda s: f"-{s}")
    ),
    max_leaves=12,
)


@settings(deadline=None)  # the first of a shape is compiled
@given(_TREES)
def test_agrees_with_python_on_random_expressions(source: str) -> None:
    x, y = 0.7, -1.3
    names = {"x": x, "y": y, "pi": math.pi, "sin": math.sin}
    expected = eval(source, {"__builtins__": {}}, names)  # the reference
    f = function_of(source, otherwise=("x",))
    arguments = {name: jnp.asarray(names[name]) for name in inspect.signature(f).parameters}
    assert float(f(**arguments)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(deadline=None)
@given(st.text(alphabet="x2*+-()[],.=<>_'\"{}:@ asinlmbd\\\n", max_size=30))
def test_any_text_is_read_or_refused(source: str) -> None:
    with suppress(UsageError):
        function_of(source)
