"""The fewest digits that f carries on the way from its arguments to its output, or its derivative does.

A network in bfloat16 takes and returns float32, and its values tell no more than bfloat16 holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Var

from jaxcalc.engine.jaxprs import equations

MOST = 112  # bits: no dtype has a longer mantissa


def mantissa_bits(jaxpr: Jaxpr, active: Sequence[bool]) -> int:
    """The shortest mantissa among the values that depend on active inputs and that reach an output."""
    moving = {v for v, on in zip(jaxpr.invars, active, strict=True) if on}
    depends = [eqn for eqn in jaxpr.eqns if _carries_on(eqn, moving)]
    needed = {v for v in jaxpr.outvars if isinstance(v, Var)}
    fewest = MOST
    for eqn in reversed(depends):
        if needed.isdisjoint(eqn.outvars):
            continue
        needed.update(v for v in eqn.invars if isinstance(v, Var))
        fewest = min(fewest, _bits(eqn, moving))
    return fewest


def _carries_on(eqn: JaxprEqn, moving: set[Var]) -> bool:
    """Whether an equation depends on what moves; its results do so then."""
    if not any(isinstance(v, Var) and v in moving for v in eqn.invars):
        return False
    moving.update(v for v in eqn.outvars if equations.is_inexact(v.aval))
    return True


def _bits(eqn: JaxprEqn, moving: set[Var]) -> int:
    results = [
        int(jnp.finfo(equations.output(eqn, i).dtype).nmant)
        for i, v in enumerate(eqn.outvars)
        if v in moving
    ]
    if eqn.primitive.name == "reduce_precision":
        results.append(equations.kept_bits(eqn))
    called = equations.called(eqn)
    if called is not None:
        live = [isinstance(v, Var) and v in moving for v in eqn.invars]
        return min([*results, mantissa_bits(called.jaxpr, live)])
    inside = [
        mantissa_bits(program, [equations.is_inexact(v.aval) for v in program.invars])
        for program in equations.programs(eqn)
    ]
    return min([*results, *inside], default=MOST)
