"""Cuts of a function where few numbers pass: two thin Jacobians and a product instead of a wide one.

R^1000 -> R^10 -> R^1000 has a Jacobian of 1000 x 1000, and neither direction makes it for less than
1000 passes. The parts before and after the ten numbers take ten passes each, one in reverse and the
other forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var

from jaxcalc.engine.jaxprs import cost, equations
from jaxcalc.heuristics import heuristics, prices


@dataclass(frozen=True)
class Part:
    """A piece of a program between two cuts.

    Attributes:
        equations: in order.
        inputs: the variables that come in and depend on x, in a fixed order.
        outputs: those that go out.
    """

    equations: tuple[JaxprEqn, ...]
    inputs: tuple[Var, ...]
    outputs: tuple[Any, ...]


def size_of(variables: Sequence[Any]) -> int:
    """The number of elements of all variables together."""
    return sum(prod(v.aval.shape) for v in variables)


def cut(equations_: Sequence[JaxprEqn], inputs: Sequence[Var], outputs: Sequence[Any]) -> list[Part]:
    """The parts of a program whose Jacobians, multiplied, cost least; one part where no cut pays.

    Args:
        equations_: a program that is flat: its calls are inlined.
        inputs: what it is differentiated with respect to.
        outputs: its results.
    """
    whole = Part(tuple(equations_), tuple(inputs), tuple(outputs))
    best = _best_cut(whole)
    if best is None:
        return [whole]
    before, after = best
    return [
        *cut(before.equations, before.inputs, before.outputs),
        *cut(after.equations, after.inputs, after.outputs),
    ]


def work(part: Part) -> float:
    """The estimated nanoseconds of a part's Jacobian in its better direction."""
    passes = min(size_of(part.inputs), size_of(part.outputs))
    return passes * sum(map(_work_of_one, part.equations))


def work_of_product(parts: Sequence[Part]) -> float:
    """The estimated nanoseconds of the parts' Jacobians and of their product from left to right."""
    n = size_of(parts[0].inputs)
    sizes = [(size_of(part.inputs), size_of(part.outputs)) for part in parts[1:]]
    return sum(map(work, parts)) + prices().multiply_add * n * sum(k * m for k, m in sizes)


def _work_of_one(eqn: JaxprEqn) -> float:
    """The estimated nanoseconds of an equation for one of many tangents."""
    return cost.equation_work(eqn, heuristics().products_at_once) / heuristics().products_at_once


def _best_cut(whole: Part) -> tuple[Part, Part] | None:
    n, m = size_of(whole.inputs), size_of(whole.outputs)
    total, best = heuristics().cut_must_save * work(whole), None
    times = [_work_of_one(eqn) for eqn in whole.equations]
    done, everything = 0.0, sum(times)
    for place, passing in _passing(whole):
        done += times[place - 1]
        width = size_of(passing)
        if not width or width >= min(n, m):
            continue
        product = prices().multiply_add * n * width * m
        split = min(n, width) * done + min(width, m) * (everything - done) + product
        if split < total:
            total, best = split, (place, passing)
    if best is None:
        return None
    place, passing = best
    return (
        Part(whole.equations[:place], whole.inputs, passing),
        Part(whole.equations[place:], passing, whole.outputs),
    )


def _passing(whole: Part) -> list[tuple[int, tuple[Var, ...]]]:
    """For each place between two equations, the variables that pass it and depend on the inputs."""
    last: dict[Any, int] = {}
    for place, eqn in enumerate(whole.equations):
        last.update((v, place) for v in eqn.invars if not isinstance(v, Literal))
    last.update((v, len(whole.equations)) for v in whole.outputs if not isinstance(v, Literal))
    live = {v: None for v in whole.inputs if v in last}
    found = []
    for place, eqn in enumerate(whole.equations[:-1], 1):
        if any(v in live for v in eqn.invars if not isinstance(v, Literal)):
            live.update((v, None) for v in eqn.outvars if last.get(v, -1) >= place)
        live = {v: None for v in live if last[v] >= place}
        found.append((place, tuple(live)))
    return found


def inlined(closed: ClosedJaxpr) -> tuple[list[JaxprEqn], dict[Var, Any], list[Any]]:
    """The equations of a program with its calls inlined, its constants, and its outputs."""
    constants: dict[Var, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    flat: list[JaxprEqn] = []
    names: dict[Any, Any] = {}

    def name(v: Any) -> Any:
        while not isinstance(v, Literal) and v in names:
            v = names[v]
        return v

    def inline(equations_: Sequence[JaxprEqn]) -> None:
        for eqn in equations_:
            inner = equations.called(eqn)
            if inner is None:
                flat.append(eqn.replace(invars=[name(v) for v in eqn.invars]))
                continue
            fresh = _renamed(inner)
            constants.update(zip(fresh.jaxpr.constvars, fresh.consts, strict=True))
            names.update(zip(fresh.jaxpr.invars, eqn.invars, strict=True))
            inline(fresh.jaxpr.eqns)
            names.update(zip(eqn.outvars, fresh.jaxpr.outvars, strict=True))

    inline(closed.jaxpr.eqns)
    return flat, constants, [name(v) for v in closed.jaxpr.outvars]


def _renamed(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same program with variables of its own: one that is called twice is inlined twice."""
    new: dict[Any, Any] = {}

    def fresh(v: Any) -> Any:
        if isinstance(v, Literal):
            return v
        if v not in new:
            new[v] = Var(v.aval)
        return new[v]

    jaxpr = closed.jaxpr
    renamed = jaxpr.replace(
        constvars=[fresh(v) for v in jaxpr.constvars],
        invars=[fresh(v) for v in jaxpr.invars],
        eqns=[
            eqn.replace(invars=[fresh(v) for v in eqn.invars], outvars=[fresh(v) for v in eqn.outvars])
            for eqn in jaxpr.eqns
        ],
        outvars=[fresh(v) for v in jaxpr.outvars],
    )
    return ClosedJaxpr(renamed, closed.consts)
