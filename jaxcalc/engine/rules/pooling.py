"""Pooling: sums over sliding windows, and what the largest element of each window passes on."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine import equations
from jaxcalc.engine.operands import zeros_like_value
from jaxcalc.engine.registry import Operands, rule
from jaxcalc.engine.rules import windows as w
from jaxcalc.engine.rules.reduction import along_axes
from jaxcalc.formats.lanes import Group, Lanes
from jaxcalc.formats.merge import merge


@rule("reduce_window_sum")
def window_sum(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = sum over places k of t_(p + k): for windows of two, [a, b, c] becomes [a + b, b + c].

    Lane by lane where t is uniform along the window; else every place makes lanes of its own.
    """
    value, result = operands[0], zeros_like_value(eqn)
    windows = _windows(eqn)
    axes, places = _axes(windows), w.places(windows, value.shape, result.shape)

    def aligned(part: Lanes, group: Group) -> list[Group]:
        mask = w.reached(group, windows, value.shape, result.shape)
        return w.only(along_axes(eqn, part, axes).groups, mask)

    def read(part: Lanes) -> list[Group]:
        copies = [w.shifted(part, windows, place, result.shape) for place in places]
        return w.packed([g for copy in copies for g in copy.groups])

    return merge(result, w.read_or_aligned(value, axes, len(places), [], aligned, read))


@rule("select_and_gather_add")
def pick(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = t at the element of window p that an operand selects, such as the largest.

    Which one that is, is found when the function runs: every place may be it, so for windows of two
    there are two lanes, [a, b] and [b, c], one of them zero at each element.
    """
    value, operand = operands
    result, windows = zeros_like_value(eqn), _windows(eqn)
    axes, places = _axes(windows), w.places(windows, value.shape, result.shape)

    def aligned(part: Lanes, group: Group) -> list[Group]:
        mask = w.reached(group, windows, value.shape, result.shape)
        lanes = along_axes(eqn, part, axes, lambda lane: equations.bind(eqn, [lane, operand])[0])
        return w.only(lanes.groups, mask)

    def read(part: Lanes) -> list[Group]:
        chosen = _Chosen(eqn, operand, windows)
        groups: list[Group] = []
        for place in places:
            copy = w.shifted(part, windows, place, result.shape)
            groups += copy.map_data(lambda data, place=place: chosen.keep(data, place)).groups  # type: ignore[misc]
        return w.packed(groups)

    return merge(result, w.read_or_aligned(value, axes, len(places), [], aligned, read))


@rule("select_and_scatter_add")
def pass_back(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = for each window p, t_p added at the element that an operand selects: `pick` transposed.

    For windows of two there are two lanes, [a, b, 0] and [0, a, b], one of them zero for each of a, b.
    """
    value, operand = operands
    result, windows = zeros_like_value(eqn), _windows(eqn)
    back = [_backwards(window) for window in windows]
    axes, places = _axes(windows), w.places(windows, result.shape, value.shape)

    def aligned(part: Lanes, group: Group) -> list[Group]:
        mask = w.reached(group, back, value.shape, result.shape)
        lanes = along_axes(eqn, part, axes, lambda lane: equations.bind(eqn, [lane, operand])[0])
        return w.only(lanes.groups, mask)

    def read(part: Lanes) -> list[Group]:
        chosen = _Chosen(eqn, operand, windows)
        groups: list[Group] = []
        for place in places:
            kept = part.map_data(lambda data, place=place: chosen.keep(data, place))  # type: ignore[misc]
            groups += w.shifted(kept, back, place, result.shape).groups
        return w.packed(groups)

    return merge(result, w.read_or_aligned(value, axes, len(places), [], aligned, read))


def _windows(eqn: JaxprEqn) -> list[w.Window]:
    pooling = equations.pooling(eqn)
    rows = zip(*pooling, strict=True)
    return [
        w.Window(size, stride, low, base, dilation) for size, stride, (low, _), base, dilation in rows
    ]


def _axes(windows: w.Windows) -> list[int]:
    """The axes along which a window does more than copy."""
    return [a for a, window in enumerate(windows) if window != w.Window()]


def _backwards(window: w.Window) -> w.Window:
    """From the element that place k of window p reads, p stride + k - low, back to p.

    Seen from element q, that is (q + low - k) / stride: a window over the windows, with holes.
    """
    return w.Window(window.size, 1, -window.low, window.stride, -1)


class _Chosen:
    """Which place of each window the operand selects, as masks."""

    def __init__(self, eqn: JaxprEqn, operand: Any, windows: w.Windows) -> None:
        self.windows = windows
        self.found = {a: _coordinate(eqn, operand, a) for a in _axes(windows)}

    def keep(self, data: Any, place: w.Place) -> Any:
        """The data of the windows that select this place, zeros for the others."""
        mask = None
        for a, found in self.found.items():
            window = self.windows[a]
            line = np.arange(found.shape[a]) * window.stride + place[a] * window.dilation - window.low
            # one more than the coordinate in the operand: what lies outside is zero
            wanted = (line // window.base + 1).astype(found.dtype)
            here = found == wanted.reshape([-1 if b == a else 1 for b in range(found.ndim)])
            mask = here if mask is None else mask & here
        if mask is None:
            return data
        return jnp.where(mask[None], data, jnp.zeros((), data.dtype))


def _coordinate(eqn: JaxprEqn, operand: Any, axis: int) -> Any:
    """One more than the coordinate that each window selects along an axis.

    The primitive itself says so, applied to the coordinates; in at least float32, which holds them.
    """
    dtype = jnp.promote_types(operand.dtype, np.float32)
    line = lax.broadcasted_iota(dtype, operand.shape, axis) + jnp.ones((), dtype)
    operand = lax.convert_element_type(operand, dtype)
    return _gather_selected(eqn, line, operand)


def _gather_selected(eqn: JaxprEqn, values: Any, operand: Any) -> Any:
    if eqn.primitive.name == "select_and_gather_add":
        return equations.bind(eqn, [values, operand])[0]
    sources: Any = eqn.invars[0].aval  # one element for each window
    transposed = jax.linear_transpose(
        lambda source: equations.bind(eqn, [source, operand])[0],
        jax.ShapeDtypeStruct(sources.shape, operand.dtype),
    )
    (selected,) = transposed(values)
    return selected
