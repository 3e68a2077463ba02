"""Places out of bounds: what the values of f say, made plain before f is differentiated in reverse.

`x[i]` promises that i is in bounds. Where it is not, XLA reads the nearest element, and the forward
derivative does so too; but the reverse one adds to places, and XLA leaves out those that are not there.
With the promise replaced by what XLA does (a read is clamped, a write is left out), both say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn

from jaxcalc.call.arguments import is_array
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.flatten import FlatCall, Leaves
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.engine.jaxprs import bodies, equations, indexing
from jaxcalc.engine.jaxprs.rewrite import Rewriting


def without_promises(call: FlatCall) -> FlatCall:
    """A flat function with what happens out of bounds spelled out, wherever it makes promises.

    A function with derivative rules of the user's stays as it is: such a rule may read what f computes,
    and then stands for itself only in the run that made it. So does one that cannot be traced.
    """

    def plain(leaves: Leaves) -> tuple[Leaves, Any]:
        asides: list[Aside] = []

        def arrays_only(leaves: Leaves) -> tuple[list[Any], list[Any]]:
            output, aux = call(leaves)
            arrays, aside = set_aside(aux, is_array)
            asides.append(aside)
            return list(output), arrays

        try:
            closed, shape = jax.make_jaxpr(arrays_only, return_shape=True)(list(leaves))
        except PERHAPS_UNTRACEABLE:
            return call(leaves)
        if not _promises(closed.jaxpr) or bodies.calls_rules_of_users(closed.jaxpr):
            return call(leaves)
        results = Rewriting(dict.fromkeys(indexing.INDEXING, _kept)).evaluate(closed, leaves)
        output, arrays = jax.tree.unflatten(jax.tree.structure(shape), results)
        return output, asides[-1].restored(arrays)

    return plain


def _kept(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
    return equations.bind(indexing.without_promise(eqn), operands)


def _promises(jaxpr: Jaxpr) -> bool:
    return any(
        indexing.promises(eqn) or any(_promises(inner.jaxpr) for inner in bodies.bodies(eqn))
        for eqn in jaxpr.eqns
    )
