"""Pooling: sums over sliding windows, and what the largest element of each window passes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.rules import windows as w
from jaxcalc.engine.rules.indexing import contributions, taken
from jaxcalc.engine.rules.operands import zeros_like_value
from jaxcalc.engine.rules.reduction import along_axes
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents.contract import sum_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, spread
from jaxcalc.engine.tangents.merge import merge
from jaxcalc.heuristics import heuristics

# Up to so many places, masks that are made once serve all lanes; XLA's own operation, which compares
# again in every lane, is an order of magnitude slower on CPU.


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

    def read(part: Lanes) -> Sequence[Group]:
        if len(places) > heuristics().copied_places:
            return sum_along(
                taken(part, w.sources(windows, places, value.shape, result.shape)), [0]
            ).groups
        copies = [w.shifted(part, windows, place, result.shape) for place in places]
        return w.packed([g for copy in copies for g in copy.groups])

    return _pooled(value, result, windows, axes, aligned, read)


@rule("select_and_gather_add")
def pick(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = t at the element of window p that an operand selects, such as the largest.

    Which one that is, is found when the function runs: every place may be it, so for windows of two
    there are two lanes, [a, b] and [b, c], one of them zero at each element.
    """
    value, operand = operands
    result, windows = zeros_like_value(eqn), _windows(eqn)
    axes, places = _axes(windows), w.places(windows, value.shape, result.shape)

    def aligned(part: Lanes) -> Sequence[Group]:
        if len(places) > heuristics().pooled_places:
            return _bound_lane_by_lane(eqn, part, operand, axes)
        chosen = _picked(eqn, operand, windows)

        def picked(data: Any) -> Any:
            terms = (
                _keep(w.shifted_in_full(data, windows, place, result.shape), chosen([place])[0])
                for place in places
            )
            return reduce(lax.add, terms)

        return _in_full(part, picked)

    def read(part: Lanes) -> Sequence[Group]:
        chosen = _picked(eqn, operand, windows)
        if len(places) > heuristics().copied_places:
            copies = taken(part, w.sources(windows, places, value.shape, result.shape))
            mask = chosen(places)
            return sum_along(copies.map_data(lambda data: _keep(data, mask)), [0]).groups
        groups: list[Group] = []
        for place in places:
            copy, mask = w.shifted(part, windows, place, result.shape), chosen([place])[0]
            groups += [Group(_keep(g.data, mask), g.index) for g in copy.groups]
        return w.packed(groups)

    return _pooled(value, result, windows, axes, aligned, read)


