"""Entries: the irregular part of a tangent, entry by entry.

Lanes are padded to the element with the most inputs. Where a few elements have many inputs, as the
first one of `x.at[0].add(x.sum())` does, that would cost n² for 2n entries. Such a part is kept as
three lines instead: the element and the input of each entry, static, and its value, traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.heuristics import heuristics


class TooDenseError(ValueError):
    """A value has more entries than the walk may store; the message names where."""


@dataclass(frozen=True)
class Entries:
    """Entries of a value, in any order.

    Attributes:
        elements: `[nnz]` static, the flat element of the value that an entry belongs to.
        inputs: `[nnz]` static, the flat input that it depends on.
        values: `[nnz]` traced, or numpy where they are known.
    """

    elements: np.ndarray
    inputs: np.ndarray
    values: Any

    @property
    def count(self) -> int:
        """The number of entries."""
        return self.elements.size


def look_up(values: Any, places: np.ndarray) -> Any:
    """`values[places]` along the first axis, for static places: a slice or a copy where they are."""
    if isinstance(values, np.ndarray):
        return values[places]
    count = places.size
    if count and places[-1] - places[0] == count - 1 and (np.diff(places) == 1).all():
        whole = count == values.shape[0]
        return values if whole else lax.slice_in_dim(values, int(places[0]), int(places[-1]) + 1)
    if count and (places == places[0]).all():
        return jnp.broadcast_to(values[int(places[0])], (count, *values.shape[1:]))
    narrow = places.astype(np.int32) if values.shape[0] < 2**31 else places
    return jnp.take(values, narrow, axis=0, mode="clip")


def joined(parts: Sequence[Entries]) -> Entries:
    """All parts in one, one after another; an entry may occur in several."""
    if len(parts) == 1:
        return parts[0]
    values = [part.values for part in parts]
    is_known = all(isinstance(v, np.ndarray) for v in values)
    return Entries(
        np.concatenate([part.elements for part in parts]),
        np.concatenate([part.inputs for part in parts]),
        np.concatenate(values) if is_known else lax.concatenate([jnp.asarray(v) for v in values], 0),
    )


def summed(given: Entries) -> Entries:
    """The same tangent with every entry once: those of one element and one input are added."""
    if given.count < 2:
        return given
    key = given.elements.astype(np.int64) * (int(given.inputs.max()) + 1) + given.inputs
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    if is_first.all():
        return given
    starts = np.flatnonzero(is_first)
    times = np.diff(np.r_[starts, ordered.size])
    # those that occur most often first, so that the n-th terms of all are added to a prefix
    ranked = np.argsort(-times, kind="stable")
    starts, times = starts[ranked], times[ranked]
    kept = order[starts]
    return Entries(given.elements[kept], given.inputs[kept], sums(given.values, order, starts, times))


def sums(values: Any, order: np.ndarray, starts: np.ndarray, times: np.ndarray) -> Any:
    """Sums of lines of `values [m, ...]`; sum n is over `order[starts[n] : starts[n] + times[n]]`.

    `times` falls, so that the t-th terms of all sums are added to a prefix of them. A sum of very many
    terms is done on its own.
    """
    if isinstance(values, np.ndarray):
        return _known_sums(values, order, starts, times)
    many = int(np.searchsorted(-times, -heuristics().prefix_sums))
    if not many:
        return _prefix_sums(values, order, starts, times)
    parts = [_heavy_sums(values, order, starts[:many], times[:many])]
    if many < len(starts):
        parts.append(_prefix_sums(values, order, starts[many:], times[many:]))
    return lax.concatenate(parts, 0) if len(parts) > 1 else parts[0]


def _known_sums(values: np.ndarray, order: np.ndarray, starts: np.ndarray, times: np.ndarray) -> Any:
    groups = np.repeat(np.arange(len(starts)), times)
    places = np.repeat(starts - np.cumsum(times) + times, times) + np.arange(groups.size)
    result = np.zeros((len(starts), *values.shape[1:]), values.dtype)
    np.add.at(result, groups, values[order[places]])
    return result


def _prefix_sums(values: Any, order: np.ndarray, starts: np.ndarray, times: np.ndarray) -> Any:
    total: Any = None
    for turn in range(int(times[0]) - 1, -1, -1):
        more = int(np.searchsorted(-times, -turn))
        term = look_up(values, order[starts[:more] + turn])
        if total is not None:
            longer = [(0, more - total.shape[0], 0)] + [(0, 0, 0)] * (total.ndim - 1)
            term = term + lax.pad(total, np.zeros((), total.dtype), longer)
        total = term
    return total


def _heavy_sums(values: Any, order: np.ndarray, starts: np.ndarray, times: np.ndarray) -> Any:
    if len(starts) <= heuristics().single_sums:
        lines = [look_up(values, order[s : s + t]) for s, t in zip(starts, times, strict=True)]
        return jnp.stack([line.sum(axis=0, dtype=line.dtype) for line in lines])
    numbers = np.repeat(np.arange(len(starts)), times)
    places = np.repeat(starts - np.cumsum(times) + times, times) + np.arange(numbers.size)
    lines = look_up(values, order[places])
    return jax.ops.segment_sum(lines, numbers, len(starts), indices_are_sorted=True)
