"""After a divergence, a minimum says which diagnosis finds the cause, and that diagnosis finds it."""

import jax
import jax.numpy as jnp
import pytest

import jaxcalc
from jaxcalc import descent


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
