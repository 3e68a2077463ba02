"""Sums into slots: lanes that hold the same input of an element are added together."""

from __future__ import annotations

from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.tangents.entries import sums
from jaxcalc.engine.tangents.lanes import shrink, spread
from jaxcalc.heuristics import heuristics


def add_into_slots(data: Any, slots: np.ndarray, count: int) -> Any:
    """Sum `data [K, *S]` into `[count, *S]`: lane l of element p goes to slot `slots[l, p]`.

    `slots [K, *P]` is static and has size 1 along axes where it does not vary; -1 is left out. Each
    slot gathers its contributions, since scattering is slow on CPU and not deterministic on GPU.
    """
    slots = shrink(slots)
    if _is_uneven(slots, count):
        return _uneven_sums(data, slots, count)
    sources = _sources(slots, count)
    varies = any(n > 1 for n in sources.shape[2:])
    take = _take_along_lanes if varies else _take_lanes
    sources = sources if varies else sources.reshape(sources.shape[0], count)
    if len(sources) > heuristics().summed_terms:  # an equation for each would take long to compile
        taken = take(data, sources.reshape(-1, *sources.shape[2:]))
        return jnp.sum(taken.reshape(*sources.shape[:2], *taken.shape[1:]), axis=0)
    terms = (take(data, source) for source in sources)
    total = None
    for term in terms:
        total = term if total is None else total + term
    return jnp.zeros((count, *data.shape[1:]), data.dtype) if total is None else total


def _take_lanes(data: Any, source: np.ndarray) -> Any:
    taken = data if np.array_equal(source, np.arange(data.shape[0])) else data[np.maximum(source, 0)]
    return _masked(taken, source.reshape((-1,) + (1,) * (data.ndim - 1)))


def _take_along_lanes(data: Any, source: np.ndarray) -> Any:
    taken = jnp.take_along_axis(data, np.maximum(source, 0), axis=0, mode="promise_in_bounds")
    return _masked(taken, source)


def _masked(taken: Any, source: np.ndarray) -> Any:
    if (source >= 0).all():
        return taken
    return jnp.where(source >= 0, taken, lax.convert_element_type(0, taken.dtype))


def _sources(slots: np.ndarray, count: int) -> np.ndarray:
    """The lanes that go into each slot: `[m, count, *P]`, -1 for none, m the largest number."""
    lanes, shape = slots.shape[0], slots.shape[1:]
    flat = slots.reshape(lanes, -1)
    lane, element = np.nonzero(flat >= 0)
    cell = flat[lane, element].astype(np.int64) * flat.shape[1] + element
    order = np.argsort(cell, kind="stable")
    cell, lane = cell[order], lane[order]
    starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]]) if cell.size else np.zeros(0, int)
    run = np.arange(cell.size) - np.repeat(starts, np.diff(np.r_[starts, cell.size]))
    most = int(run.max(initial=-1)) + 1
    sources = np.full((most, count * flat.shape[1]), -1, np.int32)
    sources[run, cell] = lane
    return sources.reshape((most, count, *shape))


def _is_uneven(slots: np.ndarray, count: int) -> bool:
    """Whether one slot takes so many lanes that a table with a place for each would be mostly empty."""
    most = slots.shape[0]
    if most * count * prod(slots.shape[1:]) <= heuristics().uneven_places:
        return False
    flat = slots.reshape(most, -1)
    lane, element = np.nonzero(flat >= 0)
    times = np.bincount(flat[lane, element].astype(np.int64) * flat.shape[1] + element, minlength=1)
    table = int(times.max()) * count * flat.shape[1]
    return table > max(heuristics().uneven_places, 4 * lane.size)


def _uneven_sums(data: Any, slots: np.ndarray, count: int) -> Any:
    """The sums one by one: those of few terms together, those of many terms each on its own."""
    wide = [a for a in range(slots.ndim - 1) if slots.shape[1 + a] > 1]
    shape = tuple(max(n, m) for n, m in zip(data.shape[1:], slots.shape[1:], strict=True))
    data = spread(data, wide, shape)
    rest = [a for a in range(slots.ndim - 1) if a not in wide]
    order = [0, *(1 + a for a in wide), *(1 + a for a in rest)]
    inner = tuple(data.shape[1 + a] for a in rest)
    lines = data.transpose(order).reshape((-1, *inner))
    table = slots.transpose(order).reshape(slots.shape[0], -1)
    elements = table.shape[1]
    numbered = table.astype(np.int64) * elements + np.arange(elements)
    cells = np.where(table < 0, np.int64(-1), numbered).reshape(-1)
    ordered = np.argsort(cells, kind="stable")
    ordered = ordered[np.searchsorted(cells[ordered], 0) :]
    found, starts, times = np.unique(cells[ordered], return_index=True, return_counts=True)
    ranked = np.argsort(-times, kind="stable")
    total = sums(lines, ordered, starts[ranked], times[ranked])
    places = np.full(count * elements, -1, np.int32)
    places[found[ranked]] = np.arange(found.size)
    result = _take_lanes(total, places)
    sizes = [count, *(shape[a] for a in wide), *inner]
    return result.reshape(sizes).transpose(np.argsort(order).tolist())
