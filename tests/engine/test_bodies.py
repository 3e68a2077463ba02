"""Contracts with JAX: the programs inside an equation, read and replaced."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import PartitionSpec

from jaxcalc.engine.jaxprs import bodies, equations

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


def test_an_equation_for_each_operand():
    f = lambda x: jax.tree.leaves(jax.device_put([x, 2 * x]))  # noqa: E731
    parts = bodies.one_by_one(equation("device_put", f))
    assert [len(part.invars) for part in parts] == [1, 1]
    for part, x in zip(parts, (X, 3 * X), strict=True):
        np.testing.assert_array_equal(equations.bind(part, [x])[0], x)
    barrier = equation("optimization_barrier", lambda x: lax.optimization_barrier((x, 2 * x)))
    assert len(bodies.one_by_one(barrier)) == 2
    product = equation("mul", lambda x: x * (x + 1))
    assert bodies.one_by_one(product) == [product]


def test_the_solvers_of_a_solve():
    def solve(x, **options):
        return lax.custom_linear_solve(lambda v: x * v, x, lambda _, b: b / x, **options)

    eqn = equation("custom_linear_solve", lambda x: solve(x, symmetric=True))
    assert bodies.solvers(eqn).has_transpose
    assert bodies.solvers(eqn).constants == slice(0, len(eqn.invars) - 1)
    assert not bodies.solvers(equation("custom_linear_solve", solve)).has_transpose


def test_the_files_of_a_rule():
    ruled = jax.custom_jvp(jnp.sin)
    ruled.defjvp(lambda xs, ts: (jnp.sin(*xs), jnp.cos(*xs) * ts[0]))
    jaxs = str(Path(jax.__file__).parent)
    of_function, of_rule = bodies.files(equation("custom_jvp_call", ruled))
    assert of_function.startswith(jaxs)
    assert of_rule == __file__
    (relu,) = bodies.bodies(equation("jit", jax.jit(jax.nn.relu)))
    while relu.jaxpr.eqns[0].primitive.name != "custom_jvp_call":
        (relu,) = bodies.bodies(relu.jaxpr.eqns[0])
    assert all(file.startswith(jaxs) for file in bodies.files(relu.jaxpr.eqns[0]))


def test_shard_map():
    f = jax.shard_map(lambda x: jnp.sin(x) * lax.psum(x, "i"), mesh=MESH, in_specs=SPEC, out_specs=SPEC)
    eqn = equation("shard_map", f)
    mapped = bodies.shard_map(eqn)
    assert len(bodies.bodies(eqn)) == 1
    run = jax.shard_map(lambda *xs: tuple(jaxpr_as_fun(mapped.body)(*xs)), **mapped.options)
    np.testing.assert_allclose(run(X)[0], f(X))
