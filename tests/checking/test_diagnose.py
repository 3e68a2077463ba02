"""The doctor's machinery: what it evaluates is what JAX does, and how a diagnosis reads."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.checking.doctor.pullback import pull_back, push_forward
from jaxcalc.checking.doctor.runner import Runner
from jaxcalc.checking.doctor.tape import Tape


def run(f, *args) -> Tape:
    return Runner().start(jax.make_jaxpr(f)(*args), args)


def loop(x):
    return jax.lax.scan(lambda c, t: (c * jnp.sin(t), c + t**2), 1.5, x)


def backward_loop(x):
    carry, ys = jax.lax.scan(lambda c, t: (c + t * c, c * t), 0.5, x, reverse=True)
    return carry * jnp.sum(ys * jnp.arange(ys.size))


def branch(x):
    return jax.lax.cond(x[0] > 0, lambda x: jnp.sum(x**2), jnp.sum, x)


@jax.custom_jvp
def doubled(x):
    return jnp.sum(x**2)


@doubled.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return doubled(x), 4 * jnp.sum(x * t)


PROGRAMS = {
    "elementwise": lambda x: jnp.sum(jnp.tanh(x) * jnp.exp(x) / (1 + x**2)),
    "scan": lambda x: loop(x)[0] + jnp.sum(loop(x)[1]),
    "backward scan": backward_loop,
    "while": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: jnp.sin(y) + i, x).sum(),
    "cond": branch,
    "vmapped cond": lambda x: jax.vmap(lambda t: jax.lax.cond(t > 0.5, jnp.sin, jnp.cos, t))(x).sum(),
    "jit and remat": jax.jit(jax.checkpoint(lambda x: jnp.sum(jnp.sort(x) * jnp.arange(3)))),
    "custom_jvp": lambda x: doubled(jnp.cos(x)),
    "linear algebra": lambda x: jnp.linalg.slogdet(jnp.outer(x, x) + jnp.diag(x))[1],
    "solve": lambda x: jnp.linalg.solve(jnp.eye(3) + jnp.outer(x, x), x)[0],
    "norm and max": lambda x: jnp.linalg.norm(x) + jnp.max(x) + jax.nn.logsumexp(x),
    "indices": lambda x: x[jnp.argsort(x)][0] + x.at[1].set(3.0)[2] + jnp.cumsum(x)[1],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_record_has_the_values_and_the_gradient_of_jax(name: str, x64: None) -> None:
    f, x = PROGRAMS[name], jnp.array([0.4, 0.7, 1.1])
    tape = run(f, x)
    np.testing.assert_allclose(tape.values[tape.outputs[0]], f(x), rtol=1e-12)
    pullback = pull_back(tape, {tape.outputs[0]: jnp.ones(())})
    np.testing.assert_allclose(pullback.of_value[tape.leaves[0]], jax.grad(f)(x), rtol=1e-9, atol=1e-12)
    tangent = jnp.array([0.3, -1.0, 2.0])
    pushed = push_forward(tape, {tape.leaves[0]: tangent})[tape.outputs[0]]
    np.testing.assert_allclose(pushed, jax.jvp(f, (x,), (tangent,))[1], rtol=1e-9, atol=1e-12)


def test_a_diagnosis_is_text_html_and_plain_values() -> None:
    found = jaxcalc.diagnose(lambda x: jnp.sum(jnp.sqrt(x)), jnp.zeros(2))
    assert not found.healthy
    (finding,) = found.findings
    text = str(found)
    assert "1 error" in text
    assert f"{finding.place}: sqrt has an infinite derivative at 0" in text
    assert finding.file == __file__
    assert json.loads(json.dumps(found.to_dict()))["findings"][0]["line"] == finding.line
    assert "sqrt has an infinite" in found._repr_html_()
    healthy = jaxcalc.diagnose(jnp.sin, 1.0)
    assert healthy.healthy
    assert not healthy.findings
    assert "healthy, nothing found" in str(healthy)
    assert "healthy" in healthy._repr_html_()
