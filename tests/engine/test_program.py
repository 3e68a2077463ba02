"""A linear program flattened: calls inlined, static steps folded, two passes told apart."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.jaxprs.fold import Static
from jaxcalc.engine.walk.program import Slot, flatten, jaxpr_depends


def program_of(f, x, prune=True):
    """The program of f's tangent, with x before the tangent."""
    closed = jax.make_jaxpr(lambda x, t: jax.jvp(f, (x,), (t,)))(x, x)
    program = flatten(closed, 1)
    if prune:
        program.prune(program.outputs[1:])
    return program


def names(steps):
    return [step.eqn.primitive.name for step in steps]


X = jnp.arange(1.0, 5.0)


def test_two_passes():
    program = program_of(lambda x: jnp.sin(x) * x, X)
    assert "cos" in names(program.primal)
    assert "mul" in names(program.tangent)
    assert not {"sin", "cos"} & set(names(program.tangent))
    assert all(slot.is_tangent for step in program.tangent for slot in step.outputs)
    assert not any(slot.is_tangent for step in program.primal for slot in step.outputs)


def test_residuals_are_what_the_tangent_pass_reads():
    program = program_of(lambda x: jnp.sin(x) * 2.0, X)
    (residual,) = program.residuals(program.outputs[1:])
    (cosine,) = [s.outputs[0] for s in program.primal if s.eqn.primitive.name == "cos"]
    assert residual is cosine


def test_calls_are_inlined():
    @jax.jit
    def inner(x):
        return jax.checkpoint(jnp.sin)(x) * 2

    program = program_of(lambda x: inner(jax.jit(jnp.exp)(x)), X)
    steps = {*names(program.primal), *names(program.tangent)}
    assert not any("jit" in name or "remat" in name or "checkpoint" in name for name in steps)


def test_static_steps_are_folded():
    program = program_of(lambda x: x * (jnp.arange(4) // 2 + 1), X)
    assert names(program.tangent) == ["mul"]
    assert names(program.primal) == []
    factor = next(a for a in program.tangent[0].inputs if isinstance(a, Static))
    np.testing.assert_array_equal(factor.array, [1, 1, 2, 2])


def test_dead_steps_are_dropped():
    def f(x):
        jnp.exp(x)
        return x * 3

    assert "exp" in names(program_of(f, X, prune=False).primal)
    program = program_of(f, X)
    assert names(program.primal) == []
    assert names(program.tangent) == ["mul"]


def test_steps_with_an_effect_stay():
    def f(x):
        jax.debug.callback(lambda: None)
        return x * 2

    assert "debug_callback" in names(program_of(f, X).primal)


def test_an_output_without_a_tangent_is_not_one():
    program = program_of(lambda x: jnp.floor(x), X)  # noqa: PLW0108
    output = program.outputs[1]
    assert isinstance(output, Static) or not output.is_tangent


def test_constants_are_static_and_tracers_are_captured():
    weights = np.arange(4.0, dtype=np.float32)
    assert not program_of(lambda x: x * weights, X).captured

    seen = []

    def outer(w):
        program = program_of(lambda x: x * w, X)
        seen.append([value is w for _, value in program.captured])
        return w

    jax.jit(outer)(weights)
    assert seen == [[True]]


def test_a_known_branch_is_taken():
    program = program_of(lambda x: lax.cond(jnp.arange(3)[1] > 0, jnp.sin, jnp.exp, x), X)
    steps = {*names(program.primal), *names(program.tangent)}
    assert "cos" in steps
    assert not {"exp", "cond"} & steps


def test_an_unknown_branch_is_not():
    assert "cond" in names(program_of(lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.exp, x), X).tangent)


def test_rows_counted_by_a_known_column_become_a_batch():
    def f(x):
        return x[jnp.arange(4), jnp.argmax(x, 1)]

    program = program_of(f, jnp.ones((4, 3)))
    (gather,) = [s for s in program.tangent if s.eqn.primitive.name == "gather"]
    numbers = gather.eqn.params["dimension_numbers"]
    assert numbers.operand_batching_dims == (0,)
    assert gather.inputs[1].aval.shape == (4, 1)


def test_dependence_through_loops():
    def body(carry, x):
        a, b = carry
        return (a + x, b * 2), b

    closed = jax.make_jaxpr(lambda a, b, x: lax.scan(body, (a, b), x))(1.0, 2.0, X)
    assert jaxpr_depends(closed.jaxpr, [False, False, True]) == [True, False, False]
    assert jaxpr_depends(closed.jaxpr, [False, True, False]) == [False, True, True]

    def swap(c):
        return c[1], c[0] + 1, c[2] + 1

    closed = jax.make_jaxpr(lambda a, b: lax.while_loop(lambda c: c[2] < 3, swap, (a, b, 0)))(1.0, 2.0)
    assert jaxpr_depends(closed.jaxpr, [True, False]) == [True, True, False]

    branch = jax.make_jaxpr(lambda p, a, b: lax.cond(p, lambda a, b: (a, b), lambda a, b: (b, b), a, b))
    closed = branch(True, 1.0, 2.0)
    assert jaxpr_depends(closed.jaxpr, [False, True, False]) == [True, False]


def test_slots_are_told_apart_by_identity():
    aval = jax.make_jaxpr(jnp.sin)(1.0).jaxpr.invars[0].aval
    assert len({Slot(aval, is_tangent=True), Slot(aval, is_tangent=True)}) == 2
