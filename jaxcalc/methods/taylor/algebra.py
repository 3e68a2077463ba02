"""Primitives that are linear, bilinear or constant in pieces: a series needs no rule there."""

from __future__ import annotations

from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs.traits import having, values

# operands in which a primitive is linear, the others being parameters such as indices; -1 is all
_LINEAR: dict[str, tuple[int, ...]] = values("series_linear")
_PIECEWISE_CONSTANT = having("piecewise_constant")
_BILINEAR = having("series_product")


def linear_operands(eqn: JaxprEqn) -> tuple[int, ...] | None:
    """The operands in which this equation is jointly linear; None when it is not known to be."""
    if eqn.primitive.name == "select_n":
        return tuple(range(1, len(eqn.invars)))
    places = _LINEAR.get(eqn.primitive.name)
    return tuple(range(len(eqn.invars))) if places == (-1,) else places


def is_bilinear(eqn: JaxprEqn) -> bool:
    """Whether the equation is a product of its two operands."""
    return eqn.primitive.name in _BILINEAR


def is_piecewise_constant(eqn: JaxprEqn) -> bool:
    """Whether the derivative is zero whatever the values, so that nothing multiplies it."""
    return eqn.primitive.name in _PIECEWISE_CONSTANT
