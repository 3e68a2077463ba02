"""Sums of structured tangents: lanes that hold the same input share a lane.

Without merging, lanes would grow with every addition. From cheap to general: groups of the same
index add their data; two lanes whose indices agree wherever both have an entry become one lane; a
lane whose inputs a uniform group contains is folded into that group; anything else goes through a
static map from (lane, element) to slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.tangents.lanes import (
    Group,
    Lanes,
    combined,
    is_known,
    shrink,
    shrink_mask,
    spread_lanes,
    valid_data,
)
from jaxcalc.engine.tangents.slots import add_into_slots
from jaxcalc.heuristics import heuristics

_SAMPLED = 64  # places of an index that are looked at before all of them are


def merge(value: Lanes, groups: Sequence[Group]) -> Lanes:
    """The sum of groups as one tangent like `value`, no element having the same input twice.

    Each group on its own must be free of duplicates already; see `deduplicate`.
    """
    groups = _add_equal([g for g in groups if g.index.size and (g.index >= 0).any()])
    if len(groups) > 1:
        groups = _fold_contained(groups)
    if len(groups) > 1:
        if sum(g.lanes for g in groups) <= heuristics().pairwise_lanes:
            groups, distinct = _merge_agreeing(groups)
        else:
            distinct = not has_duplicates([g.index for g in groups])
        if not distinct:
            groups = [_combine(groups)]
        elif len(groups) > heuristics().most_groups:
            groups = _side_by_side(groups)
    return value.with_groups(groups)


def deduplicate(group: Group) -> Group:
    """The same group with the lanes that hold one input for one element added together.

    Lanes without any entry are left out.
    """
    return _combine([group]) if has_duplicates([group.index]) else _without_empty_lanes(group)


def _without_empty_lanes(group: Group) -> Group:
    used = (group.index >= 0).reshape(group.lanes, -1).any(axis=1)
    if used.all():
        return group
    # a sum over positions that few entries fall on would else carry a lane for each position
    data = group.data[np.flatnonzero(used)] if group.data.shape[0] > 1 else group.data
    return Group(data, group.index[used])


def _add_equal(groups: Sequence[Group]) -> list[Group]:
    """Add the data of groups that have the same index."""
    if len(groups) < 2:
        return list(groups)
    summed: list[Group] = []
    alike: dict[Any, list[int]] = {}  # where groups are whose indices agree on a sample
    for group in groups:
        candidates = alike.setdefault((group.index.shape, _sample(group.index)), [])
        same = (i for i in candidates if _same_index(group.index, summed[i].index))
        place = next(same, None)
        if place is None:
            candidates.append(len(summed))
            summed.append(group)
        else:
            summed[place] = Group(_add(summed[place].data, group.data), summed[place].index)
    return summed


def _sample(index: np.ndarray) -> bytes:
    flat = index.reshape(-1)
    return bytes(flat[:: max(1, flat.size // _SAMPLED)].tobytes() + flat[-1:].tobytes())


def _same_index(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or (a.shape == b.shape and np.array_equal(a, b))


def _add(a: Any, b: Any) -> Any:
    """The sum of two data arrays, whose lane axis and others broadcast; known ones stay numpy."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a + b
    return combined(lax.add, a, b)


def _side_by_side(groups: Sequence[Group]) -> list[Group]:
    """Groups of one shape as one: each of many would be an equation in all that follows."""
    alike: dict[Any, list[Group]] = {}
    for group in groups:
        alike.setdefault((group.index.shape[1:], group.data.shape[1:]), []).append(group)
    return [few[0] if len(few) == 1 else _concatenated(few) for few in alike.values()]


def _concatenated(groups: Sequence[Group]) -> Group:
    data = [spread_lanes(group.data, group.lanes) for group in groups]
    join = np.concatenate if all(map(is_known, data)) else jnp.concatenate
    index = np.concatenate([group.index for group in groups])
    return Group(join(data), index, is_clean=all(group.is_clean for group in groups))


def _merge_agreeing(groups: Sequence[Group]) -> tuple[list[Group], bool]:
    """Join lanes of different groups whose indices agree wherever both have an entry.

    Returns the groups, and whether no element is left with the same input in two of them.
    """
    merged: list[tuple[Group, set[int]]] = []
    joined, distinct = False, True
    for source, group in enumerate(groups):
        for lane in _single_lanes(group):
            touching = [
                i
                for i, (other, sources) in enumerate(merged)
                if sources != {source} and _overlap(other.index, lane.index)
            ]
            if len(touching) == 1 and _agree(merged[touching[0]][0].index, lane.index):
                other, sources = merged[touching[0]]
                merged[touching[0]] = (_join(other, lane), sources | {source})
                joined = True
            else:
                merged.append((lane, {source}))
                distinct = distinct and not touching
    return ([lane for lane, _ in merged] if joined else list(groups)), distinct


