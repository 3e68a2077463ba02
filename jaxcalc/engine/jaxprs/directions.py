"""Which of forward and reverse mode JAX allows for a program, found from its jaxpr."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jax.extend.core import Jaxpr, JaxprEqn, Var

from jaxcalc.call.options import Direction
from jaxcalc.engine.jaxprs import bodies, dataflow, equations
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS, pushed_forward
from jaxcalc.engine.jaxprs.transposable import obstacle

Obstacles = dict[Direction, JaxprEqn]


def directions_allowed(jaxpr: Jaxpr, differentiated: Sequence[Var]) -> set[Direction]:
    """The directions that JAX can differentiate a traced function in.

    A `custom_vjp` function has no forward mode, and a `while_loop` no reverse mode, but only where
    they depend on the inputs that the derivative is taken with respect to.
    """
    both: set[Direction] = {"forward", "reverse"}
    return both - obstacles(jaxpr, differentiated).keys()


def obstacles(jaxpr: Jaxpr, differentiated: Sequence[Var]) -> Obstacles:
    """For each direction that JAX does not allow, the first equation that has no derivative in it."""
    chosen = set(differentiated)
    found: Obstacles = {}
    _walk(jaxpr, [v in chosen for v in jaxpr.invars], found)
    return found


def depends(jaxpr: Jaxpr, inputs: Sequence[bool]) -> list[bool]:
    """For each output, whether it depends smoothly on one of the inputs that are marked."""
    return _walk(jaxpr, inputs, {})


def _walk(jaxpr: Jaxpr, active_inputs: Sequence[bool], forbidden: Obstacles) -> list[bool]:
    """Collect what the active equations forbid; returns which outputs depend on an active input."""

    def of_equation(eqn: JaxprEqn, live: list[bool]) -> list[bool]:
        if eqn.primitive.name == "stop_gradient":
            return [False]
        outputs = _equation(eqn, live, forbidden)
        return [on and equations.is_inexact(v.aval) for v, on in zip(eqn.outvars, outputs, strict=True)]

    return dataflow.forward(jaxpr, active_inputs, of_equation)


def _equation(eqn: JaxprEqn, live: list[bool], forbidden: Obstacles) -> list[bool]:
    outputs = [True] * len(eqn.outvars)
    inner = equations.called(eqn)
    match eqn.primitive.name:
        case "custom_vjp_call" | "custom_vjp_call_jaxpr":
            forbidden.setdefault("forward", eqn)
        case "custom_jvp_call":
            _rule(eqn, live, forbidden)
        case "custom_linear_solve":  # nor is the solver: it may loop, its transpose is known
            if not bodies.solvers(eqn).has_transpose:
                forbidden.setdefault("reverse", eqn)
            matvec, place, _ = equations.linear_solve(eqn)
            _walk(matvec.jaxpr, [*live[place], *outputs], forbidden)
        case "while":
            outputs = _while(eqn, live, forbidden)
        case "scan":
            body, consts, carry, _ = equations.scan(eqn)
            step = partial(_walk, body.jaxpr, forbidden=forbidden)
            outputs = dataflow.repeated(step, live, slice(consts, consts + carry))
        case "cond":
            outputs = dataflow.any_of(
                _walk(branch.jaxpr, live[1:], forbidden) for branch in equations.branches(eqn)
            )
        case _ if inner is not None:
            outputs = _walk(inner.jaxpr, live, forbidden)
        case _:
            for program in equations.programs(eqn):
                inexact = [equations.is_inexact(v.aval) for v in program.invars]
                _walk(program, inexact, forbidden)
    return outputs


def _rule(eqn: JaxprEqn, live: list[bool], forbidden: Obstacles) -> None:
    """What the rule of a `custom_jvp` function, rather than its body, forbids.

    What it does to the tangents may have no transpose: a loop of unknown length, an iterative solver
    whose tolerance depends on them, a callback. The rules of JAX's own functions do no such thing.
    """
    if "reverse" in forbidden or not bodies.is_rule_of_user(eqn):
        return
    moving = [i for i, on in enumerate(live) if on and equations.is_inexact(eqn.invars[i].aval)]
    try:
        linear = pushed_forward(eqn, moving).jaxpr
    except REFUSALS:  # it has no forward mode, or reads what f computes: the derivative will tell
        return
    count = len(linear.invars)
    marks = [n >= count - len(moving) for n in range(count)]
    if obstacle(linear, marks) is not None:
        forbidden["reverse"] = eqn


def _while(eqn: JaxprEqn, live: list[bool], forbidden: Obstacles) -> list[bool]:
    _, condition_consts, body, body_consts = equations.while_loop(eqn)
    inside = live[condition_consts:]
    if not any(inside):  # the number of steps alone depends on an active input
        return [False] * len(eqn.outvars)
    forbidden.setdefault("reverse", eqn)
    step = partial(_walk, body.jaxpr, forbidden=forbidden)
    return dataflow.repeated(step, inside, slice(body_consts, len(inside)))
