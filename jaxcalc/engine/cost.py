"""A rough count of what a program costs, from its jaxpr alone, in nanoseconds of a small CPU."""

from __future__ import annotations

from math import prod

from jax.extend.core import Jaxpr, JaxprEqn

from jaxcalc.engine import equations

_ELEMENT = 0.5  # reading and writing an element
_PRODUCT = 0.03  # a multiply-add inside a matrix product
_GATHER = 2.0  # an element looked up by an index
_SCATTER = 8.0  # an element written by an index
_FREE = frozenset({"reshape", "squeeze", "expand_dims", "broadcast_in_dim", "copy", "iota"})


def work(jaxpr: Jaxpr) -> float:
    """The estimated time of one run; loops count their length where it is known."""
    return sum(equation_work(eqn) for eqn in jaxpr.eqns)


def equation_work(eqn: JaxprEqn) -> float:
    """The estimated time of one equation."""
    name = eqn.primitive.name
    size = sum(prod(getattr(v.aval, "shape", ())) for v in eqn.outvars)
    bodies = equations.programs(eqn)
    if name.startswith("scatter"):
        return _SCATTER * prod(equations.operand(eqn, -1).shape) + _ELEMENT * size
    if bodies:
        times = equations.scan(eqn).options["length"] if name == "scan" else 1
        return times * sum(work(body) for body in bodies)
    return size * _element_work(eqn)


def _element_work(eqn: JaxprEqn) -> float:
    """The time of one element of the result."""
    match eqn.primitive.name:
        case "dot_general":
            shape = equations.operand(eqn).shape
            axes = equations.dot_general(eqn).contracted[0]
            return _ELEMENT + _PRODUCT * prod(shape[a] for a in axes)
        case "conv_general_dilated":
            return _ELEMENT + _PRODUCT * equations.kernel_size(eqn)
        case "gather":
            return _GATHER
        case name:
            return 0.0 if name in _FREE else _ELEMENT
