"""Gather, scatter and slices at run-time places.

Places that are known are positional: a map from each output element to the operand's element that it
copies. Places that are traced may be anything, so the tangent is made uniform along the axes that
they move along; the other axes keep their structure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules import gather_indices as places_of
from jaxcalc.engine.rules.elementwise import negated, scaled
from jaxcalc.engine.rules.operands import static_value, zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.rules.shape import padded
from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.contract import masked_by, sum_along, uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, is_known, shrink, spread
from jaxcalc.engine.tangents.merge import merge


def taken(value: Lanes, sources: np.ndarray) -> Lanes:
    """The value whose element p is element `sources[p]` of `value`, flat; -1 for zero.

    Example: sources [2, -1, 0] of [a, b, c] give [c, 0, a].
    """
    groups = []
    for group in value.groups:
        index = _take(group.index, sources, value.shape, lambda a, s: a[:, s])
        missing = sources[None] < 0
        if missing.any():
            index = np.where(missing, np.asarray(-1, index.dtype), index)
        data = _take(group.data, sources, value.shape, _take_data)
        groups.append(Group(data, shrink(index)))
    return Lanes(sources.shape, value.dtype).with_groups(groups)


def _take(array: Any, sources: np.ndarray, shape: Shape, take: Callable[[Any, np.ndarray], Any]) -> Any:
    """Look up positions in an array `[k, *S or 1s]`, along the axes that vary only."""
    varying = [a for a in range(len(shape)) if array.shape[1 + a] > 1]
    if not varying:
        return array.reshape((array.shape[0],) + (1,) * sources.ndim)
    # in one line: numpy 2.4 returns wrong coordinates for large arrays that end in axes of size one
    coordinates = np.unravel_index(np.maximum(sources, 0).reshape(-1), shape)
    places = np.ravel_multi_index([coordinates[a] for a in varying], [shape[a] for a in varying])
    places = places.astype(np.int32 if prod(shape) < 2**31 else np.int64)
    places = shrink(places.reshape((1, *sources.shape)))[0]
    return take(array.reshape((array.shape[0], -1)), places)


def _take_data(data: Any, places: np.ndarray) -> Any:
    if is_known(data):
        return data[:, places]
    return jnp.take(data, places, axis=1, mode="clip")


@rule("gather")
def gather(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = t at places_p: for places [2, 0], [a, b, c] becomes [c, a]."""
    value, places = operands
    known = static_value(places)
    if known is None:
        return _gather_anywhere(eqn, value, places)
    if value.size == 0:
        return zeros_like_value(eqn)
    sources = places_of.gather_sources(eqn, value.shape, known)
    return taken(value, sources)


def _gather_anywhere(eqn: JaxprEqn, value: Lanes, places: Any) -> Lanes:
    kept = places_of.gather_axes(eqn, value.shape, places.ndim)
    mixed = [a for a in range(len(value.shape)) if a not in kept]
    result = zeros_like_value(eqn)
    groups = []
    for group in uniform_along(value, mixed).groups:
        data = spread(group.data, range(len(value.shape)), value.shape)
        data = jax.vmap(lambda lane: equations.bind(eqn, [lane, places])[0])(data)
        groups.append(Group(data, _renamed(group.index, kept, len(result.shape))))
    return result.with_groups(groups)


def _renamed(index: np.ndarray, kept: dict[int, int], rank: int) -> np.ndarray:
    """An index whose axis a becomes axis `kept[a]` of the result; it is uniform along all others."""
    order = sorted(kept, key=kept.__getitem__)
    rest = [a for a in range(index.ndim - 1) if a not in kept]
    inner = manipulation.transpose(index, [*order, *rest])
    inner = inner.reshape(inner.shape[: 1 + len(order)])
    return manipulation.insert_axes(inner, rank, [kept[a] for a in order])


