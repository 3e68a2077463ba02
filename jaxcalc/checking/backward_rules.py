"""Which `jax.custom_vjp` rules in f are not linear in their cotangents, and why: found by tracing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine.custom_vjp.forward_mode import REVERSE_ONLY
from jaxcalc.engine.jaxprs import bodies, equations
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.source import source_line
from jaxcalc.engine.jaxprs.varying import shape_of
from jaxcalc.engine.rules.registry import Context
from jaxcalc.engine.tangents.entries import TooDenseError
from jaxcalc.engine.walk.interpret import identity, walk
from jaxcalc.engine.walk.linearity import NotLinearError
from jaxcalc.engine.walk.program import flatten


def not_linear(jaxpr: Jaxpr) -> list[str]:
    """For each backward rule of a program that is not linear, who it is and what makes it so.

    Cost: one trace of each rule.
    """
    told = (_reason(eqn) for eqn in _calls(jaxpr))
    return list(dict.fromkeys(reason for reason in told if reason))


def _calls(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """The calls of functions with a backward rule, outermost first."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == REVERSE_ONLY:
            yield eqn
        for inner in equations.programs(eqn):
            yield from _calls(inner)


def _reason(eqn: JaxprEqn) -> str:
    moving = [i for i, v in enumerate(eqn.invars) if equations.is_inexact(v.aval)]
    smooth = [k for k, v in enumerate(eqn.outvars) if equations.is_inexact(v.aval)]

    def pulled(operands: list[Any], cotangents: list[Any]) -> Any:
        def call(chosen: list[Any]) -> list[Any]:
            every = list(operands)
            for i, x in zip(moving, chosen, strict=True):
                every[i] = x
            outputs = equations.bind(eqn, every)
            return [outputs[k] for k in smooth]

        return jax.vjp(call, [operands[i] for i in moving])[1](cotangents)[0]

    shapes = [shape_of(v.aval) for v in eqn.invars]
    cotangents = [shape_of(eqn.outvars[k].aval) for k in smooth]
    try:
        _require_linear(jax.make_jaxpr(pulled)(shapes, cotangents), len(cotangents))
    except NotLinearError as error:
        return f"the backward rule of {bodies.name(eqn) or 'a function'}{_at(eqn)}: {error}"
    except (*REFUSALS, TooDenseError):  # it reads what is not known here, or is too large to follow
        pass
    return ""


def _require_linear(closed: ClosedJaxpr, count: int) -> None:
    """Refuse a program that is not linear in its last inputs, naming the equation that is not."""
    program = flatten(closed, count)
    program.prune(program.outputs)
    residuals = program.residuals(program.outputs)

    def walked(values: list[Any]) -> None:
        known = dict(zip(residuals, values, strict=True)) | identity(program.tangents)
        walk(Context("jaxcalc.check", False), program.tangent, known, program.outputs)

    jax.make_jaxpr(walked)([shape_of(slot.aval) for slot in residuals])


def _at(eqn: JaxprEqn) -> str:
    line = source_line(eqn)
    return f" ({line})" if line else ""
