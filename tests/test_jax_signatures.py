"""Calls as JAX's own signatures have them, and options of the wrong type."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import descent
from tests import public_functions

X = np.array([1.0, 2.0, 3.0], np.float32)
PAIRS = {
    "gradient": jax.grad,
    "value_and_gradient": jax.value_and_grad,
    "jacobian": jax.jacfwd,
    "hessian": jax.hessian,
}


def loss(x, y=2.0):
    return jnp.sum(jnp.sin(x) * y), {"y": y}


def assert_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert jnp.result_type(a) == jnp.result_type(b)
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_positional_and_keyword_arguments_of_jax(name):
    ours, theirs = getattr(jaxcalc, name), PAIRS[name]
    for args, kwargs in (
        ((loss, 0, True), {}),
        ((loss, (0, 1), True, False), {}),
        ((), {"fun": loss, "argnums": 1, "has_aux": True}),
        ((), {"fun": loss, "has_aux": True}),
    ):
        assert_equal(ours(*args, **kwargs)(X, 3.0), jax.jit(theirs(*args, **kwargs))(X, 3.0))


def test_the_order_of_the_positional_arguments_is_that_of_jax():
    for name, theirs in PAIRS.items():
        parameters = list(inspect.signature(theirs).parameters)
        for ours in [name, {"jacobian": "value_and_jacobian"}.get(name, name)]:
            listed = inspect.signature(getattr(jaxcalc, ours)).parameters.values()
            positional = [p.name for p in listed if p.kind is p.POSITIONAL_OR_KEYWORD]
            assert positional[0] == "f"
            shared = [p for p in parameters[1:] if p != "reduce_axes"]
            assert positional[1 : 1 + len(shared)] == shared


def test_the_function_is_given_once():
    for given in ({"f": jnp.sum}, {}):
        with pytest.raises(TypeError, match=r"^jaxcalc.gradient: the function is given twice"):
            jaxcalc.gradient(*([] if given else [jnp.sum]), fun=jnp.sum, **given)


@pytest.mark.parametrize("name", ["gradient", "value_and_gradient"])
def test_reduce_axes_is_gone(name):
    ours, theirs = getattr(jaxcalc, name), PAIRS[name]
    assert_equal(ours(jnp.sum, reduce_axes=())(X), theirs(jnp.sum, reduce_axes=())(X))
    with pytest.raises(NotImplementedError):
        theirs(jnp.sum, reduce_axes=("batch",))(X)
    with pytest.raises(NotImplementedError, match=rf"^jaxcalc.{name}: reduce_axes is gone"):
        ours(jnp.sum, reduce_axes=("batch",))


TRANSFORMATIONS = [
    *public_functions.TRANSFORMATIONS,
    lambda f, **options: jaxcalc.partial_derivative(f, "x", **options),
]


@pytest.mark.parametrize(
    "option", ["has_aux", "holomorphic", "allow_int", "strict", "progress", "diagonal"]
)
def test_options_that_are_true_or_false(option):
    tried = 0
    for transformation in TRANSFORMATIONS:
        known = inspect.signature(transformation).parameters
        if option not in known and "options" not in known:
            continue
        if "options" in known and option != "has_aux":
            continue
        for wrong in ("yes", "x", 2, None, [True]):
            tried += 1
            with pytest.raises(TypeError, match=rf"{option} must be True or False, got"):
                transformation(jnp.sum, **{option: wrong})
        transformation(jnp.sum, **{option: np.bool_(False)})
    assert tried
    for look in public_functions.LOOKING:
        if option in inspect.signature(look).parameters:
            with pytest.raises(TypeError, match=rf"{option} must be True or False, got 'yes'"):
                look(jnp.sum, X, **{option: "yes"})


def test_options_of_descent():
    def square(x):
        return jnp.sum(x**2)

    with pytest.raises(TypeError, match=r"^jaxcalc.descent.minimize: callback must be a function"):
        descent.minimize(square, X, optimizer=0.1, steps=1, callback=True)
    with pytest.raises(TypeError, match=r"^jaxcalc.descent.minimize: progress must be True or False"):
        descent.minimize(square, X, optimizer=0.1, steps=1, progress="bar")
    for make in (
        lambda **o: descent.make_step(square, 0.1, **o),
        lambda **o: descent.backpropagate(square, **o),
    ):
        with pytest.raises(TypeError, match=r"has_aux must be True or False"):
            make(has_aux="aux")


def test_integer_outputs_are_as_in_jacfwd():
    def f(x):
        return {"values": x**2, "order": jnp.argsort(x)}

    expected = jax.jacfwd(f)(X)
    assert_equal(jaxcalc.jacobian(f)(X), expected)
    assert_equal(jax.jit(jaxcalc.jacobian(f))(X), jax.jit(jax.jacfwd(f))(X))
    value, slope = jaxcalc.value_and_jacobian(f)(X)
    assert_equal(slope, expected)
    assert_equal(value, f(X))
    with pytest.raises(TypeError, match=r"output\['order'\] is int32"):
        jaxcalc.jacobian(f, mode="reverse")(X)


@pytest.mark.parametrize("transform", [lambda g: g, jax.jit])
def test_mixed_precision_is_that_of_jacfwd(transform):
    def few(p):  # fewer outputs than inputs: in reverse
        return jnp.sum(p["h"].astype("float32")) * p["f"].sum(), p["h"].sum() * 2

    def many(p):
        return jnp.outer(p["h"].astype("float32"), p["f"]) ** 2, p["h"]

    def blocked(p):  # samples that do not mix, through its structure under jit
        return jnp.tanh(p["h"].astype("float32") @ jnp.ones((8, 2))) * p["f"].sum()

    p = {"h": np.ones(3, np.float16), "f": np.ones(20, np.float32)}
    batch = {"h": np.ones((32, 8), np.float16), "f": np.ones(4, np.float32)}
    for f, at in ((few, p), (many, p), (blocked, batch)):
        assert_equal(transform(jaxcalc.jacobian(f))(at), transform(jax.jacfwd(f))(at))
    assert_equal(transform(jaxcalc.jacobian(few, mode="reverse"))(p), transform(jax.jacrev(few))(p))


def test_a_real_derivative_by_complex_numbers_stays_complex():
    z = jnp.array([1 + 2j, 3 - 1j])
    f = lambda z: jnp.sum(jnp.abs(z) ** 2)  # noqa: E731
    assert_equal(jaxcalc.jacobian(f)(z), jax.jacrev(f)(z))
