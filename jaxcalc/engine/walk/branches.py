"""`cond` and `switch`: the union of what the branches depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import lax

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.tangents.unions import coefficients_on, union
from jaxcalc.engine.walk.operands import Run, shapes_of
from jaxcalc.engine.walk.program import Step


def cond(run: Run, step: Step, operands: Sequence[Any]) -> list[Any]:
    """One branch is taken: its coefficients are written on lanes that hold those of every branch.

    Example: where one branch is x_i and the other x_(i+1), each element has two lanes, and the
    coefficients of the branch that is not taken are zero.
    """
    which, *arguments = operands
    branches = equations.branches(step.eqn)
    indices: list[Any] = [None] * len(step.outputs)
    for branch in branches:
        for i, (out, slot) in enumerate(
            zip(shapes_of(lambda _, b=branch: run(b, arguments)), step.outputs, strict=True)  # type: ignore[misc]
        ):
            if slot.is_tangent:
                indices[i] = union(indices[i], run.tangent(out, slot.aval))

    def taking(branch: Any) -> Any:
        def taken() -> list[Any]:
            results = []
            for out, slot, index in zip(run(branch, arguments), step.outputs, indices, strict=True):
                if not slot.is_tangent:
                    results.append(out)
                elif index is not None:
                    results.append(coefficients_on(index, run.tangent(out, slot.aval)))
            return results

        return taken

    results = iter(lax.switch(which, [taking(branch) for branch in branches]))
    outputs: list[Any] = []
    for slot, index in zip(step.outputs, indices, strict=True):
        if not slot.is_tangent:
            outputs.append(next(results))
            continue
        value = Lanes(tuple(slot.aval.shape), slot.aval.dtype)
        groups = [] if index is None else [Group(next(results), index, is_clean=True)]
        outputs.append(value.with_groups(groups))
    return outputs
