"""The programs inside an equation that its derivative goes through, read and replaced.

Like `equations`, this module knows the layout of JAX's `eqn.params`, pinned by
`tests/engine/test_bodies.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine import equations


def bodies(eqn: JaxprEqn) -> list[ClosedJaxpr]:
    """The programs inside an equation that its derivative goes through, in the order of `with_bodies`.

    The condition of a loop and the solver of a `custom_linear_solve` are not differentiated.
    """
    match eqn.primitive.name:
        case "scan":
            return [eqn.params["jaxpr"]]
        case "while":
            return [eqn.params["body_jaxpr"]]
        case "cond":
            return list(eqn.params["branches"])
        case "custom_linear_solve":
            return [_closed(eqn.params["jaxprs"].matvec)]
        case "shard_map":
            return [_closed(eqn.params["jaxpr"])]
    inner = equations.called(eqn)
    return [] if inner is None else [inner]


def with_bodies(eqn: JaxprEqn, new: Sequence[ClosedJaxpr]) -> JaxprEqn:
    """The same equation around other bodies, of the same inputs and outputs."""
    changed: dict[str, Any]
    match eqn.primitive.name:
        case "scan":
            changed = {"jaxpr": new[0]}
        case "while":
            changed = {"body_jaxpr": new[0]}
        case "cond":
            changed = {"branches": tuple(new)}
        case "custom_linear_solve":
            changed = {"jaxprs": eqn.params["jaxprs"]._replace(matvec=new[0])}
        case name:
            old = eqn.params[equations.CALLS[name]]
            changed = {equations.CALLS[name]: new[0].jaxpr if isinstance(old, Jaxpr) else new[0]}
    return eqn.replace(params={**eqn.params, **changed})


def with_each_param(eqn: JaxprEqn, change: Callable[[Any], Any]) -> JaxprEqn:
    """The same equation with every param changed."""
    return eqn.replace(params={key: change(value) for key, value in eqn.params.items()})


def name(eqn: JaxprEqn) -> str:
    """The name of the function that a nested jit, a `custom_jvp` and their kin run; may be empty."""
    found = eqn.params.get("name")
    if found is None and "call_jaxpr" in eqn.params:
        found = getattr(_closed(eqn.params["call_jaxpr"]).jaxpr.debug_info, "func_name", "")
    return str(found or "")


class ShardMap(NamedTuple):
    """A program run on each device's part of its operands, and the options of `jax.shard_map`."""

    body: ClosedJaxpr
    options: dict[str, Any]


def shard_map(eqn: JaxprEqn) -> ShardMap:
    """Read the params of a `shard_map`."""
    p = eqn.params
    options = {name: p[name] for name in ("mesh", "in_specs", "out_specs", "check_vma")}
    return ShardMap(_closed(p["jaxpr"]), {**options, "axis_names": p["newly_manual_axes"]})


def _closed(program: Any) -> ClosedJaxpr:
    return ClosedJaxpr(program, ()) if isinstance(program, Jaxpr) else program
