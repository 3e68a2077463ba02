"""Sums over axes of a structured tangent, and making it uniform along axes that an operation mixes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.tangents.lanes import (
    Group,
    Lanes,
    is_uniform,
    shrink,
    shrink_mask,
    spread,
    spread_lanes,
    valid_data,
)
from jaxcalc.engine.tangents.merge import compress, deduplicate, merge


def uniform_along(value: Lanes, axes: Sequence[int]) -> Lanes:
    """The same tangent on lanes whose index does not vary along `axes`.

    Each element then has zeros for inputs that only its neighbors along `axes` depend on, so that
    any linear operation along these axes can be applied lane by lane.

    Example: the identity of three elements, made uniform, is three lanes of index 0, 1, 2 with data
    `[1,0,0]`, `[0,1,0]`, `[0,0,1]`.
    """
    if value.is_uniform(axes):
        return value
    return merge(value, [_uniform(group, axes, value) for group in value.groups])


def _uniform(group: Group, axes: Sequence[int], value: Lanes) -> Group:
    if is_uniform(group.index, axes):
        return group
    places = tuple(1 + axis for axis in axes)
    widest = group.index.max(axis=places, keepdims=True)
    if ((group.index == widest) | (group.index < 0)).all():
        # one input a lane, here and there absent; two lanes may come to hold the same one
        return deduplicate(Group(valid_data(group), shrink(widest)))
    slots, columns = compress(lanes_first(group.index, axes))
    wide = [1 if 1 + a in places else group.index.shape[1 + a] for a in range(len(value.shape))]
    slots = _lanes_back(slots, group.index, axes)
    count = columns.shape[0]
    # slot s of an element takes the lanes that hold its input: compare instead of scatter
    numbers = np.arange(count).reshape((count,) + (1,) * len(value.shape))
    data: Any = 0
    for lane in range(group.lanes):
        hit = slots[lane : lane + 1] == numbers
        lane_data = group.data[lane : lane + 1] if group.data.shape[0] > 1 else group.data
        data = data + jnp.where(hit, lane_data, jnp.zeros((), lane_data.dtype))
    return Group(data, shrink(columns.reshape((count, *wide))))


def lanes_first(index: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """An index `[k, *S]` as `[k * prod(axes), *kept axes]`."""
    kept = [a for a in range(index.ndim - 1) if a not in axes]
    moved = index.transpose([0, *(1 + a for a in axes), *(1 + a for a in kept)])
    return moved.reshape((-1, *(index.shape[1 + a] for a in kept)))


def _lanes_back(slots: np.ndarray, index: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The inverse of `lanes_first`."""
    kept = [a for a in range(index.ndim - 1) if a not in axes]
    order = [0, *(1 + a for a in axes), *(1 + a for a in kept)]
    return slots.reshape([index.shape[a] for a in order]).transpose(np.argsort(order))


def sum_along(value: Lanes, axes: Sequence[int]) -> Lanes:
    """The sum over `axes`, which are dropped.

    Lanes that are uniform along an axis stay and add up their data; where the index varies, each
    summed position becomes lanes of its own, and lanes of the same input are merged.

    Example: the sum of three elements with index `[0, 1, 2]` is three lanes 0, 1, 2 of one element.
    """
    shape = tuple(n for a, n in enumerate(value.shape) if a not in axes)
    result = Lanes(shape, value.dtype)
    return merge(result, [_sum(group, axes, value) for group in value.groups])


def _sum(group: Group, axes: Sequence[int], value: Lanes) -> Group:
    uniform = [a for a in axes if group.index.shape[1 + a] == 1]
    varying = [a for a in axes if group.index.shape[1 + a] > 1]
    data = _sum_uniform(group.data, uniform, value)
    if varying and (data.shape[0] > 1 or any(data.shape[1 + a] > 1 for a in varying)):
        # lanes and varying axes together are the new lanes; equal coefficients stay shared
        data = spread_lanes(spread(data, varying, value.shape), group.lanes)
    kept = [a for a in range(len(value.shape)) if a not in axes]
    order = [0, *(1 + a for a in varying), *(1 + a for a in uniform), *(1 + a for a in kept)]
    index = group.index.transpose(order)
    index = index.reshape((-1, *(group.index.shape[1 + a] for a in kept)))
    data = data.transpose(order).reshape((-1, *(data.shape[1 + a] for a in kept)))
    return deduplicate(Group(data, shrink(index))) if varying else Group(data, index)


def _sum_uniform(data: Any, axes: Sequence[int], value: Lanes) -> Any:
    full = tuple(1 + a for a in axes if data.shape[1 + a] == value.shape[a])
    repeats = prod(value.shape[a] for a in axes if 1 + a not in full)
    if full:
        data = data.sum(axis=full, keepdims=True, dtype=data.dtype)
    return data * np.asarray(repeats, data.dtype) if repeats != 1 else data


def masked_by(value: Lanes, mask: np.ndarray) -> Lanes:
    """The same tangent without the entries where a static mask of the value's shape is False."""
    if mask.all():
        return value
    mask = shrink_mask(np.broadcast_to(mask, value.shape)[None])
    minus_one = np.array(-1)
    groups = [
        Group(g.data, shrink(np.where(mask, g.index, minus_one.astype(g.index.dtype))))
        for g in value.groups
    ]
    return value.with_groups(groups)
