"""Unions of patterns: one index that holds the inputs of several tangents of one value.

A loop carries the coefficients of a tangent as one array, on lanes that stay the same from step to
step; the branches of a `cond` return theirs on the same lanes. `union` finds such lanes, and
`coefficients_on` writes a tangent on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.tangents.contract import lanes_first
from jaxcalc.engine.tangents.lanes import Group, Lanes, fill, shrink, spread_lanes, valid_data
from jaxcalc.engine.tangents.merge import compress
from jaxcalc.engine.tangents.slots import add_into_slots
from jaxcalc.heuristics import heuristics


def union(index: np.ndarray | None, value: Lanes) -> np.ndarray | None:
    """An index that holds every entry of `index` and of `value`; `index` itself where it does.

    Lanes are kept as they are where that takes fewest elements, as it does for a stencil. Else the
    inputs of each element are sorted, which makes the index uniform along the axes along which all
    elements have the same inputs.
    """
    indices = [g.index for g in value.groups]
    if not indices:
        return index
    if index is not None and holds(index, value):
        return index
    joined = _joined([*([] if index is None else [index]), *indices])
    ordered = shrink(compress(joined)[1])
    if joined.shape[0] > heuristics().kept_lanes:
        return ordered
    kept = shrink(_lane_by_lane(joined))
    return ordered if ordered.size < kept.size else kept


def columns(values: Sequence[Lanes]) -> np.ndarray:
    """Every input that some element of some value depends on, in order."""
    found = [np.unique(g.index) for x in values for g in x.groups]
    every = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int32)
    return every[every >= 0]


def holds(index: np.ndarray, value: Lanes) -> bool:
    """Whether an index has a place for every entry of a tangent."""
    if not value.groups:
        return True
    given = _joined([g.index for g in value.groups])
    return bool(((given < 0) | (places(index, given) >= 0)).all())


def coefficients_on(index: np.ndarray, value: Lanes) -> Any:
    """The data `[k, *S]` of a tangent on the lanes of `index`, zero where there is no entry.

    Raises:
        AssertionError: the tangent has an entry that the index has no place for.
    """
    count = index.shape[0]
    if not value.groups:
        return jnp.zeros((count, *value.shape), value.dtype)
    given = _joined([g.index for g in value.groups])
    data = [spread_lanes(valid_data(g), g.lanes) for g in value.groups]
    inner = np.broadcast_shapes(*(d.shape[1:] for d in data))
    joined = jnp.concatenate([jnp.broadcast_to(d, (d.shape[0], *inner)) for d in data])
    if given.shape == index.shape and np.array_equal(given, index):
        return fill(joined, count, value.shape)
    slots = places(index, given)
    if ((slots < 0) & (given >= 0)).any():
        raise AssertionError("a tangent has entries outside of the pattern that it is written on")
    wide = np.broadcast_shapes(inner, slots.shape[1:])
    joined = jnp.broadcast_to(joined, (joined.shape[0], *wide))
    return fill(add_into_slots(joined, slots, count), count, value.shape)


def restricted(value: Lanes, pattern: Lanes) -> Lanes:
    """A tangent without the entries that `pattern` lacks, where they are known to be zero."""
    if not pattern.groups:
        return value.with_groups([])
    return kept_on(_joined([g.index for g in pattern.groups]), value)


def kept_on(index: np.ndarray, value: Lanes) -> Lanes:
    """A tangent without the entries that an index has no place for, where they are known to be zero."""
    groups = []
    for group in value.groups:
        missing = (places(index, group.index) < 0) & (group.index >= 0)
        left = np.where(missing, np.asarray(-1, group.index.dtype), group.index)
        groups.append(Group(group.data, shrink(left)) if missing.any() else group)
    return value.with_groups(groups)


def widened(index: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The smallest index that holds another one and is uniform along `axes`."""
    wide = [a for a in axes if index.shape[1 + a] > 1]
    if not wide:
        return index
    lanes = compress(lanes_first(index, wide))[1]
    shape = [1 if a in wide else n for a, n in enumerate(index.shape[1:])]
    return shrink(lanes.reshape((lanes.shape[0], *shape)))


def places(index: np.ndarray, given: np.ndarray) -> np.ndarray:
    """For each lane and element of `given`, the lane of `index` with that input; -1 for none."""
    shape = np.broadcast_shapes(index.shape[1:], given.shape[1:])
    found = np.full((given.shape[0], *shape), -1, np.int32)
    if index.shape[0] * given.shape[0] * prod(shape) <= 1 << 24:
        for lane in range(index.shape[0]):
            found[np.broadcast_to((given == index[lane]) & (given >= 0), found.shape)] = lane
        return found
    index = np.broadcast_to(index, (index.shape[0], *shape))
    given = np.broadcast_to(given, (given.shape[0], *shape))
    slots, inputs = compress(np.concatenate([index, given]))
    lanes = np.full((inputs.shape[0] + 1, *shape), -1, np.int32)  # the last one is for "none"
    mine = slots[: index.shape[0]]
    numbers = np.arange(index.shape[0], dtype=np.int32).reshape((-1,) + (1,) * len(shape))
    np.put_along_axis(lanes, np.where(mine < 0, inputs.shape[0], mine), numbers, axis=0)
    lanes[-1] = -1
    return np.take_along_axis(lanes, slots[index.shape[0] :], axis=0)


def _joined(indices: Sequence[np.ndarray]) -> np.ndarray:
    """All lanes in one array."""
    shape = np.broadcast_shapes(*(index.shape[1:] for index in indices))
    return np.concatenate([np.broadcast_to(i, (i.shape[0], *shape)) for i in indices])


def _lane_by_lane(joined: np.ndarray) -> np.ndarray:
    """The entries of all lanes, each once: in its lane, in a free place, or in a new lane."""
    lanes: list[np.ndarray] = []
    for given in joined:
        present = np.zeros(given.shape, bool)
        for lane in lanes:
            present |= lane == given
        missing = np.where(present, np.asarray(-1, given.dtype), given)
        if (missing < 0).all():
            continue
        for i, lane in enumerate(lanes):
            if ((lane < 0) | (missing < 0)).all():
                lanes[i] = np.where(lane < 0, missing, lane)
                break
        else:
            lanes.append(missing)
    return np.stack(lanes)
