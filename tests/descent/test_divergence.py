"""After a divergence, a minimum says which diagnosis finds the cause, and that diagnosis finds it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import descent
from jaxcalc.descent.programs import gradient_norm


def root(w):
    # its slope is infinite at 2, where the third step lands
    return jnp.where(w > 2.5, w, jnp.sqrt(jnp.maximum(w - 2.0, 0.0)))


def exponential(w):
    # the first step goes from 0 to 90, where exp overflows
    return jnp.exp(w) - 91.0 * w


def logarithm(w):
    return jnp.log(w - 1.5) + w


@pytest.mark.parametrize(
    ("loss", "start", "kind", "operation"),
    [
        (root, 5.0, "derivative", "sqrt"),
        (logarithm, 5.0, "value", "log"),
        (jnp.log, -1.0, "value", "log"),
        (exponential, 0.0, "value", "exp"),
    ],
)
def test_the_advice_leads_to_the_line(loss, start, kind, operation):
    found = descent.minimize(loss, start, optimizer=1.0, steps=10)
    assert found.reason.startswith("diverged")
    assert "jaxcalc.diagnose(loss, parameters, ...)" in found.advice
    assert f"the {kind} NaN or infinite" in found.advice
    assert found.advice in str(found)
    parameters = found.parameters
    if "one step on" in found.advice:
        parameters = descent.update(parameters, jax.grad(loss)(parameters), 1.0)
    else:
        assert "these parameters" in found.advice
    diagnosis = jaxcalc.diagnose(loss, parameters)
    assert (kind, operation) in {(x.kind, x.operation) for x in diagnosis.findings}
    assert not diagnosis.healthy


def test_there_is_no_advice_where_nothing_went_wrong():
    found = descent.minimize(lambda w: w**2, 1.0, optimizer=0.1, steps=3)
    assert found.advice == ""
    assert "diagnose" not in str(found)


def test_a_large_finite_gradient_is_no_divergence():
    """Its square overflows, and so did the norm."""
    found = descent.minimize(lambda p: 1e20 * p**2 / 2, 1.0, optimizer=1e-20, steps=3)
    assert found.reason == "steps"
    np.testing.assert_allclose(found.history.gradient_norm[0], 1e20)


@pytest.mark.parametrize("jitted", [False, True])
def test_the_norm_is_finite_where_it_can_be_written(jitted):
    norm = jax.jit(gradient_norm) if jitted else gradient_norm
    large = {"a": jnp.full((3, 2), 1e20), "b": jnp.zeros(0), "c": jnp.array(-2e25)}
    np.testing.assert_allclose(norm(large), np.hypot(np.sqrt(6) * 1e20, 2e25), rtol=1e-6)
    np.testing.assert_allclose(norm([jnp.array([3e30 + 4e30j])]), 5e30, rtol=1e-6)
    mixed = [jnp.full(3, 6e4, jnp.float16), jnp.array(1e30)]
    np.testing.assert_allclose(norm(mixed), 1e30, rtol=1e-6)
    assert norm({}) == norm([jnp.zeros(3)]) == 0.0
    assert np.isinf(norm([jnp.full(4, 3e38)]))  # 6e38 cannot be written
    assert np.isinf(norm([jnp.array([1.0, jnp.inf])]))
    assert np.isnan(norm([jnp.array([1.0, jnp.nan])]))
