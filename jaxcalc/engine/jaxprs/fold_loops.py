"""What a loop computes from known values alone: its counter, and the places that the counter gives.

JAX moves such values out of a linear loop, as results of the loop that computes f. They are known all
the same, and a gather whose places they are has a known pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import dataflow, equations
from jaxcalc.engine.jaxprs.fold import Static
from jaxcalc.engine.jaxprs.rewrite import Rewriting


def constant_outputs(eqn: JaxprEqn, inputs: Sequence[Any]) -> dict[int, Static]:
    """The outputs of a scan that its static inputs decide, evaluated when they are first read."""
    if eqn.primitive.name != "scan" or eqn.effects:
        return {}
    parts = equations.scan(eqn)
    known, outputs = _known(parts, [isinstance(x, Static) for x in inputs])
    found = [i for i, on in enumerate(outputs) if on]
    if not found:
        return {}
    memo: list[dict[int, Any]] = []

    def evaluate(i: int) -> Any:
        if not memo:
            arrays = [x.array if on else None for x, on in zip(inputs, known, strict=True)]
            final, _, results = _scan(parts, arrays, [i for i in found if i >= parts.carry])
            memo.append(final | results)
        return memo[0][i]

    return {i: Static(eqn.outvars[i].aval, lambda i=i: evaluate(i)) for i in found}  # type: ignore[misc]


def constant_carry(parts: equations.Scan, arrays: Sequence[Any]) -> dict[int, tuple[Any, Any]]:
    """Values of a scan's carry that known operands decide: after the last step, and before each.

    `arrays` are the operands of the scan, None for those that are not known.
    """
    known, outputs = _known(parts, [x is not None for x in arrays])
    carried = [i for i in range(parts.carry) if outputs[i]]
    if not carried:
        return {}
    given = [x if on else None for x, on in zip(arrays, known, strict=True)]
    final, before, _ = _scan(parts, given, [])
    return {i: (final[i], before[i]) for i in carried}


def _known(parts: equations.Scan, known: list[bool]) -> tuple[list[bool], list[bool]]:
    """Which operands stay known at every step, and which outputs they decide."""
    start, stop = parts.consts, parts.consts + parts.carry

    def unknown_outputs(unknown: list[bool]) -> list[bool]:
        return dataflow.forward(parts.body.jaxpr, unknown, dataflow.all_results, with_effects=True)

    unknown = [not on for on in known]
    outputs = [not on for on in dataflow.repeated(unknown_outputs, unknown, slice(start, stop))]
    return [*known[:start], *outputs[: parts.carry], *known[stop:]], outputs


def _scan(
    parts: equations.Scan, arrays: list[Any], results: Sequence[int]
) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """A scan of which only the known operands are given, others are None.

    Returns:
        What the carry is after the last step, what it was before each, and the wanted results, all by
        the number of the output.
    """
    start, stop = parts.consts, parts.consts + parts.carry
    carried = [i for i in range(start, stop) if arrays[i] is not None]
    sliced = [i for i in range(stop, len(arrays)) if arrays[i] is not None]
    numbers = [i - start for i in carried]

    def step(carry: list[Any], slices: list[Any]) -> tuple[list[Any], Any]:
        given = {i: x for i, x in enumerate(arrays[:start]) if x is not None}
        given |= dict(zip(carried, carry, strict=True)) | dict(zip(sliced, slices, strict=True))
        found = _evaluate(parts.body, given, [*numbers, *results])
        return found[: len(carried)], (carry, found[len(carried) :])

    with jax.ensure_compile_time_eval():
        init = [jnp.asarray(arrays[i]) for i in carried]
        slices = [jnp.asarray(arrays[i]) for i in sliced]
        final, (before, stacks) = lax.scan(step, init, slices, **parts.options)
    by_number = [(numbers, final), (numbers, before), (results, stacks)]
    after, start_of_step, wanted = (
        {i: _in_numpy(x) for i, x in zip(keys, found, strict=True)} for keys, found in by_number
    )
    return after, start_of_step, wanted


def _in_numpy(x: Any) -> Any:
    return x if jnp.issubdtype(x.dtype, jax.dtypes.extended) else np.asarray(x)


def _evaluate(closed: ClosedJaxpr, given: dict[int, Any], wanted: Sequence[int]) -> list[Any]:
    """Some outputs of a program, by the equations that they need; `given` holds inputs by number."""
    jaxpr = closed.jaxpr
    marks = [i in wanted for i in range(len(jaxpr.outvars))]
    needed = dataflow.backward(jaxpr, marks, dataflow.all_operands)
    live = [eqn for eqn, flags in zip(jaxpr.eqns, needed, strict=True) if any(flags)]
    outputs = [jaxpr.outvars[i] for i in wanted]
    pruned = ClosedJaxpr(jaxpr.replace(eqns=live, outvars=outputs), closed.consts)
    operands = [given.get(i) for i in range(len(jaxpr.invars))]  # None for what no live one reads
    return Rewriting({}).evaluate(pruned, operands)
