"""Derivatives with respect to a scalar argument, of any order, and partial derivatives."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax import lax

import jaxcalc


def cubic(x):
    return 2 * x**3 + 5


def surface(x, z):
    return 4 * x**4 * z**3


CUBIC = [lambda x: 6 * x**2, lambda x: 12 * x, lambda x: 12.0 + 0 * x, lambda x: 0.0 * x]


class Variants(chex.TestCase, parameterized.TestCase):
    """The same numbers with and without `jit`, on the device and off it."""

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    @parameterized.parameters(1, 2, 3, 4)
    def test_cubic(self, order):
        derivative = self.variant(jaxcalc.derivative(cubic, order=order))
        for x in (-1.5, 0.0, 2.0):
            assert float(derivative(x)) == CUBIC[order - 1](x)

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_partial_derivatives(self):
        for wrt, expected in (
            ("x", 16 * 1.5**3 * 8),
            (1, 12 * 1.5**4 * 4),
            (("x", "z"), 48 * 1.5**3 * 4),
            (("z", 0), 48 * 1.5**3 * 4),
            (("x", "x"), 48 * 1.5**2 * 8),
            (("x", "z", "x"), 144 * 1.5**2 * 4),
        ):
            partial = self.variant(jaxcalc.partial_derivative(surface, wrt))
            np.testing.assert_allclose(partial(1.5, 2.0), expected, rtol=1e-6)


def test_arrays_under_vmap():
    x = jnp.linspace(-2, 2, 7)
    for order, expected in enumerate(CUBIC, start=1):
        found = jax.vmap(jaxcalc.derivative(cubic, order=order))(x)
        np.testing.assert_allclose(found, expected(x), rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_curves_and_pytrees():
    curve = lambda t: {"p": jnp.stack([t, t**2, t**3]), "q": (jnp.cos(t), [t * jnp.eye(2)])}  # noqa: E731
    first, second = (jaxcalc.derivative(curve, order=n)(2.0) for n in (1, 2))
    assert jax.tree.structure(first) == jax.tree.structure(curve(2.0))
    np.testing.assert_allclose(first["p"], [1.0, 4.0, 12.0])
    np.testing.assert_allclose(second["p"], [0.0, 2.0, 12.0])
    np.testing.assert_allclose(second["q"][0], -np.cos(2.0))
    np.testing.assert_allclose(first["q"][1][0], np.eye(2))
    np.testing.assert_array_equal(second["q"][1][0], np.zeros((2, 2)))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.usefixtures("x64")
def test_shapes_and_dtypes_are_those_of_the_output(order, dtype):
    x = jnp.asarray(0.5, dtype)
    f = lambda x: (jnp.sin(x), x * jnp.ones((2, 3), x.dtype), jnp.float32(1.0))  # noqa: E731
    found, value = jaxcalc.derivative(f, order=order)(x), f(x)
    for a, b in zip(found, value, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)


def test_python_numbers_stay_weakly_typed():
    for order in (1, 2, 5):
        found = jaxcalc.derivative(cubic, order=order)(2.0)
        assert found.weak_type
        assert (found * jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_argnum_and_other_arguments():
    f = lambda a, x, *, k: a * x**k  # noqa: E731
    assert float(jaxcalc.derivative(f, 1)(3.0, 2.0, k=2)) == 12.0
    assert float(jaxcalc.derivative(f, -1, order=2)(3.0, 2.0, k=3)) == 36.0
    assert float(jaxcalc.derivative(f, np.int64(0))(3.0, 2.0, k=2)) == 4.0


@pytest.mark.parametrize("order", [1, 2])
def test_aux_may_be_anything(order):
    aux = {"text": "t", "twice": None}

    def f(x):
        return x**3, {**aux, "twice": 2 * x, "closed over": (3, None)}

    found, given = jaxcalc.derivative(f, order=order, has_aux=True)(2.0)
    assert float(found) == 12.0
    assert given == {"text": "t", "twice": 4.0, "closed over": (3, None)}


@pytest.mark.usefixtures("x64")
def test_inside_other_transformations():
    second = jaxcalc.derivative(lambda x: jnp.sin(x) * x, order=2)  # 2 cos x - x sin x
    third = lambda x: -3 * np.sin(x) - x * np.cos(x)  # noqa: E731
    x = 0.7
    np.testing.assert_allclose(jax.grad(second)(x), third(x))
    np.testing.assert_allclose(jax.jvp(second, (x,), (1.0,))[1], third(x))
    np.testing.assert_allclose(jax.jit(jax.grad(second))(x), third(x))
    np.testing.assert_allclose(jaxcalc.derivative(second)(x), third(x))
    nested = jaxcalc.derivative(jaxcalc.derivative(second, order=2), order=2)
    np.testing.assert_allclose(nested(x), -x * np.sin(x) + 6 * np.cos(x))
    _, ys = lax.scan(lambda c, a: (c, second(a) + c), 0.0, jnp.linspace(0, 1, 4))
    np.testing.assert_allclose(ys, jax.vmap(second)(jnp.linspace(0, 1, 4)))


def test_closures_over_traced_values():
    def outer(a):
        return jaxcalc.derivative(lambda x: a * x**3, order=2)(2.0)  # 12 a

    assert float(jax.grad(outer)(1.0)) == 12.0
    np.testing.assert_array_equal(jax.vmap(outer)(jnp.arange(3.0)), [0.0, 12.0, 24.0])
    np.testing.assert_array_equal(jax.jit(jax.jacobian(lambda a: outer(a[0])))(jnp.ones(1)), [12.0])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_functions_that_branch_in_python_work_eagerly(order):
    def f(x):
        return x**3 if x > 0 else -x

    assert float(jaxcalc.derivative(f, order=order)(2.0)) == [12.0, 12.0, 6.0][order - 1]
    assert float(jaxcalc.derivative(f, order=order)(-2.0)) == [-1.0, 0.0, 0.0][order - 1]
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.jit(jaxcalc.derivative(f, order=order))(2.0)
    sliced = lambda t: (t ** jnp.arange(5.0))[: t.astype(int)]  # noqa: E731
    np.testing.assert_array_equal(
        jaxcalc.derivative(sliced, order=order)(jnp.float32(3)),
        [[0, 1, 6], [0, 0, 2], [0, 0, 0]][order - 1],
    )


@pytest.mark.parametrize(
    ("f", "x", "first", "second"),
    [
        (jnp.abs, 0.0, 1.0, 0.0),
        (jax.nn.relu, 0.0, 0.0, 0.0),
        (lambda x: jnp.maximum(x, 0.0), 0.0, 0.5, 0.0),
        (lambda x: jnp.maximum(x, x), 1.0, 1.0, 0.0),
        (lambda x: x**0, 0.0, 0.0, 0.0),
        (lambda x: x**1, 0.0, 1.0, 0.0),
        (lambda x: x**2.0, 0.0, 0.0, 2.0),
        (jnp.sqrt, 0.0, np.inf, -np.inf),
        (jnp.log, 0.0, np.inf, -np.inf),
        (lambda x: 1 / x, 0.0, -np.inf, np.inf),
        (lambda x: x**-2, 0.0, -np.inf, np.inf),
        (jnp.sqrt, -1.0, np.nan, np.nan),
        (lambda x: jnp.where(x > 0, jnp.log(x), 0.0), 0.0, 0.0, 0.0),
    ],
)
def test_kinks_and_edges(f, x, first, second):
    np.testing.assert_equal(float(jaxcalc.derivative(f)(x)), first)
    np.testing.assert_equal(float(jaxcalc.derivative(f, order=2)(x)), second)


def test_one_compilation():
    traces = []

    def f(x):
        traces.append(1)
        return jnp.sin(x)

    g = jax.jit(jaxcalc.derivative(f, order=4))
    g(jnp.float32(1.0))
    g(jnp.float32(2.0))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("f", "x", "text"),
    [
        (
            jnp.sum,
            jnp.ones(3),
            r"sum maps float32\[3\] -> float32 \(R\^3 -> R\) for a: .*jaxcalc.gradient\.$",
        ),
        (jnp.sin, jnp.ones(3), r"sin maps float32\[3\] -> .* Jacobian; use jaxcalc.jacobian\."),
        (jnp.sin, jnp.ones((2, 2)), "generalized Jacobian; use jaxcalc.jacobian"),
        (lambda p: p["a"], {"a": 1.0}, "for p: its derivative is a gradient"),
        (jnp.sin, None, "x is None, which holds no number"),
        (
            jnp.sin,
            1,
            r"x is int32, .* does not exist\. Write 1\.0 instead of 1, or choose another arg",
        ),
        (jnp.sin, True, "x is bool"),
        (jnp.sin, 1j, r"x is complex64; .* use jaxcalc.jacobian\(f, holomorphic=True\)"),
        (jnp.round, "a", "a is 'a' of type str"),
        (lambda x: x.astype("int32"), jnp.float32(1.0), "output is int32, which has no derivative"),
        (lambda x: "text", 1.0, "the function returned 'text' of type str"),
        (
            lambda x: x if x[0] > 0 else -x,
            jnp.ones(2),
            "x is none; use jaxcalc.gradient or jaxcalc.jacobian",
        ),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_errors(f, x, text, order):
    with pytest.raises(TypeError, match=rf"^jaxcalc.derivative: .*{text}"):
        jaxcalc.derivative(f, order=order)(x)


@pytest.mark.parametrize("order", [0, -1, 2.0, True, "2", None])
def test_order_must_be_a_positive_integer(order):
    with pytest.raises(
        ValueError, match=r"^jaxcalc.derivative: order must be an integer of 1 or more, got"
    ):
        jaxcalc.derivative(cubic, order=order)


def test_errors_of_argnum():
    with pytest.raises(TypeError, match=r"^jaxcalc.derivative: argnum must be one integer, got \(0,\)"):
        jaxcalc.derivative(cubic, (0,))(1.0)
    with pytest.raises(ValueError, match=r"argnum=1 asks for position 1.*with argnames"):
        jaxcalc.derivative(cubic, 1)(1.0)
    with pytest.raises(TypeError, match=r"with has_aux=True .* returned an array float32\[\]"):
        jaxcalc.derivative(cubic, has_aux=True)(1.0)


@pytest.mark.parametrize(
    ("wrt", "kind", "text"),
    [
        ("y", ValueError, r"surface has no argument named 'y'; its arguments: 'x', 'z'\."),
        (("x", "y"), ValueError, "surface has no argument named 'y'"),
        (2, ValueError, "wrt=2 asks for position 2, .*choose by name, one of 'x', 'z'"),
        ((), ValueError, "wrt is empty"),
        (1.0, TypeError, "got 1.0 beside the function; did you mean"),
        (None, ValueError, r"give one of wrt, argnums, argnames\."),
        ((True,), TypeError, "wrt must be a position"),
    ],
)
def test_errors_of_wrt(wrt, kind, text):
    with pytest.raises(kind, match=rf"^jaxcalc.partial_derivative: {text}"):
        jaxcalc.partial_derivative(surface, wrt)(1.0, 2.0)


def test_every_spelling_of_the_argument():
    expected = float(jaxcalc.partial_derivative(surface, "z")(1.0, 2.0))
    for by, choices in (
        (jaxcalc.derivative, [{"argnum": 1}, {"argnums": 1}, {"argnames": "z"}, {"argnums": -1}]),
        (jaxcalc.derivative, [{"argnum": 1, "argnums": 1}, {"argnum": 1, "argnames": "z"}]),
        (jaxcalc.partial_derivative, [{"wrt": 1}, {"argnums": 1}, {"argnames": "z"}]),
        (jaxcalc.partial_derivative, [{"wrt": "z", "argnums": (1,)}, {"wrt": 1, "argnames": "z"}]),
    ):
        for choice in choices:
            assert float(by(surface, **choice)(1.0, 2.0)) == expected, choice
    mixed = float(jaxcalc.partial_derivative(surface, ("x", "z"))(1.0, 2.0))
    for choice in ({"argnums": (0, 1)}, {"argnames": ["x", "z"]}):
        assert float(jaxcalc.partial_derivative(surface, **choice)(1.0, 2.0)) == mixed


@pytest.mark.parametrize(
    ("call", "choice", "kind", "text"),
    [
        (
            "derivative",
            {"argnum": 0, "argnums": 1},
            ValueError,
            "got argnum=0 and argnums=1, which dis",
        ),
        (
            "derivative",
            {"argnum": 0, "argnames": "z"},
            ValueError,
            "got argnum=0 and argnames='z', which",
        ),
        (
            "derivative",
            {"argnums": 1, "argnames": "z"},
            ValueError,
            "got both argnums=1 and argnames='z'",
        ),
        (
            "derivative",
            {"argnames": ["z"]},
            TypeError,
            r"argnames must be one name, got \['z'\]; for sev",
        ),
        (
            "derivative",
            {"argnames": 1},
            TypeError,
            "argnames must be a name.*To choose by position: argnums=1",
        ),
        (
            "derivative",
            {"argnums": "z"},
            TypeError,
            "argnums must be an integer.*To choose by name: argn",
        ),
        ("derivative", {"argnames": "y"}, ValueError, "surface has no argument named 'y'"),
        (
            "partial_derivative",
            {"wrt": "x", "argnums": 1},
            ValueError,
            "got wrt='x' and argnums=1, which",
        ),
        (
            "partial_derivative",
            {"wrt": 0, "argnames": "z"},
            ValueError,
            "got wrt=0 and argnames='z', wh",
        ),
        ("partial_derivative", {"argnums": 0, "argnames": "x"}, ValueError, "got both argnums=0 and"),
        (
            "partial_derivative",
            {"argnums": "x"},
            TypeError,
            "argnums must be an.*by name: argnames='x'",
        ),
        ("partial_derivative", {"argnums": ()}, ValueError, r"argnums is empty; give a position\."),
        ("partial_derivative", {"argnames": ("x", 1)}, TypeError, "argnames must be a name or a seq"),
        ("partial_derivative", {"argnums": 2}, ValueError, "argnums=2 asks for position 2"),
    ],
)
def test_spellings_that_disagree(call, choice, kind, text):
    with pytest.raises(kind, match=rf"^jaxcalc.{call}: {text}"):
        getattr(jaxcalc, call)(surface, **choice)(1.0, 2.0)


def test_partial_derivatives_by_keyword_and_of_curves():
    partial = jaxcalc.partial_derivative(surface, ("x", "z"))
    assert float(partial(x=1.0, z=2.0)) == 192.0
    curve = lambda t, s: jnp.stack([t * s, t**2])  # noqa: E731
    np.testing.assert_array_equal(jaxcalc.partial_derivative(curve, "t")(3.0, 2.0), [2.0, 6.0])
    with_aux = jaxcalc.partial_derivative(lambda x, z: (x * z**2, "aux"), ("x", "z"), has_aux=True)
    assert with_aux(3.0, 2.0) == (4.0, "aux")
    with pytest.raises(TypeError, match=r"^jaxcalc.partial_derivative: needs a scalar .* for x:"):
        jaxcalc.partial_derivative(surface, "x")(jnp.ones(2), 1.0)


@pytest.mark.usefixtures("x64")
def test_mixed_partials_agree_in_every_order_of_the_arguments():
    f = lambda x, y, z: jnp.sin(x * y) * jnp.exp(z * x)  # noqa: E731
    at = (0.3, 0.7, 0.2)
    expected = jax.grad(jax.grad(jax.grad(f, 0), 1), 2)(*at)
    for wrt in (("x", "y", "z"), ("z", "y", "x"), (1, "z", 0), ("y", "x", "z")):
        np.testing.assert_allclose(jaxcalc.partial_derivative(f, wrt)(*at), expected, rtol=1e-12)
