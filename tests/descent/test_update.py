"""The equation: against closed forms and Optax, on any pytree and dtype."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import jaxcalc
from jaxcalc import descent

TREE = {"w": jnp.arange(6.0).reshape(2, 3), "layers": [(jnp.ones(3), jnp.float32(2.0)), ()]}


def test_is_the_equation_on_numbers_arrays_and_pytrees():
    gradients = jax.tree.map(lambda p: p + 1, TREE)
    new = descent.update(TREE, gradients, 0.25)
    assert jax.tree.structure(new) == jax.tree.structure(TREE)
    expected = jax.tree.map(lambda p: 0.75 * np.asarray(p) - 0.25, TREE)
    jax.tree.map(np.testing.assert_array_equal, new, expected)
    assert float(descent.update(1.0, 0.5, 1)) == 0.5


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64", "complex64"])
def test_keeps_the_dtype_whatever_the_rate_and_the_gradient(x64, dtype):
    parameters = jnp.ones(3, dtype)
    for rate in (0.5, np.float64(0.5), jnp.float32(0.5), jnp.bfloat16(0.5), 1):
        for gradient_dtype in ("bfloat16", "float64"):
            new = descent.update(parameters, jnp.ones(3, gradient_dtype), rate)
            assert new.dtype == jnp.dtype(dtype)
            assert not new.weak_type
            np.testing.assert_array_equal(new, np.full(3, 1 - float(rate)))


def test_strict_promotion_and_rank_modes():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for dtype in (jnp.bfloat16, jnp.float32):
            new = descent.update(jnp.ones((2, 2), dtype), jnp.ones((2, 2)), jnp.float32(0.5))
            assert new.dtype == dtype


@given(
    p=st.floats(-1e3, 1e3, width=32), g=st.floats(-1e3, 1e3, width=32), rate=st.floats(0, 2, width=32)
)
@settings(max_examples=60, deadline=None)
def test_equals_optax_to_the_last_bit_op_by_op(p, g, rate):
    # outside jit, each operation is rounded: the bits follow from the IEEE standard alone
    parameters, gradients = jnp.float32(p), jnp.float32(g)
    changes, _ = optax.sgd(rate).update(gradients, optax.sgd(rate).init(parameters))
    expected = optax.apply_updates(parameters, changes)
    assert descent.update(parameters, gradients, rate) == expected
    change = np.float32(rate) * np.float32(g)
    numpy = np.float32(p) - change
    # XLA takes numbers below the smallest normal one for zero
    assume(all(x == 0 or abs(x) >= np.finfo(np.float32).tiny for x in (p, g, rate, change, numpy)))
    assert descent.update(parameters, gradients, rate) == numpy


def test_rate_may_be_traced_batched_and_differentiated():
    new = jax.jit(descent.update)(TREE, TREE, 0.5)
    jax.tree.map(np.testing.assert_array_equal, new, jax.tree.map(lambda p: np.asarray(p) / 2, TREE))
    rates = jnp.array([0.0, 0.5, 1.0])
    batched = jax.vmap(descent.update, (None, None, 0))(2.0, 3.0, rates)
    np.testing.assert_allclose(batched, [2.0, 0.5, -1.0])
    assert jax.grad(descent.update, argnums=2)(2.0, 3.0, 0.5) == -3.0
    loop = jax.lax.fori_loop(0, 3, lambda i, p: descent.update(p, p, 0.5), jnp.ones(2))
    np.testing.assert_array_equal(loop, [0.125, 0.125])


def test_complex_parameters_go_down():
    loss = lambda z: jnp.abs(z) ** 2  # noqa: E731
    z = jnp.complex64(1 + 2j)
    gradient = jax.grad(loss)(z)
    new = descent.update(z, gradient, 0.1)
    np.testing.assert_allclose(new, 0.8 * (1 + 2j), rtol=1e-6)  # d|z|^2: x -> x - 0.1 * 2 x
    assert loss(new) < loss(z)
    assert descent.update(z, jaxcalc.gradient(loss)(z), 0.1) == new
    changes, _ = optax.sgd(0.1).update(jnp.conj(gradient), optax.sgd(0.1).init(z))
    assert optax.apply_updates(z, changes) == new


def test_works_under_debug_nans():
    with jax.debug_nans(True):
        assert descent.update(1.0, 1.0, 0.5) == 0.5


@pytest.mark.parametrize(
    ("parameters", "gradients", "rate", "error", "text"),
    [
        (
            {"n": [jnp.arange(3)]},
            {"n": [jnp.ones(3)]},
            0.1,
            TypeError,
            r"parameters\['n'\]\[0\] is int32",
        ),
        (True, 1.0, 0.1, TypeError, r"parameters is bool"),
        ({"w": "x"}, {"w": 1.0}, 0.1, TypeError, r"parameters\['w'\] is 'x' of type str"),
        ({"w": 1.0}, {"v": 1.0}, 0.1, ValueError, r"no gradient for parameters\['w'\]"),
        ({"w": 1.0}, {"w": 1.0, "v": 1.0}, 0.1, ValueError, r"no parameter for gradients\['v'\]"),
        ([1.0], (1.0,), 0.1, ValueError, r"structure of the parameters"),
        ({"w": jnp.ones(3)}, {"w": jnp.ones(2)}, 0.1, ValueError, r"gradients\['w'\] has shape \(2,\)"),
        ({"w": jnp.ones(3)}, {"w": 1.0}, 0.1, ValueError, r"gradients\['w'\] has shape \(\)"),
        (1.0, 1, 0.1, TypeError, r"gradients is int32"),
        (1.0, 1j, 0.1, TypeError, r"a real parameter has a real gradient"),
        (1.0, 1.0, 1j, TypeError, r"learning_rate must be a real scalar, got 1j"),
        (1.0, 1.0, "fast", TypeError, r"learning_rate must be a real scalar, got 'fast'"),
        (1.0, 1.0, jnp.ones(2), TypeError, r"got float32 of shape \(2,\)"),
        (1.0, 1.0, jnp.array(True), TypeError, r"got bool"),
    ],
)
def test_errors(parameters, gradients, rate, error, text):
    with pytest.raises(error, match=rf"^jaxcalc\.descent\.update: .*{text}"):
        descent.update(parameters, gradients, rate)


def test_a_python_bool_is_no_learning_rate():
    with pytest.raises(TypeError, match="learning_rate must be a real scalar, got True"):
        descent.update(1.0, 1.0, True)
