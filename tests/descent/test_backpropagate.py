"""Backpropagation: both gradients of a network, against formulas written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import dtypes

from jaxcalc import descent


def network_loss(parameters, inputs, targets):
    hidden = jnp.tanh(inputs @ parameters["w"] + parameters["b"])
    return 0.5 * jnp.sum((hidden @ parameters["v"] - targets) ** 2)


def by_hand(parameters, inputs, targets):
    """The backward sweep in numpy, one line a layer."""
    hidden = np.tanh(inputs @ parameters["w"] + parameters["b"])
    residual = hidden @ parameters["v"] - targets
    at_hidden = (residual @ parameters["v"].T) * (1 - hidden**2)
    gradients = {
        "w": inputs.T @ at_hidden,
        "b": at_hidden.sum(0),
        "v": hidden.T @ residual,
    }
    return 0.5 * np.sum(residual**2), gradients, at_hidden @ parameters["w"].T


@pytest.fixture
def problem(x64, rng):
    parameters = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4), "v": rng.normal(size=(4, 2))}
    return parameters, rng.normal(size=(5, 3)), rng.normal(size=(5, 2))


@pytest.mark.parametrize("compiled", [False, True])
def test_network_by_hand(problem, compiled):
    sweep = descent.backpropagate(network_loss)
    result = (jax.jit(sweep) if compiled else sweep)(*problem)
    expected = by_hand(*problem)
    assert jax.tree.structure(result) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), result, expected)


def test_under_vmap_each_example_has_its_own_gradients(problem):
    parameters, inputs, targets = problem
    rows = jax.vmap(descent.backpropagate(network_loss), (None, 0, 0))
    values, by_parameters, by_inputs = rows(parameters, inputs[:, None], targets[:, None])
    value, gradients, input_gradients = by_hand(*problem)
    np.testing.assert_allclose(values.sum(), value, rtol=1e-12)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a.sum(0), b, rtol=1e-12), by_parameters, gradients
    )
    np.testing.assert_allclose(by_inputs[:, 0], input_gradients, rtol=1e-12)


def test_nested_gives_second_derivatives(x64):
    loss = lambda w, x: w**3 * x**2  # noqa: E731
    sweep = descent.backpropagate(loss)
    second = jax.grad(lambda w: sweep(w, 5.0)[2])(2.0)  # d/dw of dL/dx = 2 w^3 x
    assert second == 6 * 2.0**2 * 5.0


def test_integer_inputs_get_float0_zeros():
    def loss(table, inputs):
        return jnp.sum(table[inputs["tokens"]] * inputs["scale"])

    inputs = {"tokens": jnp.array([0, 2, 2]), "scale": jnp.array([1.0, 2.0, 3.0])}
    value, by_table, by_inputs = descent.backpropagate(loss)(jnp.array([1.0, 5.0, 7.0]), inputs)
    assert value == 36.0
    np.testing.assert_array_equal(by_table, [1.0, 0.0, 5.0])
    np.testing.assert_array_equal(by_inputs["scale"], [1.0, 7.0, 7.0])
    assert by_inputs["tokens"].dtype == dtypes.float0
    assert by_inputs["tokens"].shape == (3,)


def test_aux_and_keywords():
    def loss(w, x, *, power):
        return (w * x) ** power, {"prediction": w * x}

    (value, aux), by_w, by_x = descent.backpropagate(loss, has_aux=True)(2.0, 3.0, power=2)
    assert (value, aux["prediction"], by_w, by_x) == (36.0, 6.0, 36.0, 24.0)


def test_keeps_dtypes_and_feeds_update():
    loss = lambda w, x: jnp.sum((w * x).astype(jnp.float32))  # noqa: E731
    w, x = jnp.ones(3, jnp.bfloat16), jnp.ones(3, jnp.float16)
    _, by_w, by_x = descent.backpropagate(loss)(w, x)
    assert (by_w.dtype, by_x.dtype) == (jnp.bfloat16, jnp.float16)
    assert descent.update(w, by_w, 0.5).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("loss", "parameters", "inputs", "text"),
    [
        (lambda w, x: w * x, {"n": 1}, 1.0, r"parameters\['n'\] is int32"),
        (lambda w, x: w * x, jnp.ones(3), 1.0, r"maps .*float32\[3\].*reduce its output"),
        (lambda w, x: w * x, 1j, 1.0, r"returns complex64, but a loss is a real number"),
        (lambda w, x: jnp.argmax(w), jnp.ones(3), 1.0, r"returns int32, but a loss is a real number"),
        (lambda w, x: w, 1.0, {"text": "hello"}, r"inputs\['text'\] is 'hello'"),
    ],
)
def test_errors(loss, parameters, inputs, text):
    with pytest.raises(TypeError, match=rf"^jaxcalc\.descent\.backpropagate: .*{text}"):
        descent.backpropagate(loss)(parameters, inputs)


def test_what_is_no_function_is_refused_at_once():
    with pytest.raises(TypeError, match=r"^jaxcalc\.descent\.backpropagate: expected a function"):
        descent.backpropagate(3.0)


def test_aux_must_be_a_pair():
    with pytest.raises(TypeError, match="must return a pair"):
        descent.backpropagate(lambda w, x: w * x, has_aux=True)(1.0, 2.0)


def test_the_inputs_are_an_argument():
    run = descent.backpropagate(lambda w, x: jnp.sum(w * x))
    for args, kwargs in (((jnp.ones(2),), {}), ((), {}), ((), {"w": 1.0, "x": 1.0})):
        with pytest.raises(
            TypeError,
            match=r"^jaxcalc.descent.backpropagate: .* backpropagate\(loss\)\(parameters, inputs\)\. "
            r"For the gradient .* use jaxcalc.gradient\(loss\)\.",
        ):
            run(*args, **kwargs)
    assert float(run(parameters=2.0, inputs=3.0)[1]) == 3.0


def test_a_loop_of_unknown_length_has_no_backward_sweep():
    def loss(w, x):
        return jax.lax.while_loop(lambda c: c < 9, lambda c: c * w, x)

    with pytest.raises(ValueError, match=r"^jaxcalc.descent.backpropagate: loss has no reverse mode"):
        descent.backpropagate(loss)(2.0, 1.0)
