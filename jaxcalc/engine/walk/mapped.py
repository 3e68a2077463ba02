"""A scan whose carry holds no tangent: a map, whose steps do not mix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, jaxpr_as_fun

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.fold_loops import constant_carry
from jaxcalc.engine.tangents.lanes import Lanes
from jaxcalc.engine.walk import operands as of
from jaxcalc.engine.walk.operands import Run


def mapped(run: Run, eqn: JaxprEqn, operands: Sequence[Any]) -> list[Any]:
    """All steps at once, as `jax.vmap` of the body, so that each keeps the structure of its own.

    What the carry holds, such as a counter, is worked out for every step first.
    """
    parts = equations.scan(eqn)
    first_slice = parts.consts + parts.carry
    consts, init = list(operands[: parts.consts]), list(operands[parts.consts : first_slice])
    xs = list(operands[first_slice:])
    final, carries = _carries(parts, consts, init, xs)
    batched = _batched(parts)
    outputs = run(batched, [*consts, *carries, *xs])
    return [*final, *outputs]


def _carries(
    parts: equations.Scan, consts: list[Any], init: list[Any], xs: list[Any]
) -> tuple[list[Any], list[Any]]:
    """The carry after the last step, and before each."""
    if not init:
        return [], []
    operands = [*consts, *init, *xs]
    known = constant_carry(parts, [x if of.is_known(x) else None for x in operands])
    if len(known) == len(init):
        return [known[i][0] for i in range(len(init))], [known[i][1] for i in range(len(init))]
    given = [_without_tangent(x) for x in operands]
    first, last = len(consts), len(consts) + len(init)

    def step(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        outputs = jaxpr_as_fun(parts.body)(*given[:first], *carry, *slices)
        return list(outputs[: len(init)]), carry

    start = [jnp.asarray(x) for x in given[first:last]]
    final, carries = lax.scan(step, start, given[last:], **parts.options)
    for i, (after, before) in known.items():
        final[i], carries[i] = after, before
    return final, carries


def _without_tangent(x: Any) -> Any:
    """Zeros in the place of a tangent, which the carry does not depend on."""
    return np.zeros(x.shape, x.dtype) if isinstance(x, Lanes) else x


def _batched(parts: equations.Scan) -> ClosedJaxpr:
    """The results of the body for all steps; the carry it makes is left out."""
    avals: list[Any] = [v.aval for v in parts.body.jaxpr.invars]
    length = parts.options["length"]
    shapes = [
        jax.ShapeDtypeStruct(a.shape if i < parts.consts else (length, *a.shape), a.dtype)
        for i, a in enumerate(avals)
    ]
    axes = [None if i < parts.consts else 0 for i in range(len(avals))]

    def results(*arrays: Any) -> list[Any]:
        return list(jaxpr_as_fun(parts.body)(*arrays)[parts.carry :])

    return jax.make_jaxpr(jax.vmap(results, in_axes=axes, axis_size=length))(*shapes)
