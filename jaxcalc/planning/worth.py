"""Whether to look for structure at all, from the program of f alone, before it is differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from jax.extend.core import Jaxpr

from jaxcalc.call.request import Query
from jaxcalc.engine.jaxprs import cost, equations
from jaxcalc.heuristics import heuristics
from jaxcalc.methods.bottleneck import size_of, work_of_product
from jaxcalc.methods.chain import one_dtype, parts_of
from jaxcalc.methods.mixed_shares import may_share, shares
from jaxcalc.methods.problem import Problem


def may_pay(problem: Problem, least: float) -> bool:
    """Whether the dense derivative takes `least` nanoseconds for each equation that is followed."""
    jaxpr = problem.jaxpr
    return _dense_work(jaxpr, problem.variables, problem.kind) >= least * _steps_to_follow(jaxpr)


def composed_work(problem: Problem, work_of: Callable[[int], float]) -> float:
    """The estimated nanoseconds of the Jacobian made of several; infinite where none is.

    `work_of` gives the estimated nanoseconds of so many products with a vector.
    """
    if len(problem.allowed) < 2 or problem.options.mode != "auto":
        return inf
    found = [inf]
    if problem.options.memory_limit is None and problem.program is not None:
        parts = parts_of(problem.program, problem.variables)
        found += [work_of_product(parts)] if len(parts) > 1 else []
    leaves, output = problem.leaves, problem.output
    if may_share(leaves, output) and one_dtype([*leaves, *output]) is not None:
        both = shares(problem.jaxpr, problem.variables, len(output))
        found += [sum(work_of(share.products) for share in both)] if both else []
    return min(found)


def _dense_work(jaxpr: Jaxpr, inputs: Sequence[Any], kind: Query) -> float:
    """Roughly the nanoseconds of the dense derivative of a program, by one vector after another."""
    n = size_of(inputs)
    is_second = kind == "hessian"
    h = heuristics()
    each = h.evaluations_of_a_second_product if is_second else h.evaluations_of_a_product
    products = n if is_second else min(n, size_of(jaxpr.outvars))
    return each * cost.work(jaxpr, products)


def _steps_to_follow(jaxpr: Jaxpr) -> int:
    """How many equations are followed to find the structure of a program."""
    return sum(1 + _inside(eqn) for eqn in jaxpr.eqns)


def _inside(eqn: Any) -> int:
    once = sum(map(_steps_to_follow, equations.programs(eqn)))
    if eqn.primitive.name != "scan":
        return once
    every = once * equations.scan(eqn).options["length"]
    # followed, its steps are written out as well; else until the pattern of its carry is found
    return 2 * every if every <= heuristics().followed_equations else 3 * once


def operations(jaxpr: Jaxpr) -> int:
    """How many equations of a program, and of those inside it, the compiler has work with."""
    return sum(
        (not cost.is_free(eqn)) + sum(map(operations, equations.programs(eqn))) for eqn in jaxpr.eqns
    )
