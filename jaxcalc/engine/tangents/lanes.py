"""Lanes: a tangent whose structure is known, and whose coefficients are traced.

A tangent of a value of shape S is a sum of *groups*. A group has

    data   [k or 1, *S or 1s]   coefficients, traced by JAX (or numpy, when they are known)
    index  [k, *S or 1s]        static numpy: the flat input each coefficient belongs to, -1 for none

so lane l of a group says: element p of the value depends on input `index[l, p]` with weight
`data[l, p]`. Where the index is -1 the data is arbitrary, and must be masked before it is used. An
axis along which the index does not vary has size 1 there: that is what finds block structure. One
format covers the identity (k = 1, index = arange), a dense tangent (k = n, every axis 1), a block
diagonal one (k = d, index [d, B, 1]) and a stencil (k = number of points).

Between groups of one tangent no element has the same input twice, once `merge` has seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jaxcalc.engine.tangents.entries import Entries

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Lanes that share one coefficient array; see the module's docstring.

    `is_clean` says that the data is zero wherever there is no entry, so that it needs no mask.
    """

    data: Any
    index: np.ndarray
    is_clean: bool = False

    @property
    def lanes(self) -> int:
        """The number of lanes."""
        return self.index.shape[0]

    def is_unit(self) -> bool:
        """Whether every coefficient is known to be one, as in a seed."""
        return is_one(self.data)


@dataclass(frozen=True)
class Lanes:
    """A structured tangent of a value of `shape` and `dtype`; no groups is a symbolic zero.

    What would be padded too much on lanes is kept beside them, as `entries`; one element may have the
    same input on a lane and there. Rules see lanes alone: `engine.walk.entries` takes the entries off.
    """

    shape: Shape
    dtype: np.dtype[Any]
    groups: tuple[Group, ...] = ()
    entries: Entries | None = None

    def __post_init__(self) -> None:
        for group in self.groups:
            for given in (group.data.shape[1:], group.index.shape[1:]):
                fits = len(given) == len(self.shape) and all(
                    n in (1, m) for n, m in zip(given, self.shape, strict=True)
                )
                if not fits:
                    raise AssertionError(f"lanes of shape {given} do not fit a value {self.shape}")

    @property
    def lanes(self) -> int:
        """The number of lanes, of all groups together."""
        return sum(group.lanes for group in self.groups)

    @property
    def size(self) -> int:
        """The number of elements of the value."""
        return prod(self.shape)

    @property
    def stored(self) -> int:
        """How many index and coefficient elements the groups hold, the larger of both."""
        irregular = 0 if self.entries is None else self.entries.count
        return irregular + sum(max(group.index.size, group.data.size) for group in self.groups)

    @property
    def is_zero(self) -> bool:
        """Whether there is no entry at all."""
        return not self.groups and self.entries is None

    def is_uniform(self, axes: Sequence[int]) -> bool:
        """Whether no index varies along these axes."""
        return all(is_uniform(group.index, axes) for group in self.groups)

    def with_groups(self, groups: Sequence[Group]) -> Lanes:
        """The same value, with other groups; those that hold no entry are left out."""
        self._require_lanes_only()
        kept = tuple(group for group in groups if group.index.size and (group.index >= 0).any())
        return Lanes(self.shape, self.dtype, kept)

    def map_data(self, function: Callable[[Any], Any], dtype: DTypeLike | None = None) -> Lanes:
        """Apply an elementwise linear function to the coefficients."""
        self._require_lanes_only()
        groups = tuple(Group(function(g.data), g.index, g.is_clean) for g in self.groups)
        return Lanes(self.shape, np.dtype(dtype or self.dtype), groups)

    def with_entries(self, entries: Entries | None) -> Lanes:
        """The same value with other entries beside its lanes."""
        return Lanes(
            self.shape, self.dtype, self.groups, entries if entries and entries.count else None
        )

    def _require_lanes_only(self) -> None:
        if self.entries is not None:
            raise AssertionError("a rule for lanes was given entries, which it would have dropped")


def seed(shape: Shape, dtype: DTypeLike, offset: int = 0, index_dtype: Any = np.int32) -> Lanes:
    """The identity: element p depends on input `offset + p` with weight 1."""
    index = np.arange(offset, offset + prod(shape), dtype=index_dtype).reshape((1, *shape))
    data = np.ones((1,) * (1 + len(shape)), dtype)
    return Lanes(shape, np.dtype(dtype)).with_groups([Group(data, index)])


