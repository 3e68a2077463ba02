"""Marks that go through programs, forward or back, through their loops and their branches."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.engine.jaxprs import dataflow, equations

X = jnp.ones(3)


def leads(jaxpr, inputs):
    """Which outputs any marked input leads to."""

    def of_equation(eqn, flags):
        if eqn.primitive.name == "scan":
            scan = equations.scan(eqn)
            carry = slice(scan.consts, scan.consts + scan.carry)
            return dataflow.repeated(lambda marks: leads(scan.body.jaxpr, marks), flags, carry)
        if eqn.primitive.name == "cond":
            return dataflow.any_of(leads(b.jaxpr, flags[1:]) for b in equations.branches(eqn))
        return [True] * len(eqn.outvars)

    return dataflow.forward(jaxpr, inputs, of_equation)


def test_marks_go_from_operands_to_results():
    program = jax.make_jaxpr(lambda x, y: (jnp.sin(x), y * 2, x + y, 3.0))(X, X).jaxpr
    assert leads(program, [True, False]) == [True, False, True, False]
    assert leads(program, [False, False]) == [False] * 4


def test_a_loop_is_followed_until_no_more_of_its_carry_is_marked():
    def body(carry, _):
        a, b, c, d = carry
        return (a, a + b, b + c, d), c  # a mark takes three steps to c

    run = lambda a, b, c, d: lax.scan(body, (a, b, c, d), None, length=2)  # noqa: E731
    program = jax.make_jaxpr(run)(X, X, X, X).jaxpr
    assert leads(program, [True, False, False, False]) == [True, True, True, False, True]
    assert leads(program, [False, False, False, True]) == [False, False, False, True, False]


def test_a_mark_of_any_branch_counts():
    run = lambda p, x, y: lax.cond(p, lambda x, y: (x, x), lambda x, y: (y, x), x, y)  # noqa: E731
    program = jax.make_jaxpr(run)(True, X, X).jaxpr
    assert leads(program, [False, False, True]) == [True, False]
    assert leads(program, [False, True, False]) == [True, True]


def test_an_effect_is_asked_about_where_that_is_wanted():
    def run(x):
        jax.debug.callback(lambda: None)
        ref = jax.new_ref(jnp.zeros(3))
        return ref[...] + x

    program = jax.make_jaxpr(run)(X).jaxpr
    assert any(eqn.effects for eqn in program.eqns)
    assert dataflow.forward(program, [False], dataflow.all_results) == [False]
    assert dataflow.forward(program, [False], dataflow.all_results, with_effects=True) == [True]


def test_marks_go_back_from_results_to_operands():
    def run(x, y):
        a, b = jnp.sin(x), jnp.cos(y)
        return a * 2, a + b, 3.0

    program = jax.make_jaxpr(run)(X, X).jaxpr

    def needed(outputs, **options):
        found = dataflow.backward(program, outputs, dataflow.all_operands, **options)
        return {
            eqn.primitive.name for eqn, flags in zip(program.eqns, found, strict=True) if any(flags)
        }

    assert needed([True, False, False]) == {"sin", "mul"}
    assert needed([False, True, False]) == {"sin", "cos", "add"}
    assert needed([False, False, True]) == set()
    assert needed([True, True, True], with_effects=True) == {"sin", "cos", "mul", "add"}
