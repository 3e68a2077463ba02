"""Whether an equation is linear in its tangents, as every equation of a derivative should be.

A `custom_vjp` may give a backward rule that is not: one that clips the cotangent, adds something of its
own, or an adaptive solver whose steps depend on the cotangent. A rule for lanes would be wrong there.
What JAX does, one pass for each basis vector, is well defined, and is done instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.jaxprs.traits import having, values
from jaxcalc.engine.jaxprs.transposable import has_transpose
from jaxcalc.engine.tangents.lanes import Lanes

_BILINEAR = having("bilinear")
_FIXED: dict[str, slice] = values("fixed")
# the operands that are put together or added up: what is no tangent among them has to be zero
TERMS: dict[str, slice] = values("terms")


class NotLinearError(ValueError):
    """An equation of a derivative that is not linear in the tangents; the message names it."""


class NotZeroError(NotLinearError):
    """A value that takes the place of a tangent, and is not known to be zero."""


def require_linear(eqn: JaxprEqn, operands: Sequence[Any], *, has_rule: bool, is_trusted: bool) -> None:
    """Refuse an equation that no rule can be right for.

    Raises:
        NotLinearError: it multiplies tangents with each other, divides by one, adds what is no tangent,
            or is a function, such as a square root or a comparison, that has no transpose.
    """
    if not is_linear(eqn, operands, has_rule=has_rule, is_trusted=is_trusted):
        raise NotLinearError(f"{named_with_line(eqn)} is not linear in the tangents")


def is_linear(
    eqn: JaxprEqn, operands: Sequence[Any], *, has_rule: bool, is_trusted: bool = False
) -> bool:
    """Whether an equation is linear in the tangents among its operands, taken together.

    In a program that JAX made, what is added to a tangent without being one is a zero that JAX did not
    care to leave out.
    """
    name = eqn.primitive.name
    tangents = [isinstance(x, Lanes) for x in operands]
    if name in _BILINEAR:
        return sum(tangents) == 1
    if name in _FIXED and name not in TERMS:
        return not any(tangents[_FIXED[name]])
    if name in TERMS:
        terms = TERMS[name]
        # no predicate or place is a tangent, and every other term is zero
        only_terms = sum(tangents) == sum(tangents[terms])
        return only_terms and (is_trusted or all(map(is_tangent_or_zero, operands[terms])))
    return has_rule or has_transpose(eqn)


def has_rules_of_users(jaxpr: Jaxpr) -> bool:
    """Whether a program calls a `custom_vjp` function, whose backward rule may be anything.

    The rule of a `custom_jvp` function has to be linear: JAX transposes it.
    """
    return any(
        eqn.primitive.name.startswith("custom_vjp_call")
        or any(map(has_rules_of_users, equations.programs(eqn)))
        for eqn in jaxpr.eqns
    )


def calls_rules(jaxpr: Jaxpr) -> bool:
    """Whether a program calls functions with derivative rules of their own, of either kind."""
    return any(
        eqn.primitive.name.startswith(("custom_jvp_call", "custom_vjp_call"))
        or any(map(calls_rules, equations.programs(eqn)))
        for eqn in jaxpr.eqns
    )


def is_tangent_or_zero(x: Any) -> bool:
    """Whether a value is a tangent, or known to be zero."""
    if isinstance(x, Lanes):
        return True
    return not isinstance(x, jax.core.Tracer) and not np.asarray(x).any()