def is_known(data: Any) -> bool:
    """Whether coefficients are known now: those stay numpy, so that nothing is traced for them."""
    return isinstance(data, np.ndarray)


def is_one(data: Any) -> bool:
    """Whether coefficients are known to be one, all of them."""
    return is_known(data) and data.size == 1 and bool(data.item() == 1)


def is_uniform(index: np.ndarray, axes: Sequence[int]) -> bool:
    """Whether an index `[k, *S]` has size 1 along these axes of S."""
    return all(index.shape[1 + axis] == 1 for axis in axes)


def shrink(index: np.ndarray) -> np.ndarray:
    """Give size 1 to every axis along which the index does not vary."""
    for axis in range(1, index.ndim):
        if index.shape[axis] > 1:
            first = index[(slice(None),) * axis + (slice(0, 1),)]
            second = index[(slice(None),) * axis + (slice(1, 2),)]
            # comparing two slices first spares the whole comparison in nearly every case
            if np.array_equal(first, second) and (index == first).all():
                index = first
    return index


def spread(array: Any, axes: Sequence[int], shape: Shape) -> Any:
    """Broadcast the axes of a value `[k, *S or 1s]` that are named to their full size."""
    target = list(array.shape)
    for axis in axes:
        target[1 + axis] = shape[axis]
    if tuple(target) == tuple(array.shape):
        return array
    return _namespace(array).broadcast_to(array, tuple(target))


def spread_lanes(data: Any, lanes: int) -> Any:
    """Broadcast the lane axis, which has size 1 when all lanes share their coefficients."""
    if data.shape[0] == lanes:
        return data
    return _namespace(data).broadcast_to(data, (lanes, *data.shape[1:]))


def fill(data: Any, lanes: int, shape: Shape) -> Any:
    """The data of a group in full, `[lanes, *shape]`."""
    return jnp.broadcast_to(data, (lanes, *shape))


def combined(operation: Callable[..., Any], *operands: Any) -> Any:
    """An elementwise operation of coefficients that broadcast with each other.

    One lane goes through it without its lane axis: beside values that have none, a reshape of each
    would keep XLA from fusing a long chain into few loops.
    """
    shape = np.broadcast_shapes(*(a.shape for a in operands))
    if shape[0] != 1:
        return operation(*(_broadcast(a, shape) for a in operands))
    found = operation(*(_broadcast(lax.squeeze(a, [0]), shape[1:]) for a in operands))
    return lax.reshape(found, shape)


def _broadcast(a: Any, shape: Shape) -> Any:
    return a if a.shape == shape else lax.broadcast_in_dim(a, shape, range(len(shape)))


def valid_data(group: Group) -> Any:
    """The data of a group with zeros where it has no entry; broadcast no further than needed."""
    valid = group.index >= 0
    if group.is_clean or valid.all():
        return group.data
    mask = shrink_mask(valid)
    bounds = box(mask[0]) if mask.shape[0] == 1 else None
    if bounds is not None:
        return _boxed(group.data, bounds, mask.shape[1:])
    return jnp.where(mask, group.data, jnp.zeros((), group.data.dtype))


def box(mask: np.ndarray) -> list[tuple[int, int]] | None:
    """The box that the true elements fill, as bounds along each axis; None if they fill none."""
    bounds = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        if not hits.size:
            return None
        bounds.append((int(hits[0]), int(hits[-1]) + 1))
    volume = prod(high - low for low, high in bounds)
    return bounds if volume == np.count_nonzero(mask) else None


def _boxed(data: Any, bounds: Sequence[tuple[int, int]], shape: Shape) -> Any:
    """Data with zeros outside of a box: cut out and padded, which takes no mask in memory."""
    padding = [(0, 0, 0)]
    for axis, ((low, high), n) in enumerate(zip(bounds, shape, strict=True)):
        if (low, high) != (0, n):
            data = spread(data, [axis], shape)
            data = lax.slice_in_dim(data, low, high, axis=1 + axis)
        padding.append((low, n - high, 0))
    return lax.pad(data, np.zeros((), data.dtype), padding)


def shrink_mask(mask: np.ndarray) -> np.ndarray:
    """Give size 1 to every axis along which a mask does not vary, the lane axis among them."""
    mask = shrink(mask)
    if mask.shape[0] > 1 and (mask == mask[:1]).all():
        mask = mask[:1]
    return mask


def _namespace(array: Any) -> Any:
    return np if is_known(array) else jnp
