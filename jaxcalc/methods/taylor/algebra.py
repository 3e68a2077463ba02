"""Primitives that are linear, bilinear or constant in pieces: a series needs no rule there."""

from __future__ import annotations

from jax.extend.core import JaxprEqn

# operands in which a primitive is linear, the others being parameters such as indices; -1 is all
_LINEAR: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "broadcast_in_dim", "convert_element_type", "copy", "copy_p", "cumsum", "dynamic_slice",
            "expand_dims", "gather", "imag", "neg", "real", "reduce_precision", "reduce_sum",
            "reshape", "rev", "slice", "split", "squeeze", "transpose",
        ),
        (0,),
    ),
    **dict.fromkeys(("add", "add_any", "complex", "concatenate", "stack", "sub"), (-1,)),
    "dynamic_update_slice": (0, 1),
    "pad": (0, 1),
    "scatter-add": (0, 2),
}  # fmt: skip
_PIECEWISE_CONSTANT = frozenset({"ceil", "floor", "round", "sign", "stop_gradient"})
_BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated"})


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
