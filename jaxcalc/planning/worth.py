"""Whether to look for structure at all, from the program of f alone, before it is differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.extend.core import Jaxpr

from jaxcalc.engine.jaxprs import cost, equations
from jaxcalc.methods.bottleneck import size_of

_FOLLOWED = 1000  # equations of a loop, all steps together, up to which its steps are looked at
_FIRST_ORDER = 2  # evaluations of f that one product with a vector takes
_SECOND_ORDER = 4  # and one of the Hessian


def dense_work(jaxpr: Jaxpr, inputs: Sequence[Any], order: int) -> float:
    """Roughly the nanoseconds of the dense derivative of a program, by one vector after another."""
    n = size_of(inputs)
    products, each = (
        (n, _SECOND_ORDER) if order == 2 else (min(n, size_of(jaxpr.outvars)), _FIRST_ORDER)
    )
    return each * cost.work(jaxpr, products)


def steps_to_follow(jaxpr: Jaxpr) -> int:
    """How many equations are followed to find the structure of a program."""
    return sum(1 + _inside(eqn) for eqn in jaxpr.eqns)


def _inside(eqn: Any) -> int:
    once = sum(map(steps_to_follow, equations.programs(eqn)))
    if eqn.primitive.name != "scan":
        return once
    every = once * equations.scan(eqn).options["length"]
    # followed, its steps are written out as well; else until the pattern of its carry is found
    return 2 * every if every <= _FOLLOWED else 3 * once


def operations(jaxpr: Jaxpr) -> int:
    """How many equations of a program, and of those inside it, the compiler has work with."""
    return sum(
        (not cost.is_free(eqn)) + sum(map(operations, equations.programs(eqn))) for eqn in jaxpr.eqns
    )