@rule("scatter-add", "scatter-sub")
def scatter_add(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = s, with t_p added at places_p: for places [1, 1], t = [a, b] adds a + b to element 1.

    Or, in `scatter-sub`, taken away there.
    """
    base, places, updates = operands
    groups = list(base.groups) if isinstance(base, Lanes) else []
    return merge(zeros_like_value(eqn), [*groups, *_arriving(eqn, updates, places)])


def _arriving(eqn: JaxprEqn, updates: Any, places: Any) -> Sequence[Group]:
    """What the updates of a scatter bring to its result; nothing when they are no tangent."""
    if not isinstance(updates, Lanes) or not updates.groups:
        return []
    known = static_value(places)
    if known is None:
        return _scatter_anywhere(eqn, updates, places).groups
    return _scatter_known(eqn, updates, known, zeros_like_value(eqn)).groups


def _scatter_known(eqn: JaxprEqn, updates: Lanes, places: np.ndarray, result: Lanes) -> Lanes:
    targets = places_of.scatter_targets(eqn, result.shape, places, updates.shape)
    sources = contributions(targets.reshape(-1), result.size)
    if not len(sources):
        return result
    added = sum_along(taken(updates, sources.reshape((-1, *result.shape))), [0])
    return negated(added) if eqn.primitive.name == "scatter-sub" else added


@rule("scatter-mul")
def scatter_multiply(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t, with t_p multiplied by c_p at places_p: element by element, by ones elsewhere."""
    value, places, updates = operands
    ones = jnp.ones(value.shape, value.dtype)
    factor = equations.bind(eqn, [ones, places, updates])[0]
    return scaled(value, factor)


def contributions(targets: np.ndarray, count: int) -> np.ndarray:
    """Turn a map around: which elements go into each target, `[m, count]`, -1 for none.

    Example: targets [1, 0, 1] of two give [[1, 0], [-1, 2]].
    """
    order = np.argsort(targets, kind="stable")
    order = order[np.searchsorted(targets[order], 0) :]  # -1 is dropped
    target = targets[order]
    starts = np.searchsorted(target, target, side="left")
    turn = np.arange(len(target)) - starts
    sources = np.full((int(turn.max(initial=-1)) + 1, count), -1, np.int64)
    sources[turn, target] = order
    return sources


def _scatter_anywhere(eqn: JaxprEqn, updates: Lanes, places: Any) -> Lanes:
    result = zeros_like_value(eqn)
    kept = places_of.scatter_axes(eqn, result.shape, updates.shape)
    mixed = [a for a in range(len(updates.shape)) if a not in kept]
    zeros = jnp.zeros(result.shape, result.dtype)
    groups = []
    for group in uniform_along(updates, mixed).groups:
        data = spread(group.data, range(len(updates.shape)), updates.shape)
        data = jax.vmap(lambda lane: equations.bind(eqn, [zeros, places, lane])[0])(data)
        groups.append(Group(data, _renamed(group.index, kept, len(result.shape))))
    return result.with_groups(groups)


@rule("scatter")
def scatter(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = s, with t_p written at places_p: for places [1], s keeps its element 0, t brings element 1.

    JAX makes a linear scatter of this kind only where no two places are the same.
    """
    base, places, updates = operands
    groups: Sequence[Group] = []
    if isinstance(base, Lanes) and base.groups:
        groups = _kept(eqn, base, places, updates.shape).groups
    return merge(zeros_like_value(eqn), [*groups, *_arriving(eqn, updates, places)])


def _kept(eqn: JaxprEqn, base: Lanes, places: Any, updates: Shape) -> Lanes:
    """Zeros where the updates will be; with places that are traced, all entries stay."""
    known = static_value(places)
    if known is not None:
        targets = places_of.scatter_targets(eqn, base.shape, known, updates).reshape(-1)
        free = np.ones(base.size, bool)
        free[targets[targets >= 0]] = False
        return masked_by(base, free.reshape(base.shape))
    zeros = jnp.zeros(updates, base.dtype)

    def erase(data: Any) -> Any:
        data = spread(data, range(len(base.shape)), base.shape)
        return jax.vmap(lambda lane: equations.bind(eqn, [lane, places, zeros])[0])(data)

    return base.map_data(erase)


@rule("dynamic_slice")
def dynamic_slice(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_i = t_(start + i), the start clamped so that the slice fits."""
    value, *starts = operands
    sizes = equations.slice_sizes(eqn)
    known = _clamped(starts, value.shape, sizes)
    result = zeros_like_value(eqn)
    if known is not None:
        bounds = [(start, start + n, 1) for start, n in zip(known, sizes, strict=True)]
        groups = [
            Group(
                manipulation.slice_axes(g.data, bounds),
                shrink(manipulation.slice_axes(g.index, bounds)),
            )
            for g in value.groups
        ]
        return result.with_groups(groups)
    moving = [a for a, n in enumerate(sizes) if n < value.shape[a]]
    groups = []
    for group in uniform_along(value, moving).groups:
        data = spread(group.data, moving, value.shape)
        inner = [n if data.shape[1 + a] > 1 else data.shape[1 + a] for a, n in enumerate(sizes)]
        data = lax.dynamic_slice(
            data, _lane_starts(starts, data), (data.shape[0], *inner), allow_negative_indices=False
        )
        groups.append(Group(data, group.index))
    return result.with_groups(groups)


def _lane_starts(starts: Sequence[Any], data: Any) -> list[Any]:
    """Start positions with one for the lane axis; zero along axes that do not vary."""
    zero = np.zeros((), starts[0].dtype) if starts else 0
    return [zero, *(s if data.shape[1 + a] > 1 else zero for a, s in enumerate(starts))]


def _clamped(starts: Sequence[Any], shape: Shape, sizes: Sequence[int]) -> list[int] | None:
    known = [static_value(s) for s in starts]
    if any(k is None for k in known):
        return None
    return [
        int(np.clip(k, 0, n - size))  # type: ignore[arg-type]
        for k, n, size in zip(known, shape, sizes, strict=True)
    ]


@rule("dynamic_update_slice")
def dynamic_update_slice(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = s with t written over a part of it: s keeps its entries outside, t brings its own."""
    base, update, *starts = operands
    result, sizes = zeros_like_value(eqn), update.shape
    known = _clamped(starts, result.shape, sizes)
    groups: list[Group] = []
    if known is None:
        if isinstance(base, Lanes):
            groups += _erased(base, sizes, starts)
        if isinstance(update, Lanes):
            groups += _written(update, result, starts)
        return merge(result, groups)
    padding = [
        (start, n - start - size, 0) for start, n, size in zip(known, result.shape, sizes, strict=True)
    ]
    if isinstance(base, Lanes):
        inside = manipulation.pad_index(np.zeros((1, *sizes), np.int32), padding, tuple(sizes))
        groups += masked_by(base, inside[0] < 0).groups
    if isinstance(update, Lanes):
        groups += padded(update, padding).groups
    return merge(result, groups)


def _erased(base: Lanes, sizes: Shape, starts: Sequence[Any]) -> list[Group]:
    """Zeros where the update will be; which entries these are is not known, so all stay."""
    groups = []
    for group in base.groups:
        data = spread(group.data, range(len(base.shape)), base.shape)
        zeros = jnp.zeros((data.shape[0], *sizes), base.dtype)
        groups.append(
            Group(
                lax.dynamic_update_slice(
                    data, zeros, _lane_starts(starts, data), allow_negative_indices=False
                ),
                group.index,
            )
        )
    return groups


def _written(update: Lanes, result: Lanes, starts: Sequence[Any]) -> list[Group]:
    moving = [a for a, n in enumerate(update.shape) if n < result.shape[a]]
    groups = []
    for group in uniform_along(update, moving).groups:
        data = spread(group.data, range(len(update.shape)), update.shape)
        zeros = jnp.zeros((data.shape[0], *result.shape), result.dtype)
        written = lax.dynamic_update_slice(
            zeros, data, [np.zeros((), starts[0].dtype), *starts], allow_negative_indices=False
        )
        groups.append(Group(written, group.index))
    return groups
