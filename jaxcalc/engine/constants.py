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
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jaxcalc.engine import equations
from jaxcalc.engine.static import Static


def constant_outputs(eqn: JaxprEqn, inputs: Sequence[Any]) -> dict[int, Static]:
    """The outputs of a scan that its static inputs decide, evaluated when they are first read."""
    if eqn.primitive.name != "scan" or eqn.effects:
        return {}
    parts = equations.scan(eqn)
    start, stop = parts.consts, parts.consts + parts.carry
    known = [isinstance(x, Static) for x in inputs]
    while True:
        outputs = _known_outputs(parts.body.jaxpr, known)
        carried = [a and b for a, b in zip(known[start:stop], outputs, strict=False)]
        if carried == known[start:stop]:
            break
        known[start:stop] = carried
    found = [i for i, on in enumerate([*carried, *outputs[parts.carry :]]) if on]
    if not found:
        return {}
    memo: list[dict[int, Any]] = []

    def evaluate(i: int) -> Any:
        if not memo:
            arrays = [x.array if on else None for x, on in zip(inputs, known, strict=True)]
            memo.append(_scan(parts, arrays, found))
        return memo[0][i]

    return {i: Static(eqn.outvars[i].aval, lambda i=i: evaluate(i)) for i in found}  # type: ignore[misc]


def _known_outputs(jaxpr: Jaxpr, inputs: Sequence[bool]) -> list[bool]:
    """Which outputs of a program only marked inputs, and constants, decide."""
    unknown = {v for v, on in zip(jaxpr.invars, inputs, strict=True) if not on}
    for eqn in jaxpr.eqns:
        if eqn.effects or any(v in unknown for v in eqn.invars if not isinstance(v, Literal)):
            unknown.update(eqn.outvars)
    return [isinstance(v, Literal) or v not in unknown for v in jaxpr.outvars]


def _scan(parts: equations.Scan, arrays: list[Any], wanted: Sequence[int]) -> dict[int, Any]:
    """The wanted outputs of a scan, of which only the known inputs are given."""
    start, stop = parts.consts, parts.consts + parts.carry
    carried = [i for i in range(start, stop) if arrays[i] is not None]
    sliced = [i for i in range(stop, len(arrays)) if arrays[i] is not None]
    results = [i for i in wanted if i >= parts.carry]

    def step(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        given = {i: x for i, x in enumerate(arrays[:start]) if x is not None}
        given |= dict(zip(carried, carry, strict=True)) | dict(zip(sliced, slices, strict=True))
        outputs = [*(i - start for i in carried), *results]
        found = _evaluate(parts.body, given, outputs)
        return found[: len(carried)], found[len(carried) :]

    with jax.ensure_compile_time_eval():
        init = [jnp.asarray(arrays[i]) for i in carried]
        final, stacks = lax.scan(step, init, [jnp.asarray(arrays[i]) for i in sliced], **parts.options)
    found = {i - start: x for i, x in zip(carried, final, strict=True)}
    found |= dict(zip(results, stacks, strict=True))
    return {i: _in_numpy(x) for i, x in found.items()}


def _in_numpy(x: Any) -> Any:
    return x if jnp.issubdtype(x.dtype, jax.dtypes.extended) else np.asarray(x)


def _evaluate(closed: ClosedJaxpr, given: dict[int, Any], wanted: Sequence[int]) -> list[Any]:
    """Some outputs of a program, by the equations that they need; `given` holds inputs by number."""
    jaxpr = closed.jaxpr
    outputs = [jaxpr.outvars[i] for i in wanted]
    needed = {v for v in outputs if not isinstance(v, Literal)}
    live = []
    for eqn in reversed(jaxpr.eqns):
        if not needed.isdisjoint(eqn.outvars):
            needed.update(v for v in eqn.invars if not isinstance(v, Literal))
            live.append(eqn)
    environment: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    environment |= {jaxpr.invars[i]: x for i, x in given.items()}

    def read(v: Any) -> Any:
        return v.val if isinstance(v, Literal) else environment[v]

    for eqn in reversed(live):
        found = equations.bind(eqn, [read(v) for v in eqn.invars])
        environment.update(zip(eqn.outvars, found, strict=True))
    return [read(v) for v in outputs]
