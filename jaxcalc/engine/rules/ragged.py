"""Matrix products in groups of uneven size, as in a mixture of experts."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.rules.operands import zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents.contract import uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, spread, spread_lanes
from jaxcalc.engine.tangents.manipulation import insert_axes, transpose


@rule("ragged_dot_general")
def ragged_dot_general(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_mn = sum_k left_mk right_(g(m))kn, g(m) the group of row m: mixes k, and the groups.

    JAX cannot apply it to many lanes at once; they are put beside the rows or the columns, which
    takes one product. Rows that are L times as many are in groups L times as large.
    """
    number = 0 if isinstance(operands[0], Lanes) else 1
    side = _side(eqn, number, operands)
    value: Lanes = operands[number]
    result = zeros_like_value(eqn)
    mixed = [a for a in range(len(value.shape)) if a not in side.kept]
    groups = []
    for group in uniform_along(value, mixed).groups:
        data = spread_lanes(spread(group.data, range(len(value.shape)), value.shape), group.lanes)
        order = sorted(side.kept, key=side.kept.__getitem__)
        index = transpose(group.index, [*order, *mixed])
        index = index.reshape(index.shape[: 1 + len(order)])
        index = insert_axes(index, len(result.shape), [side.kept[a] for a in order])
        groups.append(Group(_products(eqn, operands, number, side, data), index))
    return result.with_groups(groups)


class _Side(NamedTuple):
    """One operand.

    Attributes:
        kept: the axes that are not mixed, and the axes of the result that they become.
        beside: the axis that lanes can be put beside; None if there is none.
        is_ragged: whether it is the axis whose parts belong to the groups.
    """

    kept: dict[int, int]
    beside: int | None
    is_ragged: bool


def _side(eqn: JaxprEqn, number: int, operands: Operands) -> _Side:
    how = indexing.ragged_dot(eqn)
    free = [
        [
            a
            for a in range(len(operands[i].shape))
            if a not in (*how.contracted[i], *how.batch[i], *mixed)
        ]
        for i, mixed in enumerate([(), how.groups])
    ]
    # where the sum itself is in groups, each has a product of its own, along a first axis
    first = 1 if how.ragged in how.contracted[0] else 0
    kept = {a: first + i for i, a in enumerate(how.batch[number])}
    offset = first + len(how.batch[0]) + (len(free[0]) if number else 0)
    kept |= {a: offset + i for i, a in enumerate(free[number])}
    even = [a for a in free[number] if number == 1 or a != how.ragged]
    choice = even or free[number]
    beside = choice[-1] if choice else None
    return _Side(kept, beside, number == 0 and beside == how.ragged)


def _products(eqn: JaxprEqn, operands: Operands, number: int, side: _Side, data: Any) -> Any:
    """The products for all lanes, along a leading axis."""

    def bound(operand: Any, sizes: Any) -> Any:
        beside = [operand, operands[1]] if number == 0 else [operands[0], operand]
        return equations.bind(eqn, [*beside, sizes, *operands[3:]])[0]

    axis, sizes = side.beside, operands[2]
    if axis is None:
        return lax.map(lambda lane: bound(lane, sizes), data)
    lanes, *shape = data.shape
    wide = jnp.moveaxis(data, 0, axis + 1)
    wide = wide.reshape([*shape[:axis], shape[axis] * lanes, *shape[axis + 1 :]])
    product = bound(wide, sizes * np.asarray(lanes, sizes.dtype) if side.is_ragged else sizes)
    place = side.kept[axis]
    split = [*product.shape[:place], shape[axis], lanes, *product.shape[place + 1 :]]
    return jnp.moveaxis(product.reshape(split), place + 1, 0)
