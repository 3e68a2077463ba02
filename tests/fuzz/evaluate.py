"""A jaxpr evaluated in numpy, without compiling anything.

Compiling a random program takes a hundred times longer than running it. What numpy has no quick word
for goes to JAX, operation by operation. A disagreement found here is looked at again with everything
compiled (`compare.confirmed`), so a mistake in this file cannot accuse the library of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from tests.fuzz.evaluate_operations import SIMPLE

_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_lin": "call_jaxpr",
}


def evaluate(closed: ClosedJaxpr, arguments: Sequence[Any]) -> list[np.ndarray]:
    """The outputs of a jaxpr, as numpy arrays."""
    with np.errstate(all="ignore"):
        return _run(closed.jaxpr, closed.consts, [_given(a) for a in arguments])


def _run(jaxpr: Jaxpr, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    values: dict[Any, Any] = dict(zip(jaxpr.invars, arguments, strict=True))
    values.update((v, _given(c)) for v, c in zip(jaxpr.constvars, consts, strict=True))

    def read(v: Any) -> Any:
        return np.asarray(v.val, v.aval.dtype) if isinstance(v, Literal) else values[v]

    for eqn in jaxpr.eqns:
        outputs = _equation(eqn, [read(v) for v in eqn.invars])
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _closed(program: Any, arguments: Sequence[Any]) -> list[Any]:
    """A program with its constants, or without any; newer JAX has one class for both."""
    return _run(getattr(program, "jaxpr", program), getattr(program, "consts", ()), arguments)


def _equation(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    name = eqn.primitive.name
    if name in _CALLS:
        return _closed(eqn.params[_CALLS[name]], arrays)
    if name in _LOOPS:
        return _LOOPS[name](eqn, arrays)
    if name in SIMPLE and _is_plain(eqn):
        result = SIMPLE[name](eqn.params, *arrays)
        aval = eqn.outvars[0].aval
        result = np.asarray(result).astype(aval.dtype, copy=False)
        if result.shape != aval.shape:
            raise AssertionError(f"{name} gave {result.shape}, not {aval.shape}: {eqn}")
        return [result]
    return [_array(y) for y in _bind(eqn, arrays)]


def _given(a: Any) -> Any:
    return _array(a) if isinstance(a, jax.Array) else np.asarray(a)


def _array(y: Any) -> Any:
    """In numpy, unless it is of a dtype of JAX's own, such as keys."""
    return y if jax.dtypes.issubdtype(y.dtype, jax.dtypes.extended) else np.asarray(y)


def _is_plain(eqn: JaxprEqn) -> bool:
    """Whether numpy rounds as XLA does; 16-bit types are left to JAX."""
    avals = [v.aval for v in (*eqn.invars, *eqn.outvars)]
    return all(isinstance(a.dtype, np.dtype) and (a.dtype.itemsize != 2) for a in avals)


def _bind(eqn: JaxprEqn, arrays: Sequence[Any]) -> list[Any]:
    bound: Any = eqn.primitive.get_bind_params(eqn.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    outputs = eqn.primitive.bind(*functions, *map(jax.numpy.asarray, arrays), **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def _scan(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    p = eqn.params
    (consts, carry_count), length = _counts(p), p["length"]
    fixed, carry, xs = (
        arrays[:consts],
        arrays[consts : consts + carry_count],
        arrays[consts + carry_count :],
    )
    steps = range(length)[::-1] if p["reverse"] else range(length)
    stacked: list[Any] = [None] * length
    for i in steps:
        outputs = _closed(p["jaxpr"], [*fixed, *carry, *(x[i] for x in xs)])
        carry, stacked[i] = outputs[:carry_count], outputs[carry_count:]
    ys = [
        np.stack([row[j] for row in stacked]) if length else np.zeros(v.aval.shape, v.aval.dtype)
        for j, v in enumerate(eqn.outvars[carry_count:])
    ]
    return [*carry, *ys]


def _counts(p: dict[str, Any]) -> tuple[int, int]:
    """How many operands of a scan are constants, and how many are carried; JAX 0.11 packs them."""
    if "num_consts" in p:
        return p["num_consts"], p["num_carry"]
    consts, carry, _ = p["ft_in"].unpack()
    return len(consts), len(carry)


def _while(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    p = eqn.params
    first, second = p["cond_nconsts"], p["body_nconsts"]
    of_condition, of_body, carry = (
        arrays[:first],
        arrays[first : first + second],
        arrays[first + second :],
    )
    while (on := np.asarray(_closed(p["cond_jaxpr"], [*of_condition, *carry])[0])).any():
        after = _closed(p["body_jaxpr"], [*of_body, *carry])
        carry = [_where(on, new, old) for new, old in zip(after, carry, strict=True)]
    return carry


def _where(on: np.ndarray, new: Any, old: Any) -> Any:
    """Under vmap, samples whose loop has ended keep what they have."""
    if on.all():
        return new
    return np.where(on.reshape(on.shape + (1,) * (np.ndim(new) - on.ndim)), new, old)


def _cond(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    branches = eqn.params["branches"]
    return _closed(branches[int(np.clip(arrays[0], 0, len(branches) - 1))], arrays[1:])


def _linear_solve(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    lengths, programs = eqn.params["const_lengths"], eqn.params["jaxprs"]
    start = lengths.matvec + lengths.vecmat
    return _closed(programs.solve, [*arrays[start : start + lengths.solve], *arrays[sum(lengths) :]])


def _linear_call(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    return _closed(eqn.params["callee"], arrays)


def _sort(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    axis, keys = eqn.params["dimension"], eqn.params["num_keys"]
    order = np.lexsort(arrays[:keys][::-1], axis=axis)
    return [np.take_along_axis(a, order, axis) for a in arrays]


def _split(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    cuts = np.cumsum(eqn.params["sizes"])[:-1]
    return np.split(arrays[0], cuts, eqn.params["axis"])


def _unstack(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    axis = eqn.params["axis"]
    whole = (slice(None),) * axis  # a constant may be an array of JAX, of keys even
    return [arrays[0][(*whole, i)] for i in range(arrays[0].shape[axis])]


def _each(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    return arrays


def _top_k(eqn: JaxprEqn, arrays: list[Any]) -> list[Any]:
    k, axis = eqn.params["k"], eqn.params.get("axis", -1)
    axis = arrays[0].ndim - 1 if axis in {None, -1} else axis
    order = np.argsort(-arrays[0], axis=axis, kind="stable")
    order = np.take(order, np.arange(k), axis)
    return [np.take_along_axis(arrays[0], order, axis), order.astype(eqn.outvars[1].aval.dtype)]


_LOOPS: dict[str, Callable[[JaxprEqn, list[Any]], list[Any]]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "custom_linear_solve": _linear_solve,
    "linear_call": _linear_call,
    "sort": _sort,
    "split": _split,
    "top_k": _top_k,
    "optimization_barrier": _each,
    "unstack": _unstack,
}
