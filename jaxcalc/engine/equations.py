"""What the walks read of an equation: the one module that knows the layout of JAX's `eqn.params`.

A new JAX version that renames a parameter breaks here and nowhere else. The contract tests in
`tests/engine/test_equations.py` pin every layout that is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

# the primitives that only run another program, and the parameter that holds it
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}


def bind(eqn: JaxprEqn, operands: Sequence[Any]) -> list[Any]:
    """Evaluate one equation; always a list of outputs."""
    bound: Any = eqn.primitive.get_bind_params(eqn.params)
    # before JAX 0.9 the functions of a higher-order primitive come apart from its params
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    with eqn.ctx.manager:
        outputs = eqn.primitive.bind(*functions, *operands, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def is_inexact(aval: Any) -> bool:
    """Whether an abstract value is a real or complex array."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))


def has_derivative(eqn: JaxprEqn) -> bool:
    """Whether some output is real or complex; integers and booleans have no derivative."""
    return any(is_inexact(v.aval) for v in eqn.outvars)


def called(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """The program that a call such as a nested jit runs, or None."""
    param = _CALLS.get(eqn.primitive.name)
    if param is None:
        return None
    jaxpr = eqn.params[param]
    return ClosedJaxpr(jaxpr, ()) if isinstance(jaxpr, Jaxpr) else jaxpr


def exponent(eqn: JaxprEqn) -> int:
    """The exponent of an `integer_pow`."""
    return int(eqn.params["y"])


class Scan(NamedTuple):
    """The parts of a scan."""

    body: ClosedJaxpr
    consts: int
    carry: int
    options: dict[str, Any]


def scan(eqn: JaxprEqn) -> Scan:
    """Read a scan's params."""
    p = eqn.params
    options = {name: p[name] for name in ("length", "reverse", "unroll")}
    return Scan(p["jaxpr"], p["num_consts"], p["num_carry"], options)


class While(NamedTuple):
    """The parts of a while loop."""

    condition: ClosedJaxpr
    condition_consts: int
    body: ClosedJaxpr
    body_consts: int


def while_loop(eqn: JaxprEqn) -> While:
    """Read a while loop's params."""
    p = eqn.params
    return While(p["cond_jaxpr"], p["cond_nconsts"], p["body_jaxpr"], p["body_nconsts"])


def branches(eqn: JaxprEqn) -> Sequence[ClosedJaxpr]:
    """The branches of a cond."""
    return eqn.params["branches"]
