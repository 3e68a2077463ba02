"""What a program costs, from its jaxpr alone, in nanoseconds of a small CPU.

XLA fuses elementwise operations and moves into loops over the elements: what counts is the arithmetic,
and each array that is written and read because something that cannot be fused needs it. The figures are
fitted to the measurements of `benchmarks.calibration`, which prints how far off they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.traits import having, values
from jaxcalc.heuristics import prices

_RENAMED = having("renames")  # the same array in memory
_FREE = _RENAMED | {"broadcast_in_dim", "iota"}
_MOVES = having("moves")
_FUNCTIONS: dict[str, float] = values("nanoseconds")
_FACTORIZATIONS = having("factorizes")
_UNFUSED = _FACTORIZATIONS | having("unfused")


def work(jaxpr: Jaxpr, copies: int = 1) -> float:
    """The estimated time of one run; loops count their length where it is known.

    `copies` is for how many tangents at once a linear program runs, as under `jax.vmap`.
    """
    return steps_work(jaxpr.eqns, jaxpr.outvars, copies)


def steps_work(steps: Sequence[JaxprEqn], results: Sequence[Any], copies: int = 1) -> float:
    """The estimated time of equations in order, of which `results` are written to memory."""
    read = {v for v in results if not isinstance(v, Literal)}
    total = 0.0
    for eqn in reversed(steps):
        total += equation_work(eqn, copies)
        written = sum(_size(v) for v in eqn.outvars if v in read)
        if _is_unfused(eqn) or (written and eqn.primitive.name in _RENAMED):
            read.update(v for v in eqn.invars if not isinstance(v, Literal))
        elif written:
            total += prices().fused_kernel + copies * prices().traffic * written
    return total


def equation_work(eqn: JaxprEqn, copies: int = 1) -> float:
    """The estimated time of one equation, its results not counted where they may be fused away."""
    name = eqn.primitive.name
    size = sum(map(_size, eqn.outvars))
    bodies = equations.programs(eqn)
    if name.startswith("scatter"):
        return prices().kernel + copies * prices().scatter * _size(eqn.invars[-1])
    if bodies:
        return _programs_work(eqn, bodies, copies)
    if _is_unfused(eqn):
        return prices().kernel + copies * (_unfused_work(eqn, size) + prices().traffic * size)
    if name.startswith(("reduce", "arg")):
        each = prices().element + prices().move
        return prices().operation + copies * each * max(size, _size(eqn.invars[0]))
    if name in _FREE:
        return 0.0
    each = prices().element if copies == 1 else prices().copied
    element = prices().move if name in _MOVES else each + _FUNCTIONS.get(name, 0.0)
    return prices().operation + copies * element * size


def _programs_work(eqn: JaxprEqn, bodies: Sequence[Jaxpr], copies: int) -> float:
    match eqn.primitive.name:
        case "scan":
            times = equations.scan(eqn).options["length"]
        case "while":
            times = prices().unknown_length
        case "cond":
            return max(work(body, copies) for body in bodies)
        case _:  # a call, whose operations are fused with those around it
            return sum(steps_work(body.eqns, (), copies) for body in bodies)
    return times * sum(work(body, copies) for body in bodies)


def _unfused_work(eqn: JaxprEqn, size: int) -> float:
    """The arithmetic of one operation that is not fused with others."""
    name = eqn.primitive.name
    first = equations.operand(eqn)
    if name == "dot_general":
        summed = prod(first.shape[a] for a in equations.dot_general(eqn).contracted[0])
        short = prices().short_product / max(1, summed) ** 2
        return size * summed * min(prices().shortest_product, prices().multiply_add + short)
    if name == "conv_general_dilated":
        return size * prices().tap * equations.kernel_size(eqn)
    if name == "gather":
        return prices().gather * size
    if name == "sort":
        return prices().comparison * size
    if name in _FACTORIZATIONS:
        order = first.shape[-1]
        largest = max([_size(v) for v in (*eqn.invars, *eqn.outvars)], default=0)
        return prices().cubic * order * largest
    return prices().running_sum * size


def copying(elements: int) -> float:
    """The estimated time of writing so many elements once more."""
    return prices().traffic * elements


def is_free(eqn: JaxprEqn) -> bool:
    """Whether an equation only names an array anew, or is computed where it is read."""
    return eqn.primitive.name in _FREE


def _is_unfused(eqn: JaxprEqn) -> bool:
    name = eqn.primitive.name
    return name in _UNFUSED or name.startswith("scatter") or name in {"scan", "while", "cond"}


def _size(v: Any) -> int:
    return prod(getattr(v.aval, "shape", ()))


def operations(jaxpr: Jaxpr) -> int:
    """How many equations of a program, and of those inside it, the compiler has work with."""
    return sum((not is_free(eqn)) + sum(map(operations, equations.programs(eqn))) for eqn in jaxpr.eqns)
