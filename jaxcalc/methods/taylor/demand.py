"""What a program must compute: which values are needed, and which of them with their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from jaxcalc.engine.jaxprs import dataflow, equations


class Demand(NamedTuple):
    """An equation that must run, and what of it.

    Attributes:
        eqn: the equation.
        moving: for each output, whether its derivatives are needed and not just its value.
    """

    eqn: JaxprEqn
    moving: list[bool]


def demanded(jaxpr: Jaxpr, moving: Sequence[bool]) -> list[Demand]:
    """The equations that the outputs need, in order.

    `moving` says of which outputs the derivatives are needed. A comparison, an index or a seed needs
    the values that it is made from, but no derivatives of them.
    """
    outputs = [v for v in jaxpr.outvars if not isinstance(v, Literal)]
    valued: set[Var] = set(outputs)
    series: set[Var] = {
        v for v, on in zip(jaxpr.outvars, moving, strict=True) if on and not isinstance(v, Literal)
    }
    found: list[Demand] = []
    for eqn in reversed(jaxpr.eqns):
        flags = [v in series and equations.is_inexact(v.aval) for v in eqn.outvars]
        if not (any(flags) or any(v in valued for v in eqn.outvars) or eqn.effects):
            continue
        inputs = [v for v in eqn.invars if not isinstance(v, Literal)]
        valued.update(inputs)
        if any(flags):
            series.update(v for v in inputs if equations.is_inexact(v.aval))
        found.append(Demand(eqn, flags))
    return found[::-1]


def reached(jaxpr: Jaxpr) -> list[bool]:
    """For each output, whether an input leads to it."""
    every = [True] * len(jaxpr.invars)
    return dataflow.forward(jaxpr, every, lambda eqn, _: [True] * len(eqn.outvars))
