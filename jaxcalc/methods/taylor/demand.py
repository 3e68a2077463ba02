"""What a program must compute: which values are needed, and which of them with their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn

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

    def inexact(variables: Sequence[Any]) -> list[bool]:
        return [equations.is_inexact(v.aval) for v in variables]

    every = [True] * len(jaxpr.outvars)
    valued = dataflow.backward(jaxpr, every, dataflow.all_operands, with_effects=True)
    starts = [on and able for on, able in zip(moving, inexact(jaxpr.outvars), strict=True)]
    series = dataflow.backward(jaxpr, starts, lambda eqn, _: inexact(eqn.invars))
    each = zip(jaxpr.eqns, valued, series, strict=True)
    return [Demand(eqn, flags) for eqn, needed, flags in each if any(needed) or eqn.effects]


def reached(jaxpr: Jaxpr) -> list[bool]:
    """For each output, whether an input leads to it."""
    every = [True] * len(jaxpr.invars)
    return dataflow.forward(jaxpr, every, dataflow.all_results)
