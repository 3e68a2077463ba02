"""Numerical derivatives against exact ones.

A program of a numerical derivative takes long to compile and nothing to run. So all cases are evaluated
in numpy, and one of each transformation is compiled as well, and one called step by step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import numerical
from jaxcalc.heuristics import tuned
from tests.in_numpy import in_numpy


def power(x, z):
    return 4 * x**4 * z**3


def cubic(x):
    return 2 * x**3 + 5


def curve(a, t):
    return {"xy": a * jnp.stack([jnp.cos(t), jnp.sin(t)]), "z": t**2}


def wave(x):
    return jnp.exp(1j * x) * x


def product(x):
    return jnp.prod(jnp.sin(x))


def field(parameters, t):
    """A pytree to a pytree, with ranks 0 to 2 on both sides."""
    w, b = parameters["w"], parameters["b"]
    return {"a": jnp.tanh(w @ jnp.ones(3) + t), "s": jnp.sum(w**2) * b * t}


PARAMETERS = {"w": np.linspace(-0.7, 0.9, 6).reshape(2, 3), "b": np.array(0.3)}
POINT = np.array([0.2, 0.5, 1.4])


SLOPES = np.sin(POINT) + POINT * np.cos(POINT)


class Case(NamedTuple):
    """An estimate, what it estimates, where, and the largest error that it may state."""

    estimate: Any
    exact: Any
    args: tuple[Any, ...]
    largest: float = 1e-9


def by_x(x, z):
    return 16 * x**3 * z**3


def by_z(x, z):
    return 12 * x**4 * z**2


AT = 1.0, 2.0
CASES = {
    "derivative of a cubic": Case(numerical.derivative(cubic), lambda x: 6 * x**2, (2.0,), 4e-11),
    "derivative of a curve by a later argument": Case(
        numerical.derivative(curve, 1), jaxcalc.derivative(curve, 1), (2.0, 0.5)
    ),
    "gradient": Case(numerical.gradient(power), by_x, AT),
    "gradient by two": Case(
        numerical.gradient(power, argnums=(0, 1)), lambda x, z: (by_x(x, z), by_z(x, z)), AT
    ),
    "gradient by a name": Case(lambda x, z: numerical.gradient(power, argnames="z")(x, z=z), by_z, AT),
    "gradient by names": Case(
        lambda x, z: numerical.gradient(power, argnames=("z", "x"))(x=x, z=z),
        lambda x, z: (by_z(x, z), by_x(x, z)),
        AT,
    ),
    **{
        f"Jacobian of a pytree by {argnums}": Case(
            numerical.jacobian(field, argnums), jax.jacfwd(field, argnums), (PARAMETERS, 0.4)
        )
        for argnums in (0, 1, (0, 1), (0,))
    },
    **{
        f"Hessian of a pytree by {argnums}": Case(
            numerical.hessian(field, argnums), jax.hessian(field, argnums), (PARAMETERS, 0.4), 1e-5
        )
        for argnums in (1, (0, 1))
    },
    "Jacobian of a complex output": Case(
        numerical.jacobian(wave), jaxcalc.jacobian(wave, mode="forward"), (POINT[1:],)
    ),
    "under vmap": Case(
        jax.vmap(numerical.gradient(product)),
        jax.vmap(jax.grad(product)),
        (np.stack([POINT, 2 * POINT]),),
    ),
    "of an exact gradient, a Hessian": Case(
        numerical.jacobian(jax.grad(product)), jax.hessian(product), (POINT,), 1e-5
    ),
}


COMPILED = (
    "derivative of a curve by a later argument",
    "gradient by two",
    "Jacobian of a pytree by (0, 1)",
    "Hessian of a pytree by 1",
    "under vmap",
)


@pytest.fixture(scope="module")
def exact():
    """Exact derivatives of all cases, by one program in float64."""
    args = {name: case.args for name, case in CASES.items()}
    with jax.enable_x64(True):
        return jax.jit(lambda args: {name: case.exact(*args[name]) for name, case in CASES.items()})(
            args
        )


def assert_within(estimate, exact, largest=1e-3):
    """Same structure, shapes and dtypes as the exact one, and within the error of it."""
    assert jax.tree.structure(estimate.value) == jax.tree.structure(exact)
    assert jax.tree.structure(estimate.error) == jax.tree.structure(exact)
    for value, error, truth in zip(*map(jax.tree.leaves, (*estimate, exact)), strict=True):
        assert value.shape == error.shape == truth.shape
        assert value.dtype == truth.dtype
        assert error.dtype == jnp.finfo(truth.dtype).dtype
        truth, error = np.asarray(truth), np.asarray(error)  # noqa: PLW2901
        assert np.all(np.abs(np.asarray(value) - truth) <= error)
        assert np.all(error <= largest * (1 + np.abs(truth)))


@pytest.mark.parametrize("name", CASES)
def test_it_is_within_its_error_of_the_exact_one(x64, exact, name):
    case = CASES[name]
    assert_within(in_numpy(case.estimate)(*case.args), exact[name], case.largest)


def test_it_is_so_when_compiled(x64, exact):
    args = {name: CASES[name].args for name in COMPILED}
    found = jax.jit(lambda args: {name: CASES[name].estimate(*args[name]) for name in COMPILED})(args)
    for name in COMPILED:
        assert_within(found[name], exact[name], CASES[name].largest)


@pytest.mark.eager
def test_step_by_step(x64):
    """Each transformation once as a call of its own."""
    assert_within(numerical.derivative(cubic)(2.0), np.float64(24.0), 4e-11)
    assert_within(numerical.gradient(power)(1.0, 2.0), np.float64(128.0), 1e-9)
    assert_within(numerical.jacobian(lambda x: jnp.sin(x) * x)(POINT), np.diag(SLOPES), 1e-9)
    squares = numerical.hessian(lambda x: jnp.sum(x * x[0] ** 2))(POINT)
    x, y, z = POINT
    exact = 2 * np.array([[3 * x + y + z, x, x], [x, 0, 0], [x, 0, 0]])
    assert_within(squares, exact, 1e-5)


def test_gradient_of_a_pytree_in_float32():
    def loss(parameters):
        return jnp.sum(field(parameters, 0.4)["a"] ** 2)

    both = jax.jit(lambda p: (numerical.gradient(loss)(p), jax.grad(loss)(p)))
    assert_within(*both(PARAMETERS), 1e-3)


def test_each_leaf_has_its_own_dtype(x64):
    """Steps and estimates follow the coarsest dtype that takes part."""
    tree = {"h": np.array([0.5, 1.5], np.float16), "d": np.array([0.5, 1.5])}

    def f(tree):
        return jnp.sum(tree["h"].astype(jnp.float64) * tree["d"] ** 2)

    both = jax.jit(lambda tree: (numerical.gradient(f)(tree), numerical.hessian(f)(tree)))
    (value, error), second = jax.tree.map(np.asarray, both(tree))
    assert value["h"].dtype == error["h"].dtype == np.float16
    assert value["d"].dtype == error["d"].dtype == np.float64
    np.testing.assert_allclose(value["h"], [0.25, 2.25], rtol=2e-2)
    np.testing.assert_allclose(value["d"], [0.5, 4.5], rtol=1e-9)
    assert np.all(np.abs(value["h"] - np.array([0.25, 2.25], np.float16)) <= error["h"])
    assert np.all(error["d"] < 1e-8)
    assert np.all(error["h"] > 1e-4)
    np.testing.assert_allclose(second.value["d"]["d"], np.diag([1.0, 3.0]), atol=1e-6)
    np.testing.assert_allclose(second.value["h"]["d"], np.diag([1.0, 3.0]), atol=0.1)


def test_aux_comes_with_the_estimate():
    def f(x):
        return x**2, {"seen": x}

    def everything(x, xs):
        transforms = numerical.derivative, numerical.gradient, numerical.jacobian
        return [t(f, has_aux=True)(x) for t in transforms], numerical.hessian(f, has_aux=True)(xs)

    of_a_number, ((value, _), aux) = in_numpy(everything)(3.0, np.ones(2, np.float32))
    for (slope, _), seen in of_a_number:
        assert slope == pytest.approx(6.0, rel=1e-5)
        assert seen["seen"] == 3.0
    assert value.shape == (2, 2, 2)
    assert aux["seen"].shape == (2,)


def test_functions_that_cannot_be_traced(x64):
    """Python control flow, numpy and int(x) work eagerly, by one call for each point."""
    calls = []

    def branching(x):
        calls.append(x)
        return x[0] ** 2 * x[1] if x[0] > 0 else x[1]

    x = np.array([1.0, 2.0])
    assert_within(numerical.gradient(branching)(x), np.array([4.0, 1.0]), 1e-9)
    assert len(calls) < 90  # 2 x 40 + 1, and the calls that found out that it cannot be traced
    assert_within(numerical.hessian(branching)(x), np.array([[4.0, 2.0], [2.0, 0.0]]), 1e-6)
    assert_within(numerical.derivative(np.sin)(0.3), np.cos(0.3), 1e-9)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.jit(numerical.gradient(branching))(x)


def test_an_error_of_f_is_not_taken_for_an_untraceable_one():
    def f(x):
        raise RuntimeError("of f itself")

    with pytest.raises(RuntimeError, match="of f itself"):
        numerical.derivative(f)(1.0)


def test_evaluations_are_those_that_the_docstring_states():
    def count(transform, x):
        calls = []

        def f(x):
            calls.append(isinstance(x, jax.core.Tracer))
            return np.sum(np.asarray(x) ** 2)  # cannot be traced, so that each point is a call

        transform(f)(x)
        return calls.count(False)

    ones = np.ones(3, np.float32)
    assert count(numerical.derivative, jnp.bfloat16(1.0)) == 11
    assert count(numerical.gradient, ones) == 3 * 30 + 1
    assert count(numerical.hessian, ones) == 2 * 11 * 3**2 + 1
    with jax.enable_x64(True):
        assert count(numerical.derivative, np.float64(1.0)) == 41


def test_many_inputs_go_through_in_batches(caplog):
    """Step by step, which compiles nothing anew in the next call, and in a loop, compiled each time."""
    x = np.linspace(0.1, 1.0, 5, dtype=np.float32)

    def f(x):
        return jnp.sin(x[1:] * x[:-1])

    def require_right(found, x, whole):
        near, far = np.cos(x[1:] * x[:-1]) * x[1:], np.cos(x[1:] * x[:-1]) * x[:-1]
        exact = np.eye(4, 5) * near[:, None] + np.eye(4, 5, k=1) * far[:, None]
        np.testing.assert_allclose(found.value, whole.value, atol=1e-4)
        assert np.all(np.abs(np.asarray(found.value) - exact) <= np.asarray(found.error))

    moved = x + np.float32(0.5)
    at_once = jax.jit(numerical.jacobian(f))
    wholes = [at_once(x), at_once(moved)]
    derivative = numerical.jacobian(f)
    with tuned(sampled_bytes=25_000):
        program = str(jax.make_jaxpr(derivative)(x))
        assert "length=2" in program  # 5 inputs, two at a time and one left over
        assert "length=2" not in str(jax.make_jaxpr(at_once)(x))
        require_right(derivative(x), x, wholes[0])
        with jax.log_compiles():
            found = derivative(moved)
    assert "compil" not in caplog.text.lower()
    require_right(found, moved, wholes[1])
    with tuned(sampled_bytes=25_000, sampled_turns=0), jax.log_compiles():
        found = derivative(moved)
    assert "compil" in caplog.text.lower()
    require_right(found, moved, wholes[1])


def test_step_fits_a_function_of_small_scale():
    """The default steps of float32 end at 1e-4, where sin(1e5 x) has turned many times."""

    def f(x):
        return jnp.sin(1e5 * x)

    missed, (value, error) = in_numpy(
        lambda x: (numerical.derivative(f)(x), numerical.derivative(f, step=1e-5)(x))
    )(0.0)
    assert missed.error > 1e5
    assert abs(value - 1e5) <= error < 1e3


def test_a_python_number_stays_weakly_typed():
    """f(x) = c x has the dtype of c, as it has in the exact derivative."""

    @jax.jit
    def found(c):
        return numerical.derivative(lambda x: x * c)(2.0)

    with jax.numpy_dtype_promotion("strict"):
        value, error = found(jnp.bfloat16(3.0))
    assert value.dtype == error.dtype == jnp.bfloat16
    assert abs(value - 3) <= error


def test_empty_inputs_and_outputs():
    def everything(x, nothing):
        return (
            numerical.jacobian(lambda x: jnp.zeros((2, 0)) * jnp.sum(x))(x),
            numerical.gradient(jnp.sum)(nothing),
            numerical.hessian(jnp.sum)(nothing),
            numerical.jacobian(lambda x: {})(x),
        )

    (value, error), gradient, hessian, of_none = in_numpy(everything)(np.ones(3), np.ones(0))
    assert value.shape == error.shape == (2, 0, 3)
    assert gradient.value.shape == gradient.error.shape == (0,)
    assert hessian.value.shape == (0, 0)
    assert of_none == ({}, {})


@pytest.mark.parametrize("enabled", [False, pytest.param(True, marks=pytest.mark.eager)])
def test_under_strict_settings(enabled):
    """The domain of f ends within the first steps: NaN there must not stop a debugging session."""

    def f(x):
        return jnp.sum(jnp.log(x))

    with (
        jax.enable_x64(enabled),
        jax.debug_nans(True),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        x = jnp.array([0.05, 1.0])
        if enabled:  # step by step, where JAX looks at each operation
            value, error = numerical.gradient(f)(x)
            jax.jit(numerical.hessian(f))(x)
        else:
            (value, error), _ = jax.jit(lambda x: (numerical.gradient(f)(x), numerical.hessian(f)(x)))(
                x
            )
        numerical.difference_quotients(jnp.log, 0.05)
        assert np.all(np.abs(np.asarray(value) - [20.0, 1.0]) <= error)


INTEGER = r"x is int32\[2\].*moves its inputs by real steps; convert it to a floating dtype"


@pytest.mark.parametrize("name", ["derivative", "gradient", "jacobian", "hessian"])
def test_bad_input(name):
    transform = getattr(numerical, name)
    api = rf"^jaxcalc\.numerical\.{name}: "

    def f(x):
        return jnp.sum(x * 1.0)

    scalar = name == "derivative"
    if not scalar:
        with pytest.raises(TypeError, match=api + INTEGER):
            transform(f)(jnp.arange(2))
        with pytest.raises(TypeError, match=api + r"x\['n'\] is int32\[\]"):
            transform(lambda x: x["w"])({"w": 1.0, "n": 3})
        with pytest.raises(ValueError, match=api + "f has no argument named 'y'"):
            transform(f, argnames="y")(1.0)
    with pytest.raises(TypeError, match=api + "x is bool"):
        transform(f)(True)
    with pytest.raises(TypeError, match=api + "x is complex64.*two inputs"):
        transform(f)(1j)
    with pytest.raises(TypeError, match=api + "x is 'a' of type str"):
        transform(f)("a")
    with pytest.raises(TypeError, match=api + "expected a function"):
        transform(3)
    with pytest.raises(ValueError, match=api + "step must be positive and finite, got -1"):
        transform(f, step=-1)
    with pytest.raises(TypeError, match=api + "step must be a positive number, got 'small'"):
        transform(f, step="small")
    with pytest.raises(TypeError, match=api + r"output is int32|" + api + "the output of .* is int32"):
        transform(lambda x: jnp.int32(1))(1.0)


def test_the_error_names_the_right_call():
    with pytest.raises(TypeError, match=r"derivative: needs a scalar .*float32\[3\].*gradient"):
        numerical.derivative(jnp.sum)(jnp.ones(3))
    with pytest.raises(TypeError, match=r"derivative: argnum must be one integer, got \(0, 1\)"):
        numerical.derivative(power, (0, 1))(1.0, 2.0)
    with pytest.raises(TypeError, match=r"gradient: .*float32\[3\] -> float32\[3\].*jacobian"):
        numerical.gradient(jnp.sin)(jnp.ones(3))
    with pytest.raises(TypeError, match=r"gradient: the output of f is complex64.*jacobian"):
        numerical.gradient(lambda x: x * 1j)(1.0)


@jax.jit
def far_from_one(x):
    """Functions on the scale of x, and one on the scale of 1, by one program for each dtype."""

    def f(v):
        return {"x / v": x / v, "sin(v / x)": jnp.sin(v / x), "log": jnp.log(v), "sin": jnp.sin(v) + 3}

    return numerical.derivative(f)(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-30, 1e-17, 1e-10, 1e-5, 1e5, 1e12])
def test_the_error_is_honest_far_from_one(x64, dtype, size):
    slopes = {"x / v": -1 / size, "sin(v / x)": np.cos(1) / size, "log": 1 / size}
    if size < 1:
        slopes["sin"] = np.cos(size)
    value, error = far_from_one(np.asarray(size, dtype))
    for name, true in slopes.items():
        assert abs(float(value[name]) - true) <= float(error[name]), name
        assert float(error[name]) <= (1e-10 if dtype == "float64" else 2e-3) * abs(true), name
