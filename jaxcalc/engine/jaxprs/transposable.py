"""Whether JAX can transpose a linear program, found from its jaxpr before it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn
from jax.interpreters import ad

from jaxcalc.engine.jaxprs import bodies, dataflow, equations
from jaxcalc.engine.jaxprs.traits import having, values

INLINED = frozenset({"custom_jvp_call", "custom_vjp_call"})  # their rules were applied already
_BILINEAR = having("bilinear")
# linear in their other operands than these
_FIXED: dict[str, slice] = values("fixed")
# linear, but what JAX registers as their transpose raises an error, or does so in some cases
_ONE_WAY = having("transpose_fails")
# linear, with a transpose that the public table does not list
_UNLISTED = having("transpose_unlisted")
PRINTS = frozenset({"debug_callback", "debug_print"})  # what they print has no transpose


def obstacle(jaxpr: Jaxpr, linear_in: Sequence[bool]) -> JaxprEqn | None:
    """The first equation that keeps a program from being transposed, or None.

    Args:
        jaxpr: a program that should be linear in the inputs that are marked.
        linear_in: for each input, whether it is one of those.
    """
    try:
        _walk(jaxpr, linear_in)
    except _ObstacleError as found:
        return found.eqn
    return None


def has_transpose(eqn: JaxprEqn) -> bool:
    """Whether JAX knows a transpose of the primitive, so that it is linear in some of its operands."""
    return eqn.primitive.name in _UNLISTED or eqn.primitive in ad.primitive_transposes


class _ObstacleError(Exception):
    def __init__(self, eqn: JaxprEqn) -> None:
        self.eqn = eqn


def _walk(jaxpr: Jaxpr, inputs: Sequence[bool]) -> list[bool]:
    """Which outputs are linear in the inputs that are marked; an error where one has no transpose."""
    return dataflow.forward(jaxpr, inputs, _equation)


def _equation(eqn: JaxprEqn, flags: list[bool]) -> list[bool]:
    name = eqn.primitive.name
    rule = equations.linear_map(eqn) if name in INLINED else None
    body = equations.called(eqn) if rule is None else rule.program
    if body is not None:
        return _walk(body.jaxpr, flags)
    if name == "scan" and transposes_scans():
        scan = equations.scan(eqn)
        carry = slice(scan.consts, scan.consts + scan.carry)
        return dataflow.repeated(partial(_walk, scan.body.jaxpr), flags, carry)
    if name == "cond" and not flags[0]:
        return dataflow.any_of(_walk(branch.jaxpr, flags[1:]) for branch in equations.branches(eqn))
    if name == "scan" or not _is_linear(eqn, flags):
        raise _ObstacleError(eqn)
    return [True] * len(eqn.outvars)


@cache
def transposes_scans() -> bool:
    """Whether `jax.linear_transpose` takes a scan, which it does not in JAX 0.9."""

    def total(xs: Any) -> Any:
        return lax.scan(lambda carry, x: (carry + x, None), xs[0], xs)[0]

    xs = jax.ShapeDtypeStruct((2,), np.float32)
    try:
        jax.eval_shape(jax.linear_transpose(total, xs), jax.ShapeDtypeStruct((), np.float32))
    except TypeError:
        return False
    return True


def _is_linear(eqn: JaxprEqn, flags: list[bool]) -> bool:
    name = eqn.primitive.name
    if name in _ONE_WAY or not all(equations.is_inexact(v.aval) for v in eqn.outvars):
        return False
    if name == "custom_linear_solve":  # in the right side, not in the matrix nor in what a solver takes
        solvers = bodies.solvers(eqn)
        return solvers.has_transpose and not any(flags[solvers.constants])
    if name in _BILINEAR:
        return sum(flags) == 1
    if name in _FIXED:
        return not any(flags[_FIXED[name]])
    return has_transpose(eqn)
