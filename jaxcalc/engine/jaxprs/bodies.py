"""The programs inside an equation that its derivative goes through, read and replaced.

Like `equations`, this module knows the layouts of JAX's `eqn.params`, pinned by
`tests/engine/test_bodies.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.params import arguments, changed, has_param, param, part, program
from jaxcalc.engine.jaxprs.source import file_is_of_jax


def bodies(eqn: JaxprEqn) -> list[ClosedJaxpr]:
    """The programs inside an equation that its derivative goes through, in the order of `with_bodies`.

    The condition of a loop and the solver of a `custom_linear_solve` are not differentiated.
    """
    match eqn.primitive.name:
        case "scan":
            return [equations.scan(eqn).body]
        case "while":
            return [equations.while_loop(eqn).body]
        case "cond":
            return list(equations.branches(eqn))
        case "custom_linear_solve":
            return [equations.linear_solve(eqn).matvec]
        case "shard_map":
            return [program(eqn, "jaxpr")]
    inner = equations.called(eqn)
    return [] if inner is None else [inner]


def with_bodies(eqn: JaxprEqn, new: Sequence[ClosedJaxpr]) -> JaxprEqn:
    """The same equation around other bodies, of the same inputs and outputs."""
    match eqn.primitive.name:
        case "scan":
            return changed(eqn, jaxpr=new[0])
        case "while":
            return changed(eqn, body_jaxpr=new[0])
        case "cond":
            return changed(eqn, branches=tuple(new))
        case "custom_linear_solve":
            return changed(eqn, jaxprs=part(eqn, "jaxprs", "_replace")(matvec=new[0]))
    holder = equations.CALLS[eqn.primitive.name]
    is_closed = isinstance(param(eqn, holder), ClosedJaxpr)
    return changed(eqn, **{holder: new[0] if is_closed else new[0].jaxpr})


def with_each_param(eqn: JaxprEqn, change: Callable[[Any], Any]) -> JaxprEqn:
    """The same equation with every param changed."""
    return changed(eqn, **{key: change(value) for key, value in arguments(eqn).items()})


def name(eqn: JaxprEqn) -> str:
    """The name of the function that a nested jit, a `custom_jvp` and their kin run; may be empty."""
    if has_param(eqn, "name"):
        return str(param(eqn, "name") or "")
    if not has_param(eqn, "call_jaxpr"):
        return ""
    return str(getattr(program(eqn, "call_jaxpr").jaxpr.debug_info, "func_name", "") or "")


def defined_at(eqn: JaxprEqn) -> str:
    """The name, file and line of the function that a `custom_jvp` or `custom_vjp` call runs."""
    about = program(eqn, "call_jaxpr").jaxpr.debug_info
    return str(getattr(about, "func_src_info", None) or "")


def files(eqn: JaxprEqn) -> list[str]:
    """The files of the function that a `custom_jvp` call runs and of its rule; empty if not known."""
    made = program(eqn, "call_jaxpr").jaxpr, param(eqn, "jvp_jaxpr_fun")
    told = [getattr(getattr(x, "debug_info", None), "func_src_info", None) or "" for x in made]
    return [text.rpartition(" at ")[2].rpartition(":")[0] for text in told]


def calls_rules_of_users(jaxpr: Jaxpr) -> bool:
    """Whether a program calls functions with derivative rules, other than JAX's own functions."""
    return any(
        is_rule_of_user(eqn) or any(map(calls_rules_of_users, equations.programs(eqn)))
        for eqn in jaxpr.eqns
    )


def is_rule_of_user(eqn: JaxprEqn) -> bool:
    """Whether an equation calls such a function; JAX's own have `custom_jvp` alone."""
    name = eqn.primitive.name
    if name == "custom_jvp_call":
        return not all(map(file_is_of_jax, files(eqn)))
    return name.startswith("custom_vjp_call")


class Solvers(NamedTuple):
    """What a `custom_linear_solve` solves with.

    Attributes:
        constants: the operands that the matrix or a solver reads; the others are right sides.
        has_transpose: whether there is a solver for the transpose.
    """

    constants: slice
    has_transpose: bool


def solvers(eqn: JaxprEqn) -> Solvers:
    """Read the solvers of a `custom_linear_solve`."""
    lengths = param(eqn, "const_lengths", tuple)
    return Solvers(slice(0, sum(lengths)), part(eqn, "jaxprs", "transpose_solve") is not None)


# what does the same to each operand on its own
SEPARABLE = frozenset({"device_put", "optimization_barrier"})


def one_by_one(eqn: JaxprEqn) -> list[JaxprEqn]:
    """An equation for each operand, where each result belongs to one of them; else the equation itself.

    JAX takes a result of such an equation for linear if any operand is.
    """
    count = len(eqn.invars)
    if count < 2 or eqn.primitive.name not in SEPARABLE:
        return [eqn]

    def own(value: Any, i: int) -> Any:
        return value[i : i + 1] if isinstance(value, tuple) and len(value) == count else value

    return [
        with_each_param(eqn, lambda value, i=i: own(value, i)).replace(  # type: ignore[misc]
            invars=[eqn.invars[i]], outvars=[eqn.outvars[i]]
        )
        for i in range(count)
    ]


class ShardMap(NamedTuple):
    """A program run on each device's part of its operands, and the options of `jax.shard_map`."""

    body: ClosedJaxpr
    options: dict[str, Any]


def shard_map(eqn: JaxprEqn) -> ShardMap:
    """Read the params of a `shard_map`."""
    options = {name: param(eqn, name) for name in ("mesh", "in_specs", "out_specs", "check_vma")}
    axes = "newly_manual_axes" if has_param(eqn, "newly_manual_axes") else "manual_axes"  # JAX 0.9
    return ShardMap(program(eqn, "jaxpr"), {**options, "axis_names": param(eqn, axes)})
