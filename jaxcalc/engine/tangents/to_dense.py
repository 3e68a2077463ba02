"""From lanes to a dense derivative of a value: one axis for the inputs beside the value's own axes."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.tangents.entries import Entries
from jaxcalc.engine.tangents.lanes import Group, Lanes, fill, spread_lanes, valid_data
from jaxcalc.engine.tangents.to_entries import entries
from jaxcalc.heuristics import heuristics


def densify(value: Lanes, n: int, *, inputs_first: bool) -> Any:
    """The derivative of a value with respect to `n` inputs, `[n, *shape]` or `[*shape, n]`.

    A group whose index is uniform is a transpose; one whose lanes are consecutive inputs, as in a
    block diagonal, is written block by block; a few lanes are compared with the input numbers; and
    what is left is scattered entry by entry.
    """
    parts, rest = [], []
    for group in value.groups:
        part = _dense_group(group, value, n, inputs_first)
        if part is None:
            rest.append(group)
        else:
            parts.append(part)
    if rest:
        parts.append(_scattered(value.with_entries(None).with_groups(rest), n, inputs_first))
    if value.entries is not None:
        parts.append(_added(value.entries, value, n, inputs_first))
    if not parts:
        shape = (n, *value.shape) if inputs_first else (*value.shape, n)
        return jnp.zeros(shape, value.dtype)
    return reduce(lax.add, parts)


def _dense_group(group: Group, value: Lanes, n: int, inputs_first: bool) -> Any | None:
    if group.index.size == group.lanes:
        return _transposed(group, value, n, inputs_first)
    if group.lanes <= heuristics().compared_lanes:
        is_small = n * group.index[0].size <= heuristics().largest_mask
        return _compared(group, value, n, inputs_first) if is_small else None
    return _in_blocks(group, value, n, inputs_first)


def _transposed(group: Group, value: Lanes, n: int, inputs_first: bool) -> Any:
    """Every lane is one input."""
    inputs = group.index.reshape(-1)
    data = fill(spread_lanes(group.data, group.lanes), group.lanes, value.shape)
    if not np.array_equal(inputs, np.arange(n)):
        places = np.where(inputs < 0, n, inputs)  # out of range, and so dropped
        zeros = jnp.zeros((n, *value.shape), value.dtype)
        data = zeros.at[places].set(data, mode="drop", unique_indices=bool((inputs >= 0).all()))
    return data if inputs_first else jnp.moveaxis(data, 0, -1)


def _compared(group: Group, value: Lanes, n: int, inputs_first: bool) -> Any:
    """Each input number is compared with the index of each lane, in one fused pass."""
    shape = (n, *value.shape) if inputs_first else (*value.shape, n)
    axis = 0 if inputs_first else -1
    # not numpy's: a comparison made beforehand is a constant as large as the result
    numbers = lax.broadcasted_iota(group.index.dtype, shape, 0 if inputs_first else len(value.shape))
    parts = []
    for lane in range(group.lanes):
        data = jnp.expand_dims(group.data[lane if group.data.shape[0] > 1 else 0], axis)
        hit = jnp.expand_dims(jnp.asarray(group.index[lane]), axis) == numbers
        part = jnp.where(hit, data, jnp.zeros((), value.dtype))
        parts.append(jnp.broadcast_to(part, shape))
    return reduce(lax.add, parts)


def _in_blocks(group: Group, value: Lanes, n: int, inputs_first: bool) -> Any | None:
    """The lanes of every element are consecutive inputs: one block for each place of the index."""
    starts = group.index[:1]
    offsets = np.arange(group.lanes, dtype=starts.dtype).reshape((-1,) + (1,) * len(value.shape))
    if (starts < 0).any() or not np.array_equal(group.index, starts + offsets):
        return None
    varying = [a for a in range(len(value.shape)) if starts.shape[1 + a] > 1]
    uniform = [a for a in range(len(value.shape)) if a not in varying]
    data = fill(spread_lanes(valid_data(group), group.lanes), group.lanes, value.shape)
    data = data.transpose([0, *(1 + a for a in varying), *(1 + a for a in uniform)])
    sizes = [value.shape[a] for a in (*varying, *uniform)]
    blocks = data.reshape((group.lanes, starts.size, prod(sizes[len(varying) :])))
    places = starts.reshape(-1)
    tiled = starts.size**2 <= heuristics().largest_mask and np.array_equal(
        places, places[0] + group.lanes * np.arange(starts.size)
    )
    out = (_tiled if tiled else _written)(blocks, places, n, inputs_first)
    out = out.reshape([n, *sizes] if inputs_first else [*sizes, n])
    order = np.argsort([*varying, *uniform]).tolist()
    return out.transpose([0, *(1 + a for a in order)] if inputs_first else [*order, len(sizes)])


def _tiled(blocks: Any, places: np.ndarray, n: int, inputs_first: bool) -> Any:
    """Blocks `[k, B, u]` side by side: a comparison of block numbers, fused with the copy."""
    lanes, count, inner = blocks.shape
    same = np.eye(count, dtype=bool)
    low, high = int(places[0]), n - int(places[0]) - lanes * count
    if inputs_first:
        out = jnp.where(same[:, None, :, None], blocks[None], jnp.zeros((), blocks.dtype))
        out, axis = out.reshape((count * lanes, count, inner)), 0
    else:
        columns = blocks.transpose((1, 2, 0))[:, :, None, :]
        out = jnp.where(same[:, None, :, None], columns, jnp.zeros((), blocks.dtype))
        out, axis = out.reshape((count, inner, count * lanes)), 2
    amounts = [(low, high, 0) if a == axis else (0, 0, 0) for a in range(3)]
    return lax.pad(out, np.zeros((), out.dtype), amounts) if low or high else out


def _written(blocks: Any, places: np.ndarray, n: int, inputs_first: bool) -> Any:
    """Blocks `[k, B, u]` anywhere: one slice is written for each."""

    def write(block: Any, start: Any) -> Any:
        zeros = jnp.zeros((n, block.shape[1]), block.dtype)
        return lax.dynamic_update_slice(zeros, block, [start, jnp.zeros_like(start)])

    axis = 1 if inputs_first else 0
    out = jax.vmap(write, in_axes=(1, 0), out_axes=axis)(blocks, places)
    return out if inputs_first else out.transpose((0, 2, 1))


def _added(entries: Entries, value: Lanes, n: int, inputs_first: bool) -> Any:
    """Irregular entries, each written in its place."""
    places = (entries.inputs, entries.elements) if inputs_first else (entries.elements, entries.inputs)
    flat = jnp.zeros((n, value.size) if inputs_first else (value.size, n), value.dtype)
    flat = flat.at[places].add(entries.values, mode="promise_in_bounds")
    return flat.reshape((n, *value.shape) if inputs_first else (*value.shape, n))


def _scattered(value: Lanes, n: int, inputs_first: bool) -> Any:
    found = entries([value], value.dtype)
    places = (found.inputs, found.elements) if inputs_first else (found.elements, found.inputs)
    flat = jnp.zeros((n, value.size) if inputs_first else (value.size, n), value.dtype)
    flat = flat.at[places].set(found.values, unique_indices=True, mode="promise_in_bounds")
    return flat.reshape((n, *value.shape) if inputs_first else (*value.shape, n))
