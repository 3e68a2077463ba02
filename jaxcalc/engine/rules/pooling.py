"""Pooling: sums over sliding windows, and what the largest element of each window passes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine import equations
from jaxcalc.engine.operands import zeros_like_value
from jaxcalc.engine.registry import Operands, rule
from jaxcalc.engine.rules import windows as w
from jaxcalc.engine.rules.reduction import along_axes
from jaxcalc.formats.lanes import Group, Lanes, Shape
from jaxcalc.formats.merge import merge


@rule("reduce_window_sum")
def window_sum(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = sum over places k of t_(p + k): for windows of two, [a, b, c] becomes [a + b, b + c].

    Lane by lane where t is uniform along the window; else every place makes lanes of its own.
    """
    value, result = operands[0], zeros_like_value(eqn)
    windows = _windows(eqn)
    axes, places = _axes(windows), w.places(windows, value.shape, result.shape)

    def aligned(part: Lanes) -> tuple[Group, ...]:
        return along_axes(eqn, part, axes).groups

    def read(part: Lanes) -> list[Group]:
        copies = [w.shifted(part, windows, place, result.shape) for place in places]
        return w.packed([g for copy in copies for g in copy.groups])

    def reads(group: Group) -> np.ndarray:
        return w.reads(group, windows, value.shape, result.shape)

    operation = w.Operation(axes, [], len(places), reads, aligned, read)
    return merge(result, w.apply(value, operation))


@rule("select_and_gather_add")
def pick(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = t at the element of window p that an operand selects, such as the largest.

    Which one that is, is found when the function runs: every place may be it, so for windows of two
    there are two lanes, [a, b] and [b, c], one of them zero at each element.
    """
    value, operand = operands
    result, windows = zeros_like_value(eqn), _windows(eqn)
    axes, places = _axes(windows), w.places(windows, value.shape, result.shape)

    def aligned(part: Lanes) -> tuple[Group, ...]:
        return along_axes(eqn, part, axes, lambda lane: equations.bind(eqn, [lane, operand])[0]).groups

    def read(part: Lanes) -> list[Group]:
        chosen = _picked(eqn, operand, windows)
        groups: list[Group] = []
        for place in places:
            copy, mask = w.shifted(part, windows, place, result.shape), chosen(place)
            groups += [Group(_keep(g.data, mask), g.index) for g in copy.groups]
        return w.packed(groups)

    def reads(group: Group) -> np.ndarray:
        return w.reads(group, windows, value.shape, result.shape)

    operation = w.Operation(axes, [], len(places), reads, aligned, read)
    return merge(result, w.apply(value, operation))


@rule("select_and_scatter_add")
def pass_back(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = for each window p, t_p added at the element that an operand selects: `pick` transposed.

    For windows of two there are two lanes, [a, b, 0] and [0, a, b], one of them zero for each of a, b.
    """
    value, operand = operands
    result, windows = zeros_like_value(eqn), _windows(eqn)
    back = [_backwards(window) for window in windows]
    axes, places = _axes(windows), w.places(windows, result.shape, value.shape)

    def aligned(part: Lanes) -> tuple[Group, ...]:
        return along_axes(eqn, part, axes, lambda lane: equations.bind(eqn, [lane, operand])[0]).groups

    def read(part: Lanes) -> list[Group]:
        chosen = _first_selected(eqn, operand, windows, places, value.shape)
        groups: list[Group] = []
        for place in places:
            mask = chosen(place)
            kept = part.with_groups([Group(_keep(g.data, mask), g.index) for g in part.groups])
            groups += w.shifted(kept, back, place, result.shape).groups
        return w.packed(groups)

    def reads(group: Group) -> np.ndarray:
        return w.reads(group, back, value.shape, result.shape)

    operation = w.Operation(axes, [], len(places), reads, aligned, read)
    return merge(result, w.apply(value, operation))


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


def _keep(data: Any, mask: Any) -> Any:
    """The data of the windows that select a place, zeros for the others."""
    if mask is None:
        return data
    return jnp.where(mask[None], data, jnp.zeros((), data.dtype))


def _picked(eqn: JaxprEqn, operand: Any, windows: w.Windows) -> Callable[[w.Place], Any]:
    """Which windows of a `select_and_gather_add` select a place.

    The primitive itself says so, applied to coordinates; in at least float32, which holds them.
    """
    dtype = jnp.promote_types(operand.dtype, np.float32)
    wide = lax.convert_element_type(operand, dtype)
    found = {}
    for axis in _axes(windows):
        # one more than the coordinate: where padding is selected there is a zero
        line = lax.broadcasted_iota(dtype, operand.shape, axis) + jnp.ones((), dtype)
        found[axis] = equations.bind(eqn, [line, wide])[0]

    def mask(place: w.Place) -> Any:
        result = None
        for axis, one_more in found.items():
            window, count = windows[axis], one_more.shape[axis]
            line = np.arange(count) * window.stride + place[axis] * window.dilation - window.low
            wanted = (line // window.base + 1).astype(one_more.dtype)
            here = one_more == wanted.reshape([-1 if a == axis else 1 for a in range(one_more.ndim)])
            result = here if result is None else result & here
        return result

    return mask


def _first_selected(
    eqn: JaxprEqn, operand: Any, windows: w.Windows, places: Sequence[w.Place], sizes: Shape
) -> Callable[[w.Place], Any]:
    """Which windows of a `select_and_scatter_add` select a place: each keeps one until it loses.

    As XLA does it, padding is never selected, not even beside minus infinity.
    """
    best: Any = jnp.zeros(sizes, operand.dtype)
    chosen: Any = np.full((1,) * len(sizes), -1, np.int32)
    for number, place in enumerate(places):
        inside = w.inside(windows, place, operand.shape, sizes)
        value = jnp.broadcast_to(w.shifted_array(operand[None], windows, place, sizes)[0], sizes)
        wins = inside & ((chosen < 0) | ~equations.keeps(eqn, best, value))
        best = jnp.where(wins, value, best)
        chosen = jnp.where(wins, np.int32(number), chosen)
    numbers = {place: np.int32(number) for number, place in enumerate(places)}
    return lambda place: chosen == numbers[place]
