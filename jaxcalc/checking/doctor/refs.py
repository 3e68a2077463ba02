"""Equations that read and write mutable arrays (`jax.new_ref`), as functions of what these hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations

MAKES = "new_ref"
HANDS_OUT = "freeze"
ENDS = "free_ref"
WRITES = frozenset({"swap", "addupdate"})
REFUSED = "a number that does not depend on the argument is written into a mutable array that does"


def pure(eqn: JaxprEqn, values: Sequence[Any], held: Sequence[bool]) -> JaxprEqn:
    """An equation that takes the contents of the mutable operands, and gives back the new ones last.

    Args:
        eqn: the equation.
        values: its operands, with the contents in the place of mutable arrays.
        held: which operands are mutable arrays.
    """

    def run(*values: Any) -> list[Any]:
        given = [jax.new_ref(x) if is_held else x for x, is_held in zip(values, held, strict=True)]
        results = equations.bind(eqn, given, known=True)
        kept = [jax.ref.freeze(x) for x, is_held in zip(given, held, strict=True) if is_held]
        return [*results, *kept]

    return jax.make_jaxpr(jax.jit(run))(*values).jaxpr.eqns[0]
