"""Which primitives of a linear program see a tangent, those inside its loops and branches included."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.linearize.trace import LinearMap, linearize
from jaxcalc.engine.walk.program import Slot, outputs_depend


def linear_program(f: Callable[..., Any], args: Sequence[Any], way: LinearMap) -> Any:
    """The program of the derivative of the inexact outputs of f (of their squares, for a Hessian)."""

    def call(leaves):
        outputs = [y for y in jax.tree.leaves(f(*leaves)) if jnp.issubdtype(y.dtype, jnp.inexact)]
        if way == "hessian":
            outputs = [sum(jnp.sum(jnp.abs(y) ** 2) for y in outputs)]
        return outputs, None

    return linearize(lambda inputs: (call, list(inputs)), list(args), way).program


def seeing_a_tangent(program: Any) -> set[str]:
    found: set[str] = set()
    for step in program.tangent:
        flags = [isinstance(x, Slot) and x.is_tangent for x in step.inputs]
        if any(flags):
            found |= _of_equation(step.eqn, flags)
    return found


def _of_equation(eqn: JaxprEqn, flags: list[bool]) -> set[str]:
    found = {eqn.primitive.name}
    for body, marks in _bodies(eqn, flags):
        found |= _of_jaxpr(body, marks)
    return found


def _bodies(eqn: JaxprEqn, flags: list[bool]) -> list[tuple[Jaxpr, list[bool]]]:
    outs = outputs_depend(eqn, flags)
    match eqn.primitive.name:
        case "scan":
            scan = equations.scan(eqn)
            xs = flags[scan.consts + scan.carry :]
            return [(scan.body.jaxpr, [*flags[: scan.consts], *outs[: scan.carry], *xs])]
        case "while":
            loop = equations.while_loop(eqn)
            first = loop.condition_consts + loop.body_consts
            return [(loop.body.jaxpr, [*flags[loop.condition_consts : first], *outs])]
        case "cond":
            return [(branch.jaxpr, flags[1:]) for branch in equations.branches(eqn)]
    inner = equations.called(eqn)
    return [] if inner is None else [(inner.jaxpr, flags)]


def _of_jaxpr(jaxpr: Jaxpr, flags: Sequence[bool]) -> set[str]:
    marked = {v for v, on in zip(jaxpr.invars, flags, strict=True) if on}
    found: set[str] = set()
    for eqn in jaxpr.eqns:
        marks = [not isinstance(v, Literal) and v in marked for v in eqn.invars]
        if any(marks):
            found |= _of_equation(eqn, marks)
            marked.update(
                v for v, on in zip(eqn.outvars, outputs_depend(eqn, marks), strict=True) if on
            )
    return found


def primitives(jaxpr: Jaxpr) -> set[str]:
    """Every primitive of a program, those of the programs inside it included."""
    found = {eqn.primitive.name for eqn in jaxpr.eqns}
    return found.union(*(primitives(inner) for eqn in jaxpr.eqns for inner in equations.programs(eqn)))
