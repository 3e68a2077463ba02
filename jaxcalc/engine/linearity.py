"""Whether an equation is linear in its tangents, as every equation of a derivative should be.

A `custom_vjp` may give a backward rule that is not: one that clips the cotangent, or an adaptive solver
whose steps depend on it. Structure cannot be followed through such a rule; what JAX does with it, one
pass for each basis vector, is well defined, and is done instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.extend.core import JaxprEqn
from jax.interpreters import ad

from jaxcalc.engine.source import named_with_line
from jaxcalc.formats.lanes import Lanes

_BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated", "ragged_dot_general"})
_LINEAR_IN_FIRST = frozenset({"div", "scatter-mul", "scatter_mul"})
_LINEAR_IN_LAST = frozenset({"triangular_solve", "tridiagonal_solve"})


class NotLinearError(ValueError):
    """An equation of a derivative that is not linear in the tangents; the message names it."""


def require_linear(eqn: JaxprEqn, operands: Sequence[Any], *, has_rule: bool) -> None:
    """Refuse an equation that no rule can be right for.

    Raises:
        NotLinearError: it multiplies tangents with each other, divides by one, or is a function, such
            as a square root or a comparison, that has no transpose.
    """
    name = eqn.primitive.name
    is_tangent = [isinstance(x, Lanes) for x in operands]
    is_linear = has_rule or eqn.primitive in ad.primitive_transposes
    if name in _BILINEAR:
        is_linear = sum(is_tangent) < 2
    elif name in _LINEAR_IN_FIRST:
        is_linear = not any(is_tangent[1:])
    elif name in _LINEAR_IN_LAST:
        is_linear = not any(is_tangent[:-1])
    if not is_linear:
        raise NotLinearError(f"{named_with_line(eqn)} is not linear in the tangents")
