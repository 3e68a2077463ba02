"""How large the intermediate values of a program are."""

from math import prod
from typing import Any

from jaxcalc.engine.jaxprs import equations


def largest_value(jaxpr: Any) -> int:
    """The number of elements of the largest value that a program makes, inner programs included."""
    sizes = [prod(getattr(v.aval, "shape", ())) for eqn in jaxpr.eqns for v in eqn.outvars]
    inner = [largest_value(program) for eqn in jaxpr.eqns for program in equations.programs(eqn)]
    return max([*sizes, *inner, 0])
