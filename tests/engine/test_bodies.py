"""Contracts with JAX: the programs inside an equation, read and replaced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import PartitionSpec

from jaxcalc.engine import bodies, equations

X = jnp.array([0.5, 1.5])
MESH = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
SPEC = PartitionSpec("i")
EQUATIONS = {
    "jit": (jax.jit(jnp.sin), 1),
    "remat2": (jax.checkpoint(lambda x: jnp.sin(x) * 2), 1),
    "scan": (lambda x: lax.scan(lambda c, a: (c * a, c), x[0], x)[1], 1),
    "while": (lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: c + x, x), 1),
    "cond": (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), 2),
    "custom_linear_solve": (
        lambda x: lax.custom_linear_solve(lambda v: x * v, x, lambda _, b: b / x, symmetric=True),
        1,
    ),
    "sin": (jnp.sin, 0),
}


def equation(name, f):
    return next(e for e in jax.make_jaxpr(f)(X).jaxpr.eqns if e.primitive.name == name)


@pytest.mark.parametrize("name", EQUATIONS)
def test_bodies_can_be_read_and_put_back(name):
    f, count = EQUATIONS[name]
    closed = jax.make_jaxpr(f)(X)
    eqn = equation(name, f)
    found = bodies.bodies(eqn)
    assert len(found) == count
    if count:
        # traced anew, the bodies are other objects of the same meaning
        new = [jax.make_jaxpr(jaxpr_as_fun(body))(*body.in_avals) for body in found]
        replaced = bodies.with_bodies(eqn, new)
        eqns = [replaced if e is eqn else e for e in closed.jaxpr.eqns]
        again = closed.replace(jaxpr=closed.jaxpr.replace(eqns=eqns))
        np.testing.assert_allclose(jaxpr_as_fun(again)(X)[0], f(X), rtol=1e-6)


def test_another_body_is_what_runs():
    f = lambda x: lax.scan(lambda c, a: (c + a, c), x[0], x)[0]  # noqa: E731
    eqn = equation("scan", f)
    other = jax.make_jaxpr(lambda c, a: (c * a, c))(X[0], X[0])
    zero = jnp.float32(2.0)
    found = equations.bind(bodies.with_bodies(eqn, [other]), [zero, X])
    np.testing.assert_allclose(found[0], 2.0 * 0.5 * 1.5)


def test_shard_map():
    f = jax.shard_map(lambda x: jnp.sin(x) * lax.psum(x, "i"), mesh=MESH, in_specs=SPEC, out_specs=SPEC)
    eqn = equation("shard_map", f)
    mapped = bodies.shard_map(eqn)
    assert len(bodies.bodies(eqn)) == 1
    run = jax.shard_map(lambda *xs: tuple(jaxpr_as_fun(mapped.body)(*xs)), **mapped.options)
    np.testing.assert_allclose(run(X)[0], f(X))
