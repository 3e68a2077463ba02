"""Programs evaluated anew with other functions in the place of a primitive."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcalc.engine.jaxprs.rewrite import Rewriting

X = jnp.array([0.5, 1.5])
PROGRAMS = {
    "plain": lambda f, x: f(x) * x,
    "jit": lambda f, x: jax.jit(lambda y: f(y) * 2)(x),
    "checkpoint": lambda f, x: jax.checkpoint(lambda y: f(y) * 2)(x),
    "scan": lambda f, x: lax.scan(lambda c, a: (f(c) + a, c), x, jnp.stack([x, x]))[1],
    "while": lambda f, x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, f(c[1]) * x), (0, x))[
        1
    ],
    "cond": lambda f, x: lax.cond(x[0] > 0, f, lambda y: y, x),
    "nested": lambda f, x: lax.map(jax.jit(lambda y: lax.cond(y > 1, f, lambda y: y, y)), x),
    "not at all": lambda f, x: lax.map(jnp.cos, x),
    "literals": lambda f, x: (f(x), 1.0, jnp.float32(2)),
}


def halved(x):
    return x / 2


def test_the_program_is_not_touched_where_nothing_is_replaced():
    closed = jax.make_jaxpr(lambda x: PROGRAMS["nested"](jnp.sin, x))(X)
    again = jax.make_jaxpr(lambda x: Rewriting({}).evaluate(closed, [x]))(X)
    assert again.jaxpr.eqns[0].params["jaxpr"] is closed.jaxpr.eqns[0].params["jaxpr"]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_replaced_everywhere(name, wrap):
    program = PROGRAMS[name]
    closed = jax.make_jaxpr(lambda x: program(jnp.sin, x))(X)
    rewriting = Rewriting({"sin": lambda eqn, operands: [halved(*operands)]})
    assert rewriting.holds(closed.jaxpr) == (name != "not at all")
    found = wrap(lambda x: rewriting.evaluate(closed, [x]))(X)
    for ours, expected in zip(found, jax.tree.leaves(program(halved, X)), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_body_that_is_called_often_is_rewritten_once():
    seen = []
    block = jax.jit(lambda x: jnp.sin(x) * 2)
    closed = jax.make_jaxpr(lambda x: block(block(block(x))))(X)

    def handler(eqn, operands):
        seen.append(1)
        return [halved(*operands)]

    (found,) = Rewriting({"sin": handler}).evaluate(closed, [X])
    np.testing.assert_allclose(found, X)
    assert len(seen) == 1
