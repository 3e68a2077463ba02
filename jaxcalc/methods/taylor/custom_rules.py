"""Whether a `jax.custom_jvp` function has one rule, whatever the order.

Nested `jax.jvp` applies the rule of such a function once: the next one differentiates the value that
the rule returned. That value is the function itself as a rule, `return f(x), ...`, and so each order
meets the same rule. It may also be an expression of its own, as in a straight-through estimator; then
the derivatives of one quantity along the nested directions differ, and no Taylor series has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.signatures import IncomparableError, signature

_LEVELS = 2  # rules of rules that are compared; they come from the same lines of Python


def is_one_rule(eqn: JaxprEqn, moving: Sequence[bool], order: int) -> bool:
    """Whether the rules that `order` nested `jax.jvp` meet in this call are the same.

    Args:
        eqn: a call of a `jax.custom_jvp` function.
        moving: which operands have derivatives.
        order: 2 or more.
    """
    rule = _rule(eqn, moving)
    again = _called_again(rule.jaxpr, rule.jaxpr.invars[: len(moving)])
    levels = min(order - 1, _LEVELS)
    return again is not None and _same_rules(rule, _rule(again, moving), levels)


def holds_custom_rules(eqn: JaxprEqn) -> bool:
    """Whether a program of this equation calls functions with rules of their own."""
    return any(
        inner.primitive.name in {"custom_jvp_call", "custom_vjp_call"} or holds_custom_rules(inner)
        for program in equations.programs(eqn)
        for inner in program.eqns
    )


def _rule(eqn: JaxprEqn, moving: Sequence[bool]) -> ClosedJaxpr:
    """The rule as a program of all operands and of the tangents of those that move."""
    places = [i for i, on in enumerate(moving) if on]
    inexact = [equations.is_inexact(v.aval) for v in eqn.outvars]

    def run(operands: list[jax.Array], tangents: list[jax.Array]) -> tuple[list[jax.Array], ...]:
        def at(*points: jax.Array) -> list[jax.Array]:
            arguments = list(operands)
            for i, point in zip(places, points, strict=True):
                arguments[i] = point
            return [y for y, on in zip(equations.bind(eqn, arguments), inexact, strict=True) if on]

        return jax.jvp(at, [operands[i] for i in places], tangents)

    avals: list[Any] = [v.aval for v in eqn.invars]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    return jax.make_jaxpr(run)(shapes, [shapes[i] for i in places])


def _called_again(jaxpr: Jaxpr, operands: Sequence[Var]) -> JaxprEqn | None:
    """The call of a custom_jvp function, of just these operands, that makes the first outputs."""
    for eqn in jaxpr.eqns:
        made = [v for v in eqn.outvars if equations.is_inexact(v.aval)]
        if not made or made != list(jaxpr.outvars[: len(made)]):
            continue
        if eqn.primitive.name == "custom_jvp_call":
            return eqn if list(eqn.invars) == list(operands) else None
        inner = equations.called(eqn)
        if inner is not None and all(v in eqn.invars for v in operands):
            places = [list(eqn.invars).index(v) for v in operands]
            return _called_again(inner.jaxpr, [inner.jaxpr.invars[i] for i in places])
    return None


def _same_rules(a: ClosedJaxpr, b: ClosedJaxpr, levels: int) -> bool:
    """Whether two rules are the same program, those of the functions that they call included."""
    try:
        if signature(a) != signature(b):
            return False
    except IncomparableError:
        return False
    pairs = zip(_ruled_calls(a.jaxpr), _ruled_calls(b.jaxpr), strict=True) if levels > 1 else ()
    return all(_same_rules(_full_rule(x), _full_rule(y), levels - 1) for x, y in pairs)


def _ruled_calls(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "custom_jvp_call":
            yield eqn
        else:
            for program in equations.programs(eqn):
                yield from _ruled_calls(program)


def _full_rule(eqn: JaxprEqn) -> ClosedJaxpr:
    return _rule(eqn, [equations.is_inexact(v.aval) for v in eqn.invars])
