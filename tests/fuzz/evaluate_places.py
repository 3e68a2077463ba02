"""Gather and scatter in numpy, as XLA defines them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode


def gather(p: Any, x: Any, places: Any) -> Any:
    """The `gather` of JAX, from its params."""
    n = p["dimension_numbers"]
    batch = places.shape[:-1]
    rank = len(batch) + len(n.offset_dims)
    window = [a for a in range(x.ndim) if a not in (*n.collapsed_slice_dims, *n.operand_batching_dims)]
    places_axes = [a for a in range(rank) if a not in n.offset_dims]
    sizes = p["slice_sizes"]
    where, valid = _coordinates(
        x.shape, places, sizes, n.start_index_map, p["mode"],
        (n.operand_batching_dims, n.start_indices_batching_dims),
        dict(zip(window, n.offset_dims, strict=True)), places_axes, rank,
    )  # fmt: skip
    shape = [0] * rank
    for axis, size in zip(places_axes, batch, strict=True):
        shape[axis] = size
    for axis, place in zip(window, n.offset_dims, strict=True):
        shape[place] = sizes[axis]
    if x.size == 0:
        return np.zeros(shape, x.dtype)
    taken = np.broadcast_to(x[where] if where else x, shape)
    if p["mode"] != GatherScatterMode.FILL_OR_DROP:
        return taken
    fill = p["fill_value"]
    if fill is None:
        fill = (
            np.nan if x.dtype.kind in "fc" else (np.iinfo(x.dtype).min if x.dtype.kind == "i" else True)
        )
    return np.where(valid, taken, np.asarray(fill, x.dtype))


def scatter(combine: Any) -> Callable[..., Any]:
    """A `scatter` of JAX that combines with a ufunc; None writes."""

    def run(p: Any, x: Any, places: Any, updates: Any) -> Any:
        n = p["dimension_numbers"]
        window = [
            a for a in range(x.ndim) if a not in (*n.inserted_window_dims, *n.operand_batching_dims)
        ]
        places_axes = [a for a in range(updates.ndim) if a not in n.update_window_dims]
        sizes = [1] * x.ndim
        for axis, place in zip(window, n.update_window_dims, strict=True):
            sizes[axis] = updates.shape[place]
        where, valid = _coordinates(
            x.shape, places, sizes, n.scatter_dims_to_operand_dims, p["mode"],
            (n.operand_batching_dims, n.scatter_indices_batching_dims),
            dict(zip(window, n.update_window_dims, strict=True)), places_axes, updates.ndim,
        )  # fmt: skip
        result = x.copy()
        if x.size == 0 or updates.size == 0:
            return result
        valid = np.broadcast_to(valid, updates.shape)
        if not where:
            new = updates if combine is None else combine(x, updates)
            return np.where(valid, new, x)
        chosen = tuple(np.broadcast_to(w, updates.shape)[valid] for w in where)
        if combine is None:
            result[chosen] = updates[valid]
        else:
            combine.at(result, chosen, updates[valid])
        return result

    return run


def _coordinates(
    shape: Sequence[int], places: Any, sizes: Sequence[int], starts_map: Sequence[int], mode: Any,
    batching: tuple[Sequence[int], Sequence[int]], window: dict[int, int],
    places_axes: Sequence[int], rank: int,
) -> tuple[tuple[Any, ...], Any]:  # fmt: skip
    """Coordinates along each axis of the operand, and whether a window is inside."""

    def of_places(array: Any) -> Any:
        full = [1] * rank
        for axis, size in zip(places_axes, array.shape, strict=True):
            full[axis] = size
        return array.reshape(full)

    def line(size: int, axis: int) -> Any:
        return np.arange(size).reshape([-1 if a == axis else 1 for a in range(rank)])

    valid: Any = np.ones((1,) * rank, bool)
    where: list[Any] = []
    for axis, n in enumerate(shape):
        coordinate: Any = np.zeros((1,) * rank, int)
        if axis in starts_map:
            start = places[..., list(starts_map).index(axis)].astype(np.int64)
            inside = (start >= 0) & (start <= n - sizes[axis])
            if mode in {GatherScatterMode.FILL_OR_DROP, GatherScatterMode.PROMISE_IN_BOUNDS}:
                valid = valid & of_places(inside)
            coordinate = coordinate + of_places(np.clip(start, 0, max(0, n - sizes[axis])))
        if axis in batching[0]:
            place = batching[1][list(batching[0]).index(axis)]
            coordinate = coordinate + line(n, places_axes[place])
        if axis in window:
            coordinate = coordinate + line(sizes[axis], window[axis])
        where.append(coordinate)
    return tuple(where), valid
