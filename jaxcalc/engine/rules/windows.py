"""Windows that slide over a value: what convolutions and pooling have in common.

An output element p reads, for each place k of the window, the element `p stride + k dilation - low`
of a value with `base - 1` holes between its elements. So each place of the window is one shifted
copy of the value: a positional move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.contract import uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, is_uniform, shrink, shrink_mask


@dataclass(frozen=True)
class Window:
    """A window along one axis.

    Attributes:
        size: the number of its places.
        stride: the step from one output element to the next.
        low: the padding before the first element.
        base: the step between the elements of the value, holes between them counted.
        dilation: the step from one place of the window to the next.
    """

    size: int = 1
    stride: int = 1
    low: int = 0
    base: int = 1
    dilation: int = 1


Windows = Sequence[Window]
Place = tuple[int, ...]


def places(windows: Windows, shape: Shape, sizes: Shape) -> list[Place]:
    """The places of a window at which some output element reads an element, not padding only."""
    lines = []
    for window, size, count in zip(windows, shape, sizes, strict=True):
        read = coordinates(window, np.arange(window.size), size, count) >= 0
        lines.append(np.flatnonzero(read.any(axis=1)).tolist())
    return list(product(*lines))


def shifted_array(array: Any, windows: Windows, place: Place, sizes: Shape) -> Any:
    """What each output element reads at one place, of coefficients `[k, *S or 1s]`."""
    padding, bounds = _shift(windows, place, array.shape[1:], sizes)
    return manipulation.slice_axes(manipulation.pad_data(array, padding), bounds)


def shifted_in_full(data: Any, windows: Windows, place: Place, sizes: Shape) -> Any:
    """As `shifted_array`, for `[k, *S]` in full: zeros where nothing is read, also of one element."""
    padding, bounds = _shift(windows, place, data.shape[1:], sizes)
    if any(any(amounts) for amounts in padding):
        data = lax.pad(data, np.zeros((), data.dtype), [(0, 0, 0), *padding])
    return manipulation.slice_axes(data, bounds)


def shifted(value: Lanes, windows: Windows, place: Place, sizes: Shape) -> Lanes:
    """What each output element reads at one place; outside and in holes there is no entry."""
    padding, bounds = _shift(windows, place, value.shape, sizes)
    groups = []
    for group in value.groups:
        index = manipulation.slice_axes(
            manipulation.pad_index(group.index, padding, value.shape), bounds
        )
        data = shifted_array(group.data, windows, place, sizes)
        groups.append(Group(data, shrink(index)))
    return Lanes(tuple(sizes), value.dtype).with_groups(groups)


def inside(windows: Windows, place: Place, shape: Shape, sizes: Shape) -> np.ndarray:
    """Which output elements read an element of the value at this place: a mask of shape `sizes`."""
    padding, bounds = _shift(windows, place, shape, sizes)
    index = manipulation.slice_axes(
        manipulation.pad_index(np.zeros((1, *shape), np.int32), padding, shape), bounds
    )
    return np.broadcast_to(index[0] >= 0, sizes)


def _shift(
    windows: Windows, place: Place, shape: Shape, sizes: Shape
) -> tuple[manipulation.Padding, manipulation.Bounds]:
    padding, bounds = [], []
    for window, k, n, count in zip(windows, place, shape, sizes, strict=True):
        low = window.low - k * window.dilation
        length = (count - 1) * window.stride + 1
        high = length - low - ((n - 1) * window.base + 1)
        padding.append((low, high, window.base - 1))
        bounds.append((0, length, window.stride))
    return padding, bounds


def coordinates(window: Window, steps: np.ndarray, size: int, count: int) -> np.ndarray:
    """Along one axis, the element that each output reads at each step: `[steps, count]` or -1."""
    places = np.arange(count) * window.stride + steps[:, None] * window.dilation - window.low
    element, hole = np.divmod(places, window.base)
    return np.where((hole == 0) & (element >= 0) & (element < size), element, -1)


def sources(windows: Windows, places: Sequence[Place], shape: Shape, sizes: Shape) -> np.ndarray:
    """The flat element that each output reads at each place: `[places, *sizes]`, -1 for none."""
    steps = np.asarray(places, int).reshape(len(places), len(windows))
    flat = np.zeros((len(places), *sizes), np.int64)
    read = np.ones(flat.shape, bool)
    for axis, (window, size, count) in enumerate(zip(windows, shape, sizes, strict=True)):
        line = coordinates(window, steps[:, axis], size, count)
        line = line.reshape([-1 if a == 0 else count if a == 1 + axis else 1 for a in range(flat.ndim)])
        flat = flat * size + line
        read &= line >= 0
    return np.where(read, flat, -1)


def reads(group: Group, windows: Windows, shape: Shape, sizes: Shape) -> np.ndarray:
    """How many places of its window read an entry, for each output element: `[1, *sizes or 1s]`."""
    support = shrink_mask(np.asarray((group.index >= 0).any(axis=0, keepdims=True)))
    index = np.where(support, 0, -1)
    count = np.zeros((1,) * (1 + len(sizes)), int)
    for place in places(windows, shape, sizes):
        padding, bounds = _shift(windows, place, shape, sizes)
        count = count + (
            manipulation.slice_axes(manipulation.pad_index(index, padding, shape), bounds) >= 0
        )
    return count


def _only(groups: Sequence[Group], mask: np.ndarray) -> list[Group]:
    """The groups without the entries where a mask `[1, *S or 1s]` is False."""
    if mask.all():
        return list(groups)
    mask = shrink_mask(mask)
    none = [np.asarray(-1, group.index.dtype) for group in groups]
    return [
        Group(g.data, shrink(np.where(mask, g.index, minus_one)))
        for g, minus_one in zip(groups, none, strict=True)
    ]


@dataclass(frozen=True)
class Operation:
    """An operation on a window, as `apply` wants it.

    Attributes:
        axes: the axes of the tangent that it mixes.
        summed: those of them, beside the window, whose sum makes lanes where the index varies.
        reads: how many places read an entry of a group, `[1, *S or 1s]` for a result of shape S.
        lane_by_lane: applies it to every lane of a tangent that is uniform along `axes`.
        place_by_place: applies it as a sum over the window's places.
    """

    axes: Sequence[int]
    summed: Sequence[int]
    reads: Callable[[Group], np.ndarray]
    lane_by_lane: Callable[[Lanes], Sequence[Group]]
    place_by_place: Callable[[Lanes], Sequence[Group]]


def apply(value: Lanes, operation: Operation) -> list[Group]:
    """Apply an operation to each group in whichever of the two ways makes fewer lanes."""
    groups: list[Group] = []
    for group in value.groups:
        part, count = value.with_groups([group]), operation.reads(group)
        wide = aligned_lanes(group, operation.axes)
        summed = prod(group.index.shape[1 + a] for a in operation.summed)
        spread = int(count.max(initial=0)) * group.lanes * summed
        if is_uniform(group.index, operation.axes) or 2 * wide <= spread:
            aligned = operation.lane_by_lane(uniform_along(part, operation.axes))
            groups += _only(aligned, count > 0)
        else:
            groups += operation.place_by_place(part)
    return groups


def aligned_lanes(group: Group, axes: Sequence[int]) -> int:
    """About how many lanes a group has once it is uniform along `axes`: counted in one place."""
    index = group.index
    moved = [1 + a for a in axes]
    if ((index == index.max(axis=tuple(moved), keepdims=True)) | (index < 0)).all():
        return group.lanes
    middle = tuple(
        slice(None) if a == 0 or a in moved else slice(n // 2, n // 2 + 1)
        for a, n in enumerate(index.shape)
    )
    found = np.unique(index[middle])
    return int(np.count_nonzero(found >= 0))


def packed(groups: Sequence[Group]) -> list[Group]:
    """The same entries on fewer lanes: groups that never have an entry at the same element share.

    Where a window slides over a value with holes, most places read a hole at most elements.
    """
    results: list[Group] = []
    sparse: list[tuple[list[Group], np.ndarray]] = []
    for group in groups:
        valid = group.index >= 0
        if 2 * np.count_nonzero(valid) > valid.size:
            results.append(group)
            continue
        for i, (members, taken) in enumerate(sparse):
            if taken.shape == valid.shape and not (taken & valid).any():
                members.append(group)
                sparse[i] = (members, taken | valid)
                break
        else:
            sparse.append(([group], valid))
    return results + [reduce(_share, members) for members, _ in sparse]


def _share(a: Group, b: Group) -> Group:
    valid = shrink_mask(a.index >= 0)
    return Group(jnp.where(valid, a.data, b.data), np.where(a.index >= 0, a.index, b.index))
