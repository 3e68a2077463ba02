"""From lanes to entries: the values of a structured tangent in one line, with their static places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.formats.lanes import Group, Lanes, Shape, box, fill, spread_lanes

SLICED_LANES = 64  # a group of more lanes, not all of them full, is gathered at once


@dataclass(frozen=True)
class Entries:
    """The entries of a derivative, in the order in which they come out of the lanes.

    Attributes:
        elements: `[nnz]` static, the element of the value that an entry belongs to.
        inputs: `[nnz]` static, the input that it depends on.
        values: `[nnz]` traced.
    """

    elements: np.ndarray
    inputs: np.ndarray
    values: Any


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
            pieces += _group_entries(group, leaf.shape, offset, integer)
        offset += leaf.size
    if not pieces:
        none = np.zeros(0, np.int32)
        return Entries(none, none, jnp.zeros(0, dtype))
    values = [piece.values.astype(dtype) for piece in pieces]
    return Entries(
        np.concatenate([piece.elements for piece in pieces]),
        np.concatenate([piece.inputs for piece in pieces]),
        lax.concatenate(values, 0) if len(values) > 1 else values[0],
    )


def _group_entries(group: Group, shape: Shape, offset: int, integer: Any) -> list[Entries]:
    if (group.index >= 0).all():
        return [_all_entries(group, shape, offset, integer)]
    if group.lanes > SLICED_LANES:
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
