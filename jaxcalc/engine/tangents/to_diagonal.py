"""From lanes to the diagonal alone: lanes that hold none of it are not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.tangents.entries import look_up
from jaxcalc.engine.tangents.lanes import Group, Lanes


def diagonal_of(leaves: Sequence[Lanes], length: int, dtype: np.dtype[Any]) -> Any:
    """`[length]` the entry of element p for input p, of values whose elements are numbered on."""
    parts, offset = [], 0
    for leaf in leaves:
        own = np.arange(offset, offset + leaf.size).reshape(leaf.shape)
        total = jnp.zeros(leaf.shape, dtype)
        for group in leaf.groups:
            total = _added(total, group, own)
        flat = total.reshape(-1)
        if leaf.entries is not None:
            mine = np.flatnonzero(leaf.entries.elements + offset == leaf.entries.inputs)
            if mine.size:
                values = look_up(leaf.entries.values, mine).astype(dtype)
                flat = flat.at[leaf.entries.elements[mine]].add(values)
        parts.append(flat)
        offset += leaf.size
    whole = jnp.concatenate(parts) if parts else jnp.zeros(0, dtype)
    return whole[:length]


def _added(total: Any, group: Group, own: np.ndarray) -> Any:
    """The sum with the lanes of a group that hold the input of the same number."""
    is_own = np.broadcast_to(group.index == own, (group.lanes, *own.shape))
    lanes = np.flatnonzero(is_own.reshape(group.lanes, prod(own.shape)).any(axis=1))
    if not lanes.size:
        return total
    one_for_all = np.shape(group.data)[0] == 1
    data = jnp.asarray(group.data if one_for_all else look_up(group.data, lanes), total.dtype)
    chosen = jnp.where(is_own[lanes], data, jnp.zeros((), total.dtype))
    return total + jnp.sum(chosen, axis=0)
