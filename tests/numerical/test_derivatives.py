import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import numerical
from jaxcalc.numerical import sampling
from tests.thinned import thinned


def power(x, z):
    return 4 * x**4 * z**3


def field(parameters, t):
    """A pytree to a pytree, with ranks 0 to 2 on both sides."""
    w, b = parameters["w"], parameters["b"]
    return {"a": jnp.tanh(w @ jnp.ones(3) + t), "s": jnp.sum(w**2) * b * t}


def parameters():
    return {"w": jnp.linspace(-0.7, 0.9, 6).reshape(2, 3), "b": jnp.array(0.3)}


def assert_within(estimate, exact, largest=1e-3):
    """Same structure, shapes and dtypes as the exact one, and within the error of it."""
    assert jax.tree.structure(estimate.value) == jax.tree.structure(exact)
    assert jax.tree.structure(estimate.error) == jax.tree.structure(exact)
    for value, error, truth in zip(*map(jax.tree.leaves, (*estimate, exact)), strict=True):
        assert value.shape == error.shape == truth.shape
        assert value.dtype == truth.dtype
        assert error.dtype == jnp.finfo(truth.dtype).dtype
        assert np.all(np.abs(np.asarray(value - truth)) <= np.asarray(error))
        assert np.all(np.asarray(error) <= largest * (1 + np.abs(np.asarray(truth))))


def test_derivative_of_a_cubic(x64):
    estimate = numerical.derivative(lambda x: 2 * x**3 + 5)(2.0)
    assert abs(estimate.value - 24.0) <= estimate.error < 1e-9


def test_derivative_of_a_curve_and_of_a_later_argument(x64):
    def curve(a, t):
        return {"xy": a * jnp.stack([jnp.cos(t), jnp.sin(t)]), "z": t**2}

    assert_within(
        numerical.derivative(curve, 1)(2.0, 0.5), jaxcalc.derivative(curve, 1)(2.0, 0.5), 1e-9
    )


def test_gradient_by_numbers_and_names(x64):
    largest = 1e-9
    assert_within(numerical.gradient(power)(1.0, 2.0), jnp.float64(128.0), largest)
    both = numerical.gradient(power, argnums=(0, 1))(1.0, 2.0)
    assert_within(both, (jnp.float64(128.0), jnp.float64(48.0)), largest)
    named = numerical.gradient(power, argnames="z")(1.0, z=2.0)
    assert_within(named, jnp.float64(48.0), largest)
    swapped = numerical.gradient(power, argnames=("z", "x"))(x=1.0, z=2.0)
    assert_within(swapped, (jnp.float64(48.0), jnp.float64(128.0)), largest)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (0,)])
def test_jacobian_of_pytrees(x64, argnums):
    args = parameters(), jnp.array(0.4)
    exact = jax.jit(jax.jacfwd(field, argnums))(*args)
    assert_within(jax.jit(numerical.jacobian(field, argnums))(*args), exact, 1e-9)


@pytest.mark.parametrize("argnums", [1, (0, 1)])
def test_hessian_of_pytrees(x64, argnums):
    args = parameters(), jnp.array(0.4)
    exact = jax.jit(jax.hessian(field, argnums))(*args)
    assert_within(jax.jit(numerical.hessian(field, argnums))(*args), exact, 1e-5)


def test_gradient_of_a_pytree_in_float32():
    def loss(parameters):
        return jnp.sum(field(parameters, 0.4)["a"] ** 2)

    assert_within(numerical.gradient(loss)(parameters()), jax.grad(loss)(parameters()), 1e-3)


