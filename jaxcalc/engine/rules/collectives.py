"""Communication between devices, where a derivative is taken inside `jax.shard_map`.

Every device then has the same seeds, as under `jax.jacfwd` in the same place: an input is the same
element of what each device holds. So the lanes are the same on all devices, only their data differs,
and a collective acts on the data lane by lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.rules.lane_by_lane import lane_by_lane
from jaxcalc.engine.rules.operands import zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents.contract import sum_along, uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, shrink, spread, spread_lanes
from jaxcalc.engine.tangents.manipulation import insert_axes


@rule("psum", "psum_invariant", "unreduced_psum")
def psum(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = the sum of t over devices, element by element.

    Under `jax.vmap` with an axis name, the sum over an axis of t itself.
    """
    places, names = indexing.summed_over(eqn)
    if places and not names:
        return sum_along(operands[0], places)
    if places:
        (result,) = lane_by_lane(eqn, operands, places)
        return result
    return _each_lane(eqn, operands[0])


@rule(
    "ppermute", "pbroadcast", "pbroadcast_dynamic", "preduced", "reduced_vary_cast",
    "reduced_vary_cast_p", "vary_unreduced_cast", "vary_unreduced_cast_p",
)  # fmt: skip
def elementwise(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = t of another device, or t as it is, element by element."""
    return _each_lane(eqn, operands[0], operands[1:])


@rule("all_gather", "all_gather_invariant", "all_gather_reduced")
def all_gather(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_d = t of device d: along the new axis the index is the same; tiled, it is repeated."""
    value, how = operands[0], indexing.gathered(eqn)
    groups = []
    for group in value.groups:
        if how.tiled:
            index = _repeated(group.index, how.axis, how.devices)
        else:
            rank = len(value.shape) + 1
            index = insert_axes(group.index, rank, [a for a in range(rank) if a != how.axis])
        groups.append(Group(_bound(eqn, value, group), index))
    return zeros_like_value(eqn).with_groups(groups)


@rule("reduce_scatter", "unreduced_reduce_scatter")
def reduce_scatter(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = a part of the sum of t over devices: which part is not known, so t is made uniform there."""
    return _each_lane(eqn, uniform_along(operands[0], [indexing.scattered_along(eqn)]))


@rule("all_to_all")
def all_to_all(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = parts of the t of every device, those along one axis put side by side along another."""
    how = indexing.exchanged(eqn)
    value, result = uniform_along(operands[0], [how.split]), zeros_like_value(eqn)
    count = result.shape[how.concat] // max(1, value.shape[how.concat])
    groups = []
    for group in value.groups:
        index = group.index if how.split == how.concat else _repeated(group.index, how.concat, count)
        groups.append(Group(_bound(eqn, value, group), index))
    return result.with_groups(groups)


@rule("ragged_all_to_all")
def ragged_all_to_all(eqn: JaxprEqn, operands: Operands) -> Sequence[Any]:
    """y = rows of the t of other devices, which ones the sizes and offsets say: mixes the rows."""
    return lane_by_lane(eqn, operands, [0])


def _each_lane(eqn: JaxprEqn, value: Lanes, others: Operands = ()) -> Lanes:
    """The equation applied to every lane, the index as it is, but for axes that the result has not."""
    result = zeros_like_value(eqn)
    groups = []
    for group in value.groups:
        index = group.index
        if len(result.shape) < len(value.shape):
            index = index.squeeze(1 + indexing.scattered_along(eqn))
        groups.append(Group(_bound(eqn, value, group, others), index))
    return result.with_groups(groups)


def _bound(eqn: JaxprEqn, value: Lanes, group: Group, others: Operands = ()) -> Any:
    data = spread_lanes(spread(group.data, range(len(value.shape)), value.shape), group.lanes)
    return jax.vmap(lambda lane: equations.bind(eqn, [lane, *others])[0])(data)


def _repeated(index: np.ndarray, axis: int, count: int) -> np.ndarray:
    """An index tiled along an axis, where it varies along that axis."""
    if index.shape[1 + axis] == 1:
        return index
    return shrink(np.concatenate([index] * count, 1 + axis))
