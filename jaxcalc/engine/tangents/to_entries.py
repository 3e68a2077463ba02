"""From lanes to entries: the values of structured tangents in one line, with their static places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.tangents.entries import Entries, joined, look_up, summed
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, box, fill, is_known, spread_lanes
from jaxcalc.heuristics import heuristics


def entries(leaves: Sequence[Lanes], dtype: np.dtype[Any]) -> Entries:
    """The entries of several values, whose elements are numbered one after the other.

    Slices are joined where the entries of a lane fill a box, as those of a stencil do; only
    irregular lanes are gathered.
    """
    pieces: list[Entries] = []
    offset = 0
    total = sum(leaf.size for leaf in leaves)
    integer = np.int32 if total < 2**31 else np.int64
    for leaf in leaves:
        for group in leaf.groups:
            pieces += group_entries(group, leaf.shape, offset, integer)
        if leaf.entries is not None:
            rest = leaf.entries
            pieces.append(Entries((rest.elements + offset).astype(integer), rest.inputs, rest.values))
        offset += leaf.size
    if not pieces:
        none = np.zeros(0, np.int32)
        return Entries(none, none, jnp.zeros(0, dtype))
    found = joined([Entries(p.elements, p.inputs, jnp.asarray(p.values, dtype)) for p in pieces])
    is_irregular = any(leaf.entries is not None for leaf in leaves)
    return summed(found) if is_irregular else found


def as_entries(group: Group, shape: Shape) -> Entries:
    """The entries of one group of a value."""
    integer = np.int32 if int(np.prod(shape)) < 2**31 else np.int64
    if is_known(group.data):
        return entries_at(group, shape, np.arange(int(np.prod(shape)), dtype=integer))
    return joined(group_entries(group, shape, 0, integer))


def entries_at(group: Group, shape: Shape, elements: np.ndarray) -> Entries:
    """The entries of a group that belong to some elements, without looking at the others."""
    places = np.unravel_index(elements, shape) if shape else ()

    def chosen(array: Any) -> np.ndarray:
        """Where in an array `[k, *S or 1s]` these elements are, for each lane."""
        sizes = array.shape[1:]
        inner = [np.where(n > 1, p, 0) for p, n in zip(places, sizes, strict=True)]
        flat = np.ravel_multi_index(inner, sizes) if shape else np.zeros(elements.shape, np.int64)
        lanes = (
            np.arange(group.lanes)[:, None] if array.shape[0] > 1 else np.zeros((group.lanes, 1), int)
        )
        return np.asarray(lanes * int(np.prod(sizes)) + flat)

    inputs = group.index.reshape(-1)[chosen(group.index)].reshape(-1)
    kept = np.flatnonzero(inputs >= 0)
    values = look_up(group.data.reshape(-1), chosen(group.data).reshape(-1)[kept])
    return Entries(np.tile(elements, group.lanes)[kept], inputs[kept], values)


def group_entries(group: Group, shape: Shape, offset: int, integer: Any) -> list[Entries]:
    """The entries of one group, in a few pieces; its elements are numbered from `offset` on."""
    if (group.index >= 0).all():
        return [_all_entries(group, shape, offset, integer)]
    if group.lanes > heuristics().sliced_lanes:
        return [_gathered_entries(group, shape, offset, integer)]
    pieces = []
    for lane in range(group.lanes):
        shared = group.data.shape[0] == 1
        data = group.data if shared else group.data[lane : lane + 1]
        single = Group(data, group.index[lane : lane + 1])
        if not (single.index >= 0).any():
            continue
        bounds = box(single.index[0] >= 0)
        pieces.append(
            _gathered_entries(single, shape, offset, integer)
            if bounds is None
            else _box_entries(single, bounds, shape, offset, integer)
        )
    return pieces


def _all_entries(group: Group, shape: Shape, offset: int, integer: Any) -> Entries:
    elements = np.arange(offset, offset + int(np.prod(shape)), dtype=integer)
    return Entries(
        np.tile(elements, group.lanes),
        np.broadcast_to(group.index, (group.lanes, *shape)).reshape(-1),
        jnp.reshape(fill(group.data, group.lanes, shape), -1),
    )


def _box_entries(
    lane: Group, bounds: list[tuple[int, int]], shape: Shape, offset: int, integer: Any
) -> Entries:
    full = [
        (low, high) if lane.index.shape[1 + a] > 1 else (0, n)
        for a, ((low, high), n) in enumerate(zip(bounds, shape, strict=True))
    ]
    window = tuple(slice(low, high) for low, high in full)
    elements = np.arange(offset, offset + int(np.prod(shape)), dtype=integer).reshape(shape)[window]
    index = np.broadcast_to(lane.index[0], shape)[window]
    # axes along which the data does not vary are broadcast after slicing
    kept = tuple(w if lane.data.shape[1 + a] > 1 else slice(None) for a, w in enumerate(window))
    data = jnp.broadcast_to(lane.data[(0, *kept)], elements.shape)
    return Entries(elements.reshape(-1), index.reshape(-1), data.reshape(-1))


def _gathered_entries(group: Group, shape: Shape, offset: int, integer: Any) -> Entries:
    index = np.broadcast_to(group.index, (group.lanes, *shape)).reshape(-1)
    chosen = np.flatnonzero(index >= 0)
    size = int(np.prod(shape))
    data = fill(spread_lanes(group.data, group.lanes), group.lanes, shape).reshape(-1)
    places = chosen.astype(np.int32) if data.size < 2**31 else chosen
    return Entries((offset + chosen % size).astype(integer), index[chosen], data[places])