def test_each_leaf_has_its_own_dtype(x64):
    """Steps and estimates follow the coarsest dtype that takes part."""
    tree = {"h": jnp.array([0.5, 1.5], jnp.float16), "d": jnp.array([0.5, 1.5], jnp.float64)}

    def f(tree):
        return jnp.sum(tree["h"].astype(jnp.float64) * tree["d"] ** 2)

    value, error = jax.jit(numerical.gradient(f))(tree)
    assert value["h"].dtype == error["h"].dtype == jnp.float16
    assert value["d"].dtype == error["d"].dtype == jnp.float64
    np.testing.assert_allclose(value["h"], [0.25, 2.25], rtol=2e-2)
    np.testing.assert_allclose(value["d"], [0.5, 4.5], rtol=1e-9)
    assert np.all(np.abs(value["h"] - jnp.array([0.25, 2.25], jnp.float16)) <= error["h"])
    assert np.all(error["d"] < 1e-8)
    assert np.all(error["h"] > 1e-4)
    second = jax.jit(numerical.hessian(f))(tree)
    np.testing.assert_allclose(second.value["d"]["d"], np.diag([1.0, 3.0]), atol=1e-6)
    np.testing.assert_allclose(second.value["h"]["d"], np.diag([1.0, 3.0]), atol=0.1)


def test_complex_output_has_a_real_error(x64):
    def f(x):
        return jnp.exp(1j * x) * x

    x = jnp.array([0.3, 1.1])
    assert_within(numerical.jacobian(f)(x), jaxcalc.jacobian(f, mode="forward")(x), 1e-9)


def test_aux_comes_with_the_estimate():
    def f(x):
        return x**2, {"seen": x}

    for transform in (numerical.derivative, numerical.gradient, numerical.jacobian):
        (value, _), aux = transform(f, has_aux=True)(3.0)
        assert value == pytest.approx(6.0, rel=1e-5)
        assert aux["seen"] == 3.0
    (value, _), aux = numerical.hessian(f, has_aux=True)(jnp.ones(2))
    assert value.shape == (2, 2, 2)
    assert aux["seen"].shape == (2,)


def test_under_jit_and_vmap(x64):
    x = jnp.array([0.2, 0.5, 1.4])

    def f(x):
        return jnp.prod(jnp.sin(x))

    eager = numerical.gradient(f)(x)
    compiled = jax.jit(numerical.gradient(f))(x)
    np.testing.assert_allclose(compiled.value, eager.value, rtol=1e-9)
    assert np.all(np.abs(compiled.value - jax.grad(f)(x)) <= compiled.error)
    batch = jax.jit(jax.vmap(numerical.gradient(f)))(jnp.stack([x, 2 * x]))
    assert np.all(np.abs(batch.value[1] - jax.grad(f)(2 * x)) <= batch.error[1])
    # nested: the numerical derivative of an exact gradient is a Hessian
    nested = jax.jit(numerical.jacobian(jax.grad(f)))(x)
    assert np.all(np.abs(nested.value - jax.hessian(f)(x)) <= nested.error)


def test_functions_that_cannot_be_traced(x64):
    """Python control flow, numpy and int(x) work eagerly, by one call for each point."""
    calls = []

    def branching(x):
        calls.append(x)
        return x[0] ** 2 * x[1] if x[0] > 0 else x[1]

    x = jnp.array([1.0, 2.0])
    assert_within(numerical.gradient(branching)(x), jnp.array([4.0, 1.0]), 1e-9)
    assert len(calls) < 90  # 2 x 40 + 1, and the calls that found out that it cannot be traced
    assert_within(numerical.hessian(branching)(x), jnp.array([[4.0, 2.0], [2.0, 0.0]]), 1e-6)
    assert_within(numerical.derivative(np.sin)(0.3), jnp.float64(np.cos(0.3)), 1e-9)
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
            y = jnp.sum(x**2)
            calls.append(isinstance(y, jax.core.Tracer))
            return y if y > 0 else -y  # cannot be traced, so that each point is a call

        transform(f)(x)
        return calls.count(False)

    assert count(numerical.derivative, jnp.bfloat16(1.0)) == 11
    assert count(numerical.gradient, jnp.ones(3)) == 3 * 30 + 1
    assert count(numerical.hessian, jnp.ones(3)) == 2 * 11 * 3**2 + 1
    with jax.enable_x64(True):
        assert count(numerical.derivative, jnp.float64(1.0)) == 41