def _single_lanes(group: Group) -> list[Group]:
    shared = group.data.shape[0] == 1
    return [
        Group(group.data if shared else group.data[i : i + 1], group.index[i : i + 1], group.is_clean)
        for i in range(group.lanes)
    ]


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two lanes have an input of some element in common."""
    return bool(((a == b) & (a >= 0)).any())


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two lanes nowhere have two different inputs, and one is as wide as both."""
    if np.broadcast_shapes(a.shape, b.shape) not in {a.shape, b.shape}:
        return False
    return bool(((a == b) | (a < 0) | (b < 0)).all())


def _join(a: Group, b: Group) -> Group:
    index = np.where(a.index >= 0, a.index, b.index)
    if _same_index(a.index, b.index):
        return Group(_add(a.data, b.data), index)
    return Group(_add(valid_data(a), valid_data(b)), shrink(index), is_clean=True)


def _fold_contained(groups: Sequence[Group]) -> list[Group]:
    """Fold every single lane into a wider group that contains all of its inputs."""
    single = [group for group in groups if group.lanes == 1]
    wide = sorted((group for group in groups if group.lanes > 1), key=lambda g: g.lanes)
    left = []
    for lane in single:
        target = next((j for j, g in enumerate(wide) if _contains(g.index, lane.index)), None)
        if target is None:
            left.append(lane)
        else:
            wide[target] = _fold(wide[target], lane)
    return [*left, *wide]


def _contains(group: np.ndarray, lane: np.ndarray) -> bool:
    first = (slice(None),) + (slice(0, 1),) * (lane.ndim - 1)
    if lane[first] >= 0 and not (group[first] == lane[first]).any():
        return False
    if group.size // group.shape[0] * lane.size > 1 << 24:
        return False
    return bool((((group == lane) & (lane >= 0)).any(axis=0, keepdims=True) | (lane < 0)).all())


def _fold(group: Group, lane: Group) -> Group:
    mask = shrink_mask((group.index == lane.index) & (lane.index >= 0))
    zero = jnp.zeros((), lane.data.dtype)
    return Group(
        _add(spread_lanes(group.data, group.lanes), jnp.where(mask, lane.data, zero)), group.index
    )


def has_duplicates(indices: Sequence[np.ndarray]) -> bool:
    """Whether some element has the same input in two lanes."""
    if sum(index.shape[0] for index in indices) < 2:
        return False
    shape = np.broadcast_shapes(*(index.shape[1:] for index in indices))
    # elements last and lanes first when sorting: a sort of short contiguous rows is fast
    stacked = np.concatenate(
        [np.broadcast_to(i, (i.shape[0], *shape)).reshape(i.shape[0], -1).T for i in indices], axis=1
    )
    stacked.sort(axis=1)
    return bool(((stacked[:, 1:] == stacked[:, :-1]) & (stacked[:, 1:] >= 0)).any())


def compress(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every (lane, element) a slot, so that equal inputs of an element share one.

    Args:
        index: `[K, *P]`, -1 for none.

    Returns:
        `slots [K, *P]` (-1 for none) and the index of the slots `[k', *P]`, k' as small as can be.
        The slots of an element are in the order of its inputs.

    Example: two lanes `[[3, 0], [3, 1]]` of two elements give slots `[[0, 0], [0, 1]]` and the index
    `[[3, 0], [-1, 1]]`: element 0 needs one slot, element 1 needs two.
    """
    lanes, shape = index.shape[0], index.shape[1:]
    flat = np.ascontiguousarray(index.reshape(lanes, -1).T)
    none = np.iinfo(flat.dtype).max
    keys = np.where(flat < 0, none, flat)
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=1)
    new = np.ones(ordered.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    new &= ordered != none
    ordered_slots = np.cumsum(new, axis=1) - 1
    count = int(ordered_slots.max(initial=-1)) + 1
    slots = np.empty_like(flat)
    np.put_along_axis(slots, order, ordered_slots.astype(flat.dtype), axis=1)
    slots[flat < 0] = -1
    compressed = np.full((flat.shape[0], count), -1, flat.dtype)
    element, place = np.nonzero(new)
    compressed[element, ordered_slots[element, place]] = ordered[element, place]
    return slots.T.reshape((lanes, *shape)), compressed.T.reshape((count, *shape))


def _combine(groups: Sequence[Group]) -> Group:
    """One group out of any: each (lane, element) is added into its slot."""
    shape = np.broadcast_shapes(*(g.index.shape[1:] for g in groups))
    index = np.concatenate([np.broadcast_to(g.index, (g.lanes, *shape)) for g in groups])
    slots, compressed = compress(index)
    varying = np.broadcast_shapes(*(g.data.shape[1:] for g in groups))
    data_shape = np.broadcast_shapes(varying, shape)
    data = [jnp.broadcast_to(g.data, (g.lanes, *data_shape)) for g in groups]
    joined = data[0] if len(data) == 1 else jnp.concatenate(data)
    return Group(add_into_slots(joined, slots, compressed.shape[0]), shrink(compressed))
