"""Elementwise rules: each output element depends on the inputs that the operand's element depends on.

The coefficients are scaled or converted; the index stays, so these rules cost no index work at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules.operands import (
    as_factor,
    broadcast_to,
    out_shape,
    static_value,
    zeros_like_value,
)
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents.contract import masked_by
from jaxcalc.engine.tangents.lanes import Group, Lanes, combined, is_known, is_one
from jaxcalc.engine.tangents.merge import merge


@rule("mul")
def multiply(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = c t: dy_i = c_i dt_i. For c = [2, 3, 4]: data [a, b, c] becomes [2a, 3b, 4c].

    Where c is known to be zero, the entry is dropped.
    """
    tangent, factor = operands if isinstance(operands[0], Lanes) else operands[::-1]
    return scaled(broadcast_to(tangent, out_shape(eqn)), factor)


def scaled(value: Lanes, factor: Any) -> Lanes:
    """A tangent times an array of its shape, or a number."""
    known = static_value(factor)
    if known is not None and not known.all():
        value = masked_by(value, np.broadcast_to(known != 0, value.shape))
    return value.map_data(lambda data: times(data, as_factor(factor, value, data)))


def times(data: Any, factor: Any) -> Any:
    """Coefficients times a factor of their dtype that broadcasts with them; known ones stay known."""
    if is_known(data) and is_known(factor):
        return (data * factor).astype(data.dtype)
    if is_one(data):
        return factor
    return combined(lax.mul, data, factor)


