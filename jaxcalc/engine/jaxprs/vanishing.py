"""Whether a program takes roots of numbers that do not move, where reverse mode alone is finite.

The derivative of `sqrt(pad(x))` by the rule is an infinity at the zeros of the padding. Forward mode
multiplies it by a tangent of zero, which is NaN; in reverse mode the padding drops the cotangent. Of
`where(x > 0, sqrt(x), 0)` it is the other way round: forward mode drops it, and in reverse mode it
meets a cotangent of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn, Var

from jaxcalc.engine.jaxprs import dataflow, equations
from jaxcalc.engine.jaxprs.traits import having

# at zero these have a value, and no finite derivative
_ROOTS = having("root")
# what a `where` behind them is there to keep from the output
_SINGULAR = having("singular")
_JOINS = having("joins")
_SHIFTS = having("shifts")


class _Facts(NamedTuple):
    """What is known of a value: whether it moves, has elements that do not, and was made of a root."""

    moves: bool = False
    is_nonzero: bool = False  # a number of the program that is not zero
    has_still: bool = False
    is_singular: bool = False


class _MaskedError(Exception):
    """A selection comes after what it masks: there forward mode is the one that is finite."""


def is_finite_in_reverse_alone(jaxpr: Jaxpr, differentiated: Sequence[Var]) -> bool:
    """Whether some root is taken of elements that do not move, and no `where` comes behind one.

    This is told by the program alone; its values may be such that both directions are finite.
    """
    found: list[JaxprEqn] = []
    chosen = set(differentiated)
    try:
        _walk(jaxpr, [_Facts(v in chosen) for v in jaxpr.invars], found)
    except _MaskedError:
        return False
    return bool(found)


def _walk(jaxpr: Jaxpr, inputs: Sequence[_Facts], found: list[JaxprEqn]) -> list[_Facts]:
    def of_equation(eqn: JaxprEqn, operands: list[_Facts]) -> list[_Facts]:
        name = eqn.primitive.name
        if name in {"convert_element_type", "broadcast_in_dim"}:
            facts = operands[0]
        elif name == "stop_gradient" or not any(x.moves for x in operands):
            facts = _Facts()
        elif (program := equations.called(eqn)) is not None:
            return _walk(program.jaxpr, operands, found)
        else:
            facts = _of_equation(eqn, operands)
            if name in _ROOTS and operands[0].has_still:
                found.append(eqn)
        return [facts if equations.is_inexact(v.aval) else _Facts() for v in eqn.outvars]

    return dataflow.forward(
        jaxpr,
        inputs,
        of_equation,
        unmarked=_Facts(),
        of_literal=lambda literal: _Facts(is_nonzero=bool(literal.val != 0)),
    )


def _of_equation(eqn: JaxprEqn, operands: Sequence[_Facts]) -> _Facts:
    name = eqn.primitive.name
    joined = operands[1:] if name == "select_n" else operands
    is_singular = name in _SINGULAR or any(x.is_singular for x in joined)
    if name == "select_n" and is_singular:
        raise _MaskedError
    has_still = any(x.has_still for x in joined)
    if name in _JOINS:
        facts = zip(joined, eqn.invars[-len(joined) :], strict=True)
        numbers = (x for x, v in facts if equations.is_inexact(v.aval))
        has_still = has_still or not all(x.moves or x.is_nonzero for x in numbers)
    elif name in _SHIFTS and not all(x.moves for x in operands):
        has_still = False
    elif name in {"reduce_sum", "dot_general"}:
        has_still = has_still or not prod(equations.operand(eqn).shape)
    return _Facts(moves=True, has_still=has_still, is_singular=is_singular)
