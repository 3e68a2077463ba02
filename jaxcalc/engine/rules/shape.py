"""Positional rules: each output element is a copy of one input element, or is zero.

The same move is applied to the coefficients, lane by lane, and to the index, in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules.operands import out_shape, zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.contract import masked_by
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, is_known, shrink, spread, spread_lanes
from jaxcalc.engine.tangents.merge import merge

Move = Callable[[Any], Any]


def moved(eqn: JaxprEqn, value: Lanes, move: Move, *, narrows: bool = False) -> Lanes:
    """Apply a move to data and index; `narrows` says that an index may vary along fewer axes then."""
    groups = []
    for group in value.groups:
        index = move(group.index)
        index = shrink(index) if narrows else index
        groups.append(Group(move(group.data), index, group.is_clean))
    return zeros_like_value(eqn).with_groups(groups)


@rule("transpose")
def transpose(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t with its axes permuted."""
    permutation = equations.permutation(eqn)
    return moved(eqn, operands[0], lambda a: manipulation.transpose(a, permutation))


@rule("broadcast_in_dim")
def broadcast_in_dim(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t repeated along new axes, along which data and index then have size 1."""
    shape, places = equations.broadcast_in_dim(eqn)
    return moved(eqn, operands[0], lambda a: manipulation.insert_axes(a, len(shape), places))


@rule("squeeze", "expand_dims")
def squeeze(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t with axes of size 1 dropped or added."""
    old, new = operands[0].shape, out_shape(eqn)
    return moved(eqn, operands[0], lambda a: manipulation.reshape(a, old, new))


@rule("reshape")
def reshape(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t with its elements in another shape, in the same order."""
    order = equations.reshape_order(eqn) or tuple(range(len(operands[0].shape)))
    old, new = tuple(operands[0].shape[a] for a in order), out_shape(eqn)

    def move(a: Any) -> Any:
        return manipulation.reshape(manipulation.transpose(a, order), old, new)

    return moved(eqn, operands[0], move, narrows=len(new) > len(old))


@rule("slice")
def slice_(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_i = t_(start + stride i): [a, b, c] from 1 becomes [b, c]."""
    bounds = equations.slices(eqn)
    return moved(eqn, operands[0], lambda a: manipulation.slice_axes(a, bounds), narrows=True)


@rule("rev")
def reverse(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t turned around: [a, b, c] becomes [c, b, a]."""
    axes = equations.dimensions(eqn)
    return moved(eqn, operands[0], lambda a: manipulation.reverse(a, axes))


@rule("tile")
def tile(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t repeated: twice, [a, b] becomes [a, b, a, b]; along uniform axes there is nothing to do."""
    repeats = equations.repeats(eqn)

    def move(a: Any) -> Any:
        times = [1] + [r if n > 1 else 1 for r, n in zip(repeats, a.shape[1:], strict=True)]
        return np.tile(a, times) if is_known(a) else jnp.tile(a, times)

    return moved(eqn, operands[0], move)


@rule("split")
def split(eqn: JaxprEqn, operands: Operands) -> Sequence[Lanes]:
    """Each output is a slice of t along one axis."""
    value, axis, start = operands[0], equations.axis(eqn), 0
    parts = []
    for i, size in enumerate(equations.sizes(eqn)):
        bounds = [(0, n, 1) for n in value.shape]
        bounds[axis] = (start, start + size, 1)
        groups = [
            Group(
                manipulation.slice_axes(g.data, bounds),
                shrink(manipulation.slice_axes(g.index, bounds)),
            )
            for g in value.groups
        ]
        parts.append(zeros_like_value(eqn, i).with_groups(groups if size else []))
        start += size
    return parts


@rule("unstack")
def unstack(eqn: JaxprEqn, operands: Operands) -> Sequence[Lanes]:
    """Each output is t at one place of an axis, without that axis."""
    value, axis = operands[0], equations.axis(eqn)
    rest = tuple(n for a, n in enumerate(value.shape) if a != axis)
    parts = []
    for i in range(len(eqn.outvars)):
        bounds = [(0, n, 1) for n in value.shape]
        bounds[axis] = (i, i + 1, 1)
        inner = (*value.shape[:axis], 1, *value.shape[axis + 1 :])

        def move(a: Any, bounds: manipulation.Bounds = bounds, inner: Shape = inner) -> Any:
            return manipulation.reshape(manipulation.slice_axes(a, bounds), inner, rest)

        groups = [Group(move(g.data), shrink(move(g.index))) for g in value.groups]
        parts.append(zeros_like_value(eqn, i).with_groups(groups))
    return parts


@rule("pad")
def pad(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t with padding around and between its elements: [a, b] becomes [0, a, b, 0]."""
    value, filler = operands
    padding, result = equations.padding(eqn), zeros_like_value(eqn)
    groups: list[Group] = []
    shape = value.shape
    if isinstance(value, Lanes):
        groups += padded(value, padding).groups
    if isinstance(filler, Lanes):
        inside = manipulation.pad_index(np.zeros((1, *shape), np.int32), padding, tuple(shape))
        rank = len(result.shape)
        spreaded = [
            Group(
                manipulation.insert_axes(g.data, rank, ()), manipulation.insert_axes(g.index, rank, ())
            )
            for g in filler.groups
        ]
        groups += masked_by(result.with_groups(spreaded), inside[0] < 0).groups
    return merge(result, groups)


def padded(value: Lanes, padding: manipulation.Padding) -> Lanes:
    """A tangent with zeros around and between its elements."""
    groups = [_padded_group(g, padding, value.shape) for g in value.groups]
    shape = tuple(
        low + high + (n + (n - 1) * interior if n else 0)
        for n, (low, high, interior) in zip(value.shape, padding, strict=True)
    )
    return Lanes(shape, value.dtype).with_groups(groups)


def _padded_group(group: Group, padding: manipulation.Padding, shape: Shape) -> Group:
    index = shrink(manipulation.pad_index(group.index, padding, shape))
    # zeros are written where the data varies; elsewhere it stays broadcast over the padding
    wide = all(group.data.shape[1 + a] > 1 for a, amounts in enumerate(padding) if any(amounts))
    is_clean = wide and (group.is_clean or bool((group.index >= 0).all()))
    return Group(manipulation.pad_data(group.data, padding), index, is_clean)


@rule("concatenate")
def concatenate(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = [s, t]: lane l is lane l of s followed by lane l of t."""
    axis = equations.dimension(eqn)
    return joined(zeros_like_value(eqn), operands, axis)


@rule("stack")
def stack(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = [s, t] along a new axis."""
    axis, rank = equations.axis(eqn), len(out_shape(eqn))
    places = [a for a in range(rank) if a != axis]
    parts = [_expanded(x, rank, places, axis) for x in operands]
    return joined(zeros_like_value(eqn), parts, axis)


def _expanded(x: Any, rank: int, places: Sequence[int], axis: int) -> Any:
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    groups = (
        [
            Group(
                manipulation.insert_axes(g.data, rank, places),
                manipulation.insert_axes(g.index, rank, places),
            )
            for g in x.groups
        ]
        if isinstance(x, Lanes)
        else []
    )
    return Lanes(shape, np.dtype(x.dtype)).with_groups(groups)


def joined(result: Lanes, parts: Sequence[Any], axis: int) -> Lanes:
    """Parts one after another along an axis; what is no tangent is zero there.

    The groups are paired in order. Lanes do not have to belong together, since it is the sum of all
    groups that counts, but an element must not meet the same input in two of them.
    """
    lengths = [part.shape[axis] for part in parts]
    columns = zip_longest(*(part.groups if isinstance(part, Lanes) else () for part in parts))
    return result.with_groups([_join(column, lengths, axis, result) for column in columns])


def _join(column: Sequence[Group | None], lengths: Sequence[int], axis: int, result: Lanes) -> Group:
    present = [g for g in column if g is not None]
    lanes = max(g.lanes for g in present)
    index = _join_indices(column, lengths, axis, lanes)
    known = present[0].data
    if all(is_known(g.data) and g.data.size == 1 and g.data.item() == known.item() for g in present):
        return Group(known, index)
    shared = all(g.data.shape[0] == 1 for g in present) and all(
        g.lanes == lanes or g.data.shape[0] == 1 for g in present
    )
    rest = np.broadcast_shapes(*(_without(g.data.shape, axis) for g in present))
    shape = list(rest)
    shape[0] = 1 if shared else lanes
    pieces = []
    for group, length in zip(column, lengths, strict=True):
        shape[1 + axis] = length
        pieces.append(_piece(group, tuple(shape), result.dtype))
    return Group(lax.concatenate(pieces, 1 + axis), index)


def _without(shape: Shape, axis: int) -> Shape:
    return (1, *shape[1 : 1 + axis], 1, *shape[2 + axis :])


def _piece(group: Group | None, shape: Shape, dtype: np.dtype[Any]) -> Any:
    if group is None:
        return lax.full(shape, 0, dtype)
    data = group.data
    if 1 < data.shape[0] < shape[0] or (data.shape[0] == 1 < group.lanes < shape[0]):
        data = spread_lanes(data, group.lanes)
        missing = [(0, shape[0] - group.lanes, 0)] + [(0, 0, 0)] * (len(shape) - 1)
        data = lax.pad(data, np.zeros((), data.dtype), missing)
    return lax.broadcast_in_dim(data, shape, range(len(shape)))


def _join_indices(
    column: Sequence[Group | None], lengths: Sequence[int], axis: int, lanes: int
) -> np.ndarray:
    present = [g.index for g in column if g is not None]
    shape = list(np.broadcast_shapes(*(_without(i.shape, axis) for i in present)))
    shape[0] = lanes
    pieces = []
    for group, length in zip(column, lengths, strict=True):
        shape[1 + axis] = length
        piece = np.full(shape, -1, present[0].dtype)
        if group is not None:
            piece[: group.lanes] = group.index
        pieces.append(piece)
    return shrink(np.concatenate(pieces, 1 + axis))


def spread_axes(value: Lanes, axes: Sequence[int]) -> list[Group]:
    """The groups of a value with data and index in full along `axes`."""
    return [
        Group(spread(g.data, axes, value.shape), spread(g.index, axes, value.shape))
        for g in value.groups
    ]
