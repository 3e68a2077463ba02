"""Products with the Jacobian of one operation: entries go through it one by one.

The Jacobian of an operation with respect to one operand is what its rule makes of the identity: a
tangent whose inputs are the elements of that operand.
"""

from __future__ import annotations

import numpy as np

from jaxcalc.engine.tangents.entries import Entries, TooDenseError, joined, look_up
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, is_one
from jaxcalc.engine.tangents.merge import merge


def identity_on(value: Lanes, elements: np.ndarray) -> Lanes:
    """The identity of a value, on some of its elements alone."""
    index = np.full(value.size, -1, np.int32 if value.size < 2**31 else np.int64)
    index[elements] = elements
    data = np.ones((1,) * (1 + len(value.shape)), value.dtype)
    group = Group(data, index.reshape((1, *value.shape)))
    return Lanes(value.shape, value.dtype).with_groups([group])


def product(local: Lanes, entries: Entries, limit: int) -> Entries | None:
    """The tangent of an operation's result: its Jacobian times the entries of its operand.

    Entries may occur several times in the result; None when there are none.

    Raises:
        TooDenseError: it takes more than `limit` entries.
    """
    order = np.argsort(entries.elements, kind="stable")
    ordered = entries.elements[order]
    parts = []
    for group in local.groups:
        lines = group.lanes * local.size
        if lines > limit:
            raise TooDenseError(f"more than {limit} entries")
        parts.append(_through(group, local, entries, order, ordered, limit))
    parts = [part for part in parts if part.count]
    return joined(parts) if parts else None


def _through(
    group: Group,
    local: Lanes,
    entries: Entries,
    order: np.ndarray,
    ordered: np.ndarray,
    limit: int,
) -> Entries:
    full = (group.lanes, *local.shape)
    source = np.broadcast_to(group.index, full).reshape(-1)
    lines = np.flatnonzero(source >= 0)
    source = source[lines]
    first = np.searchsorted(ordered, source, side="left")
    count = np.searchsorted(ordered, source, side="right") - first
    total = int(count.sum())
    if total > limit:
        raise TooDenseError(f"more than {limit} entries")
    place = np.repeat(first - np.cumsum(count) + count, count) + np.arange(total)
    taken, lines = order[place], np.repeat(lines, count)
    if total == entries.count and (np.bincount(taken, minlength=total) == 1).all():
        # each entry goes to one place: their order stays, and no value is moved
        back = np.argsort(taken)
        taken, lines = taken[back], lines[back]
    values = look_up(entries.values, taken)
    elements = (lines % max(1, local.size)).astype(entries.elements.dtype)
    return Entries(elements, entries.inputs[taken], _scaled(values, group, full, lines, local))


def _scaled(
    values: np.ndarray, group: Group, full: Shape, lines: np.ndarray, local: Lanes
) -> np.ndarray:
    values = values.astype(local.dtype)
    if is_one(group.data):
        return values
    numbers = np.arange(group.data.size).reshape(group.data.shape)
    places = np.broadcast_to(numbers, full).reshape(-1)[lines]
    return values * look_up(group.data.reshape(-1), places)


def on_lanes(value: Lanes, limit: int) -> Lanes:
    """The same tangent on lanes alone, padded to the element with the most entries.

    Raises:
        TooDenseError: it takes more than `limit` coefficients.
    """
    if value.entries is None:
        return value
    group = _as_group(value.entries, value.shape, limit)
    regular = value.with_entries(None)
    return merge(regular, [*regular.groups, group])


def _as_group(entries: Entries, shape: Shape, limit: int) -> Group:
    order = np.argsort(entries.elements, kind="stable")
    ordered = entries.elements[order]
    size = int(np.prod(shape))
    turn = np.arange(ordered.size) - np.searchsorted(ordered, ordered, side="left")
    lanes = int(turn.max()) + 1
    if lanes * size > limit:
        raise TooDenseError(f"more than {limit} entries")
    index = np.full((lanes, size), -1, entries.inputs.dtype)
    index[turn, ordered] = entries.inputs[order]
    places = np.zeros((lanes, size), np.int64)
    places[turn, ordered] = order
    data = look_up(entries.values, places.reshape(-1))
    return Group(data.reshape((lanes, *shape)), index.reshape((lanes, *shape)))
