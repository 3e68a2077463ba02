"""The derivative rules of a user's functions as programs: what they do, whether they stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import bodies, equations
from jaxcalc.engine.jaxprs.varying import shape_of

# what JAX raises where it has no derivative of f in a direction; an error of f's own may be one too
REFUSALS = (TypeError, ValueError, NotImplementedError, AssertionError)
_DEEPEST = 3  # rules within rules that are looked at


def pushed_forward(eqn: JaxprEqn, moving: Sequence[int]) -> ClosedJaxpr:
    """From the operands of a call, and tangents of those that move, to the tangents of its results."""

    def pushed(operands: list[Any], tangents: list[Any]) -> Any:
        call, chosen = _of_moving(eqn, operands, moving)
        return jax.linearize(call, chosen)[1](tangents)

    shapes = [shape_of(v.aval) for v in eqn.invars]
    return jax.make_jaxpr(pushed)(shapes, [shapes[i] for i in moving])


def pulled_back(eqn: JaxprEqn, moving: Sequence[int]) -> ClosedJaxpr:
    """From the operands of a call, and cotangents of its results, to the cotangents of what moves."""

    def pulled(operands: list[Any]) -> Any:
        call, chosen = _of_moving(eqn, operands, moving)
        results, pull = jax.vjp(call, chosen)
        return pull(results)

    return jax.make_jaxpr(pulled)([shape_of(v.aval) for v in eqn.invars])


def _of_moving(eqn: JaxprEqn, operands: list[Any], moving: Sequence[int]) -> Any:
    """The call as a function of the operands that move, and these."""

    def call(chosen: list[Any]) -> Any:
        every = list(operands)
        for i, x in zip(moving, chosen, strict=True):
            every[i] = x
        return equations.bind(eqn, every)

    return call, [operands[i] for i in moving]


def stand_alone(jaxpr: Jaxpr) -> bool:
    """Whether no rule of the user's that a program calls reads a value of the run that made it.

    Such a rule, defined where f runs, closes over what f computes. Without one, a program of f has
    the derivatives of f; with one it has those of that run alone.
    """
    return _stand_alone(jaxpr, ())


def _stand_alone(jaxpr: Jaxpr, within: tuple[str, ...]) -> bool:
    return all(_stands_alone(eqn, within) for eqn in jaxpr.eqns)


def _stands_alone(eqn: JaxprEqn, within: tuple[str, ...]) -> bool:
    """The same of an equation, `within` the rules of functions that are defined at these lines."""
    if not bodies.is_rule_of_user(eqn):
        return all(_stand_alone(inner, within) for inner in equations.programs(eqn))
    line = bodies.defined_at(eqn)
    if line and line in within:  # a rule that calls its own function, as forward rules do
        return True
    moving = [i for i, v in enumerate(eqn.invars) if equations.is_inexact(v.aval)]
    trace = pushed_forward if eqn.primitive.name == "custom_jvp_call" else pulled_back
    try:
        program = trace(eqn, moving)
    except REFUSALS:  # it reads what f computes, or is no rule
        return False
    if any(isinstance(x, jax.core.Tracer) for x in program.consts) or len(within) == _DEEPEST:
        return False
    return _stand_alone(program.jaxpr, (*within, line))
