"""What has a transpose: against `jax.linear_transpose` itself."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcalc.engine.custom_vjp.materialized import transposed
from jaxcalc.engine.jaxprs.transposable import obstacle, transposes_scans

X = jnp.array([0.5, 1.5, -2.0])
M = jnp.arange(9.0).reshape(3, 3)


@jax.custom_jvp
def ruled(x):
    return 3 * x


ruled.defjvp(lambda primals, tangents: (ruled(*primals), 3 * tangents[0]))
reverse_ruled = jax.custom_vjp(lambda x: 3 * x)
reverse_ruled.defvjp(lambda x: (3 * x, None), lambda _, g: (3 * g,))

LINEAR = {
    "arithmetic": lambda t: 2 * t - t / 4 + t[::-1] * X,
    "nothing": lambda t: jnp.zeros(3),
    "matrix": lambda t: M @ t,
    "triangular solve": lambda t: lax.linalg.triangular_solve(
        M + jnp.eye(3), t[:, None], left_side=True
    ),
    "solve": lambda t: jnp.linalg.solve(M + jnp.eye(3), t),
    "scatter": jnp.zeros(4).at[jnp.array([0, 0, 2])].add,
    "gather": lambda t: t[jnp.array([0, 0, 2])],
    "slices": lambda t: lax.dynamic_slice(t, (jnp.int32(1),), (2,)) + t[:2],
    "cumulative sum": jnp.cumsum,
    "scan": lambda t: lax.scan(lambda c, a: (c + a[0] * a[1], c), 0.0, (t, X))[1],
    "scan whose carry moves late": lambda t: lax.scan(
        lambda c, _: ((c[1], t), c[0] * X), (jnp.zeros(3), jnp.zeros(3)), None, 3
    )[1],
    "branch": lambda t: lax.cond(X[0] > 0, lambda t: 2 * t, lambda t: t, t),
    "select": lambda t: jnp.where(X > 0, t, 0),
    "jit": jax.jit(lambda t: 2 * t),
    "rules": lambda t: ruled(t) + reverse_ruled(t),
    "rules in scan": lambda t: lax.scan(lambda c, a: (c + ruled(a), reverse_ruled(c)), 0.0, t)[1],
    "printing": lambda t: (jax.debug.print("{}", t), 2 * t)[1],
    "of a loop without it": lambda t: t * lax.while_loop(lambda c: c < 3, lambda c: c + 1, X[0]),
}
NOT = {
    "what stands beside it": (
        lambda t: lax.custom_linear_solve(
            lambda v: M @ v + v, t, lambda _, b: b + jax.device_put([t, X])[1], symmetric=True
        ),
        "custom_linear_solve",
    ),
    "what a solver takes": (
        lambda t: lax.custom_linear_solve(
            lambda v: 2 * v, t, lambda _, b: (b + t - t) / 2, symmetric=True
        ),
        "custom_linear_solve",
    ),
    "a solve without a transpose": (
        lambda t: lax.custom_linear_solve(lambda v: 2 * v, t, lambda _, b: b / 2),
        "custom_linear_solve",
    ),
    "square": (lambda t: t * t, "mul"),
    "quotient": (lambda t: X / t, "div"),
    "sine": (jnp.sin, "sin"),
    "clip": (lambda t: jnp.clip(t, -1, 1), "max"),
    "comparison": (lambda t: jnp.where(t > 0, t, 0), "gt"),
    "determinant": (lambda t: lax.linalg.lu(jnp.diag(t) + M)[0], "lu"),
    "its rounding": (lambda t: t * t.astype(int), "convert_element_type"),
    "loop": (
        lambda t: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1]), (0, t))[1],
        "while",
    ),
    "in scan": (lambda t: lax.scan(lambda c, a: (c + a * a, c), 0.0, t)[1], "mul"),
    "late in scan": (
        lambda t: lax.scan(lambda c, _: ((c[1], t), c[0] * c[0]), (X, X), None, 3)[1],
        "mul",
    ),
    "in a branch": (lambda t: lax.cond(X[0] > 0, lambda t: t * t, lambda t: t, t), "mul"),
    "which branch": (lambda t: lax.cond(t[0] > 0, lambda t: 2 * t, lambda t: t, t), "gt"),
    "callback": (
        lambda t: jax.pure_callback(lambda t: 2 * t, t, t, vmap_method="sequential"),
        "pure_callback",
    ),
}


def program(f):
    return jax.make_jaxpr(lambda ts: [f(ts[0])])([X])


@pytest.mark.parametrize("name", LINEAR)
def test_linear_programs_are_transposed(name):
    closed = program(LINEAR[name])
    if "scan" in name and not transposes_scans():
        eqn = obstacle(closed.jaxpr, [True])
        assert eqn is not None
        assert eqn.primitive.name == "scan"
        return
    assert obstacle(closed.jaxpr, [True]) is None
    shape = closed.out_avals[0].shape
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    matrix, (found,) = jax.jit(lambda w: (jax.jacrev(LINEAR[name])(X), transposed(closed, [w])))(
        weights
    )
    np.testing.assert_allclose(found, np.tensordot(weights, matrix, len(shape)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NOT)
def test_what_keeps_a_program_from_being_transposed(name):
    f, primitive = NOT[name]
    if "in scan" in name and not transposes_scans():
        primitive = "scan"
    found = obstacle(program(f).jaxpr, [True])
    assert found is not None
    assert found.primitive.name == primitive
    with pytest.raises(Exception):  # noqa: B017, PT011 (JAX raises errors of many kinds)
        jax.linear_transpose(partial(f), X)(f(X))


def test_only_marked_inputs_count():
    closed = jax.make_jaxpr(lambda t, x: t * jnp.sin(x))(X, X)
    assert obstacle(closed.jaxpr, [True, False]) is None
    assert obstacle(closed.jaxpr, [False, True]).primitive.name == "sin"
    assert obstacle(closed.jaxpr, [True, True]).primitive.name == "sin"