@rule("select_and_scatter_add")
def pass_back(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = for each window p, t_p added at the element that an operand selects: `pick` transposed.

    For windows of two there are two lanes, [a, b, 0] and [0, a, b], one of them zero for each of a, b.
    """
    value, operand = operands
    result, windows = zeros_like_value(eqn), _windows(eqn)
    back = [_backwards(window) for window in windows]
    axes, places = _axes(windows), w.places(windows, result.shape, value.shape)

    def aligned(part: Lanes) -> Sequence[Group]:
        if len(places) > heuristics().pooled_places:
            return _bound_lane_by_lane(eqn, part, operand, axes)
        chosen = _first_selected(eqn, operand, windows, places, value.shape)

        def passed_back(data: Any) -> Any:
            terms = (
                w.shifted_in_full(_keep(data, chosen == np.int32(number)), back, place, result.shape)
                for number, place in enumerate(places)
            )
            return reduce(lax.add, terms)

        return _in_full(part, passed_back)

    def read(part: Lanes) -> Sequence[Group]:
        if len(places) > heuristics().copied_places:
            return _pass_back_at_once(eqn, part, operand, windows, places).groups
        chosen = _first_selected(eqn, operand, windows, places, value.shape)
        groups: list[Group] = []
        for number, place in enumerate(places):
            mask = chosen == np.int32(number)
            kept = part.map_data(lambda data, mask=mask: _keep(data, mask))  # type: ignore[misc]
            groups += w.shifted(kept, back, place, result.shape).groups
        return w.packed(groups)

    return _pooled(value, result, back, axes, aligned, read)


def _pooled(
    value: Lanes,
    result: Lanes,
    windows: w.Windows,
    axes: Sequence[int],
    aligned: Callable[[Lanes], Sequence[Group]],
    read: Callable[[Lanes], Sequence[Group]],
) -> Lanes:
    """The value through windows that mix it along `axes`, in the cheaper way for each group."""

    def reads(group: Group) -> np.ndarray:
        return w.reads(group, windows, value.shape, result.shape)

    return merge(result, w.apply(value, w.Operation(axes, [], reads, aligned, read)))


def _bound_lane_by_lane(
    eqn: JaxprEqn, part: Lanes, operand: Any, axes: Sequence[int]
) -> Sequence[Group]:
    return along_axes(eqn, part, axes, lambda lane: equations.bind(eqn, [lane, operand])[0]).groups


def _in_full(part: Lanes, move: Callable[[Any], Any]) -> list[Group]:
    """Apply a move to all lanes of a uniform tangent at once."""
    axes = range(len(part.shape))
    return [Group(move(spread(g.data, axes, part.shape)), g.index) for g in part.groups]


def _windows(eqn: JaxprEqn) -> list[w.Window]:
    pooling = indexing.pooling(eqn)
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


def _pass_back_at_once(
    eqn: JaxprEqn, part: Lanes, operand: Any, windows: w.Windows, places: Sequence[w.Place]
) -> Lanes:
    """All places of a large window at once, by gathers."""
    result = zeros_like_value(eqn)
    sources = w.sources(windows, places, result.shape, part.shape)
    patches = jnp.take(operand.reshape(-1), np.maximum(sources, 0), mode="clip")
    last = -np.inf if indexing.selects_largest(eqn) else np.inf
    best = jnp.where(sources >= 0, patches, jnp.asarray(last, operand.dtype))
    best = (best.max if last < 0 else best.min)(axis=0, keepdims=True)
    chosen = jnp.argmax((sources >= 0) & (patches == best), axis=0)[None]
    numbers = np.arange(len(places)).reshape((-1,) + (1,) * len(part.shape))
    copies = Lanes((len(places), *part.shape), part.dtype).with_groups(
        [Group(_keep(g.data[:, None], chosen == numbers), g.index[:, None]) for g in part.groups]
    )
    back = contributions(sources.reshape(-1), result.size)
    return sum_along(taken(copies, back.reshape((-1, *result.shape))), [0])


def _keep(data: Any, mask: Any) -> Any:
    """The data of the windows that select a place, zeros for the others."""
    return jnp.where(mask[None], data, jnp.zeros((), data.dtype))


def _picked(eqn: JaxprEqn, operand: Any, windows: w.Windows) -> Callable[[Sequence[w.Place]], Any]:
    """Which windows of a `select_and_gather_add` select each of some places.

    The primitive itself says so, applied to coordinates; in at least float32, which holds them.
    """
    dtype = jnp.promote_types(operand.dtype, np.float32)
    wide = lax.convert_element_type(operand, dtype)
    found = {}
    for axis in _axes(windows):
        # one more than the coordinate: where padding is selected there is a zero
        line = lax.broadcasted_iota(dtype, operand.shape, axis) + jnp.ones((), dtype)
        found[axis] = equations.bind(eqn, [line, wide])[0]

    def mask(places: Sequence[w.Place]) -> Any:
        result: Any = np.ones((len(places),) + (1,) * operand.ndim, bool)
        steps = np.asarray(places, int).reshape(len(places), operand.ndim)
        for axis, selected in found.items():
            count = selected.shape[axis]
            line = w.coordinates(windows[axis], steps[:, axis], operand.shape[axis], count)
            line = line.reshape([-1] + [count if a == axis else 1 for a in range(operand.ndim)])
            result = result & (selected[None] == (line + 1).astype(dtype)) & (line >= 0)
        return result

    return mask


def _first_selected(
    eqn: JaxprEqn, operand: Any, windows: w.Windows, places: Sequence[w.Place], sizes: Shape
) -> Any:
    """Which place each window of a `select_and_scatter_add` selects: it keeps one until that loses.

    As XLA does it, padding is never selected, not even beside minus infinity.
    """
    best: Any = jnp.zeros(sizes, operand.dtype)
    chosen: Any = np.full((1,) * len(sizes), -1, np.int32)
    for number, place in enumerate(places):
        inside = w.inside(windows, place, operand.shape, sizes)
        value = jnp.broadcast_to(w.shifted_array(operand[None], windows, place, sizes)[0], sizes)
        wins = inside & ((chosen < 0) | ~indexing.keeps(eqn, best, value))
        best = jnp.where(wins, value, best)
        chosen = jnp.where(wins, np.int32(number), chosen)
    return chosen