def test_many_inputs_go_through_in_batches(monkeypatch):
    x = jnp.linspace(0.1, 1.0, 7)

    def f(x):
        return jnp.sin(x[1:] * x[:-1])

    whole = jax.jit(numerical.jacobian(f))(x)
    monkeypatch.setattr(sampling, "_WORKSPACE", 40_000)
    program = str(jax.make_jaxpr(numerical.jacobian(f))(x))
    assert "length=3" in program  # 7 inputs, two at a time and one left over
    for turns in (16, 0):  # step by step, and in a compiled loop
        monkeypatch.setattr(sampling, "_TURNS", turns)
        batched = numerical.jacobian(f)(x)
        np.testing.assert_allclose(batched.value, whole.value, atol=1e-4)
        assert np.all(np.abs(batched.value - jax.jacfwd(f)(x)) <= batched.error)


def test_batches_compile_nothing_anew_in_the_next_call(monkeypatch, caplog):
    monkeypatch.setattr(sampling, "_WORKSPACE", 40_000)
    x = jnp.linspace(0.1, 1.0, 8)
    derivative = numerical.jacobian(lambda x: jnp.sin(x[1:] * x[:-1]))
    derivative(x)
    moved = x + 0.5
    with jax.log_compiles():
        derivative(moved)
    assert "compil" not in caplog.text.lower()
    monkeypatch.setattr(sampling, "_TURNS", 0)  # the loop is compiled for each call
    with jax.log_compiles():
        derivative(moved)
    assert "compil" in caplog.text.lower()


def test_step_fits_a_function_of_small_scale():
    """The default steps of float32 end at 1e-4, where sin(1e5 x) has turned many times."""

    def f(x):
        return jnp.sin(1e5 * x)

    assert numerical.derivative(f)(0.0).error > 1e5
    value, error = numerical.derivative(f, step=1e-5)(0.0)
    assert abs(value - 1e5) <= error < 1e3


def test_a_python_number_stays_weakly_typed():
    """f(x) = c x has the dtype of c, as it has in the exact derivative."""
    c = jnp.bfloat16(3.0)
    with jax.numpy_dtype_promotion("strict"):
        value, error = numerical.derivative(lambda x: x * c)(2.0)
    assert value.dtype == error.dtype == jnp.bfloat16
    assert abs(value - 3) <= error


def test_empty_inputs_and_outputs():
    value, error = numerical.jacobian(lambda x: jnp.zeros((2, 0)) * jnp.sum(x))(jnp.ones(3))
    assert value.shape == error.shape == (2, 0, 3)
    value, error = numerical.gradient(jnp.sum)(jnp.ones((0,)))
    assert value.shape == error.shape == (0,)
    assert numerical.hessian(jnp.sum)(jnp.ones((0,))).value.shape == (0, 0)
    assert numerical.jacobian(lambda x: {})(jnp.ones(3)) == ({}, {})


@pytest.mark.parametrize("enabled", [False, True])
def test_under_strict_settings(enabled):
    """The domain of f ends within the first steps: NaN there must not stop a debugging session."""
    with (
        jax.enable_x64(enabled),
        jax.debug_nans(True),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        x = jnp.array([0.05, 1.0])
        value, error = numerical.gradient(lambda x: jnp.sum(jnp.log(x)))(x)
        assert np.all(np.abs(np.asarray(value) - [20.0, 1.0]) <= error)
        jax.jit(numerical.hessian(lambda x: jnp.sum(jnp.log(x))))(x)
        numerical.difference_quotients(jnp.log, 0.05)


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", thinned([1e-30, 1e-17, 1e-10, 1e-5, 1e5, 1e12], 3))
def test_the_error_is_honest_far_from_one(x64, dtype, size):
    """For functions on the scale of x, with their closed forms, and on the scale of 1 for small x."""
    x = jnp.asarray(size, dtype)
    cases = [
        (lambda v: x / v, -1 / size),
        (lambda v: jnp.sin(v / x), float(np.cos(1)) / size),
        (jnp.log, 1 / size),
    ]
    if size < 1:
        cases.append((lambda v: jnp.sin(v) + 3, float(np.cos(size))))
    for f, true in cases:
        found = numerical.derivative(f)(x)
        assert abs(float(found.value) - true) <= float(found.error)
        assert float(found.error) <= (1e-10 if dtype == "float64" else 2e-3) * abs(true)
