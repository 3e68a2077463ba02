"""When to keep XLA from computing coefficients again in every lane, and how.

XLA fuses the producer of a coefficient, such as a sine, into each slice or product that uses it, and
so computes it once a lane. Neither `optimization_barrier` nor an extra output stops that; a branch
whose predicate is known only at run time does, since nothing is fused across it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal

# rough nanoseconds for an element, where a sum or a product takes none worth counting
_COST = {
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "atan2"), 12.0),
    **dict.fromkeys(("pow", "lgamma", "digamma", "erf_inv", "bessel_i0e", "bessel_i1e"), 12.0),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log1p", "erf", "erfc", "sinh", "cosh"), 3.0),
    **dict.fromkeys(("tanh", "logistic", "cbrt", "asinh", "acosh", "atanh"), 3.0),
    **dict.fromkeys(("sqrt", "rsqrt", "div"), 1.0),
}
_BRANCH_COST = 30_000.0  # nanoseconds that a branch takes whatever is in it
_TRAFFIC_COST = 0.5  # nanoseconds to write and read an element that would have stayed in registers

# what ends a fusion, so that its operands are computed once whatever follows
_UNFUSED = frozenset(
    {
        "dot_general", "conv_general_dilated", "gather", "scatter", "scatter-add", "sort", "fft",
        "triangular_solve", "custom_linear_solve", "while", "scan", "cond", "cumsum", "cholesky",
        "lu", "eigh", "svd", "qr", "reduce_window_sum", "select_and_scatter_add",
        "select_and_gather_add", "custom_jvp_call", "custom_vjp_call", "dynamic_update_slice",
    }
)  # fmt: skip


def saves_time(jaxpr: Jaxpr, coefficients: Sequence[Any]) -> bool:
    """Whether computing `coefficients` (shapes) apart costs less than computing them in every lane."""
    if jaxpr.effects:
        return False  # a branch may not hold every kind of effect
    repeated = sum(
        _COST.get(eqn.primitive.name, 0.0) * max(0.0, load - _size(eqn.outvars[0]))
        for eqn, load in _loads(jaxpr)
    )
    stored = sum(prod(c.shape) for c in coefficients)
    return repeated > _BRANCH_COST + _TRAFFIC_COST * stored


def _loads(jaxpr: Jaxpr) -> list[tuple[JaxprEqn, float]]:
    """How many elements of each equation's result the fused program computes, repeats included."""
    load: defaultdict[Any, float] = defaultdict(float)
    for v in jaxpr.outvars:
        if not isinstance(v, Literal):
            load[v] += _size(v)
    loads: list[tuple[JaxprEqn, float]] = []
    for eqn in reversed(jaxpr.eqns):
        if not eqn.outvars:
            continue
        out = eqn.outvars[0]
        demanded = max(load[v] for v in eqn.outvars)
        if not demanded:
            continue
        loads.append((eqn, demanded))
        for v in {v for v in eqn.invars if not isinstance(v, Literal)}:
            load[v] += _demand(eqn, v, demanded, _size(out))
    return loads


def _demand(eqn: JaxprEqn, v: Any, demanded: float, size: int) -> float:
    """How many elements of operand v are computed for `demanded` elements of a result of `size`."""
    if eqn.primitive.name in _UNFUSED:
        return _size(v)
    if eqn.primitive.name == "broadcast_in_dim" and size > _size(v):
        return _size(v)  # what is expensive is not fused into an operation that reads it repeatedly
    if eqn.primitive.name in {"concatenate", "pad"} or eqn.primitive.name.startswith("reduce"):
        return demanded * _size(v) / max(1, size)
    return demanded


def _size(v: Any) -> int:
    return prod(v.aval.shape)


def apart(function: Callable[[list[Any]], list[Any]], arguments: list[Any]) -> list[Any]:
    """Call a function behind a branch that is always taken, and that XLA cannot see through.

    It differentiates and batches as the function itself does.
    """
    shapes = jax.eval_shape(function, arguments)

    def never(_: list[Any]) -> list[Any]:
        return [jnp.zeros(s.shape, s.dtype) for s in shapes]

    return lax.cond(lax.optimization_barrier(True), function, never, arguments)