@rule("polynomial")
def polynomial(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t_0 + c t_1 + c^2 t_2: data [a] of t_2 becomes [c^2 a]; the terms broadcast with c."""
    c, *terms = operands
    shape, power, values = out_shape(eqn), None, list[Lanes]()
    for term in terms:
        if isinstance(term, Lanes):
            value = broadcast_to(term, shape)
            values.append(value if power is None else scaled(value, power))
        power = c if power is None else power * c
    return total(eqn, values)


@rule("div")
def divide(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t / c: dy_i = dt_i / c_i. For c = [2, 4, 8]: data [a, b, c] becomes [a/2, b/4, c/8]."""
    value = broadcast_to(operands[0], out_shape(eqn))

    def scale(data: Any) -> Any:
        factor = as_factor(operands[1], value, data)
        if is_known(data) and is_known(factor):
            return (data / factor).astype(data.dtype)
        return combined(lax.div, data, factor)

    return value.map_data(scale)


@rule("neg")
def negate(_: JaxprEqn, operands: Operands) -> Lanes:
    """y = -t: data [a, b, c] becomes [-a, -b, -c]."""
    return negated(operands[0])


def negated(value: Lanes) -> Lanes:
    """The tangent with the opposite sign."""
    return value.map_data(lambda data: -data if is_known(data) else lax.neg(data))


@rule("add", "add_any")
def add(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = s + t: the lanes of both, those of the same input added together."""
    return total(eqn, operands)


@rule("sub")
def subtract(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = s - t: as `add`, with the data of t negated."""
    first, second = operands
    return total(eqn, [first, negated(second) if isinstance(second, Lanes) else second])


def total(eqn: JaxprEqn, terms: Sequence[Any]) -> Lanes:
    """The sum of the terms that are tangents; in a linear program the others are zero."""
    shape = out_shape(eqn)
    values = [broadcast_to(term, shape) for term in terms if isinstance(term, Lanes)]
    result = zeros_like_value(eqn)
    return merge(result, [group for value in values for group in value.groups])


@rule(
    "copy", "copy_p", "name", "sharding_constraint", "device_put", "optimization_barrier",
    "pvary", "reduce_precision", "relayout", "with_memory_space_constraint",
)  # fmt: skip
def identity(eqn: JaxprEqn, operands: Operands) -> Sequence[Lanes]:
    """y = t, for primitives that change where or how a value is kept."""
    return [x for x in operands if isinstance(x, Lanes)] if len(eqn.outvars) == 1 else list(operands)


@rule("convert_element_type")
def convert(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t in another dtype: the data is converted, the index stays."""
    dtype = np.dtype(equations.output(eqn).dtype)
    value = operands[0]
    if value.dtype.kind == "c" and dtype.kind != "c":
        value = value.map_data(lambda data: data.real if is_known(data) else lax.real(data))
    return _map(value, eqn, lambda data: lax.convert_element_type(data, dtype), dtype)


@rule("real")
def real(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = Re t: data [a + bi] becomes [a]."""
    return _map(operands[0], eqn, lax.real, None)


@rule("imag")
def imaginary(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = Im t: data [a + bi] becomes [b]."""
    return _map(operands[0], eqn, lax.imag, None)


@rule("conj")
def conjugate(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = conj t: data [a + bi] becomes [a - bi]; a real t becomes complex."""
    return _map(operands[0], eqn, lax.conj, None)


@rule("complex")
def complex_(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = s + i t: data [a] of s becomes [a + 0i], data [b] of t becomes [0 + bi]."""
    re, im = operands
    parts = []
    if isinstance(re, Lanes):
        parts.append(_map(re, eqn, lambda a: lax.complex(a, np.zeros(a.shape, a.dtype)), None))
    if isinstance(im, Lanes):
        parts.append(_map(im, eqn, lambda b: lax.complex(np.zeros(b.shape, b.dtype), b), None))
    return total(eqn, parts)


def _map(value: Lanes, eqn: JaxprEqn, function: Callable[[Any], Any], dtype: Any) -> Lanes:
    """Apply an elementwise function; known data of one number stays known."""

    def apply(data: Any) -> Any:
        if dtype is not None and is_known(data):
            return data.astype(dtype)
        return function(data)

    return value.map_data(apply, equations.output(eqn).dtype)


@rule("select_n")
def select(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_i = case[which_i]_i: where a case is not taken, its entry is zero.

    A `which` that is known drops the entries; one that is traced puts zeros there, selected rather
    than multiplied, so that a NaN in the case that is not taken stays out.
    """
    which, cases = operands[0], operands[1:]
    known = static_value(which)
    if known is not None:
        kept = [
            masked_by(case, np.broadcast_to(known.astype(np.int32) == j, case.shape))
            for j, case in enumerate(cases)
            if isinstance(case, Lanes)
        ]
        return total(eqn, kept)
    both = _select_same_index(which, cases)
    if both is not None:
        return zeros_like_value(eqn).with_groups(both)
    return total(eqn, [_taken(which, j, x) for j, x in enumerate(cases) if isinstance(x, Lanes)])


def _taken(which: Any, j: int, case: Lanes) -> Lanes:
    taken = lax.eq(which, lax.full_like(which, j)) if which.dtype != bool else _truth(which, j)
    return case.map_data(lambda data: _select(taken, data, None))


def _truth(which: Any, j: int) -> Any:
    return which if j else lax.bitwise_not(which)


def _select(mask: Any, data: Any, other: Any) -> Any:
    """Data where the mask is true, else `other` (zero for None); the mask has the value's shape."""
    mask = mask.reshape((1, *mask.shape)) if mask.ndim else mask.reshape((1,) * data.ndim)
    rest = np.zeros((1,) * data.ndim, data.dtype) if other is None else other
    return combined(lax.select, mask, data, rest)


def _select_same_index(which: Any, cases: Sequence[Any]) -> list[Group] | None:
    """Two cases whose groups have the same indices: one select for each group."""
    if len(cases) != 2 or which.dtype != bool or not all(isinstance(c, Lanes) for c in cases):
        return None
    off, on = cases
    if len(off.groups) != len(on.groups):
        return None
    for a, b in zip(off.groups, on.groups, strict=True):
        if a.index.shape != b.index.shape or not np.array_equal(a.index, b.index):
            return None
    return [
        Group(_select(which, b.data, a.data), a.index)
        for a, b in zip(off.groups, on.groups, strict=True)
    ]
