"""Sums along axes, and operations that mix the elements along one axis and leave the others alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules.contraction import contract
from jaxcalc.engine.rules.dimension_numbers import Contraction
from jaxcalc.engine.rules.operands import zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.contract import sum_along, uniform_along
from jaxcalc.engine.tangents.entries import TooDenseError
from jaxcalc.engine.tangents.lanes import Group, Lanes, is_uniform, spread
from jaxcalc.engine.tangents.merge import merge
from jaxcalc.heuristics import heuristics


@rule("reduce_sum")
def reduce_sum(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = sum of t along axes: three elements of one lane become one element of three lanes."""
    return sum_along(operands[0], equations.axes(eqn))


@rule("cumsum")
def cumsum(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_i = t_0 + ... + t_i: lane by lane where t is uniform along the axis.

    Where it is not, the sum is a product with a triangle of ones, whose zeros leave no entries:
    element i of three has the inputs of elements 0 to i.
    """
    value, axis = operands[0], equations.axis(eqn)
    groups: list[Group] = []
    for group in value.groups:
        part = value.with_groups([group])
        even = is_uniform(group.index, [axis])
        groups += (along_axes(eqn, part, [axis]) if even else _triangle(eqn, part, axis)).groups
    return merge(zeros_like_value(eqn), groups)


def _triangle(eqn: JaxprEqn, value: Lanes, axis: int) -> Lanes:
    n, rank = value.shape[axis], len(value.shape)
    if n * n > heuristics().largest_triangle:
        raise TooDenseError(f"more than {heuristics().largest_triangle} entries")
    ones = np.tri(n, dtype=value.dtype)
    triangle = ones if equations.is_reversed(eqn) else ones.T
    free = tuple(a for a in range(rank) if a != axis)
    how = Contraction(((), ()), ((axis,), (0,)), (free, (1,)), True, {})
    shape = (*(value.shape[a] for a in free), n)
    product = contract(value, triangle, how, Lanes(shape, value.dtype))
    back = [*range(axis), rank - 1, *range(axis, rank - 1)]
    groups = [
        Group(manipulation.transpose(g.data, back), manipulation.transpose(g.index, back))
        for g in product.groups
    ]
    return zeros_like_value(eqn).with_groups(groups)


def along_axes(
    eqn: JaxprEqn,
    value: Lanes,
    axes: Sequence[int],
    apply: Callable[[Any], Any] | None = None,
) -> Lanes:
    """Apply an operation that mixes the elements along `axes`, and keeps every axis in its place.

    The tangent is made uniform along these axes; then the operation acts on each lane as it would on
    a value. `apply` takes one lane; it is the equation itself when left out.
    """
    function = apply or (lambda lane: equations.bind(eqn, [lane])[0])
    everything = range(len(value.shape))
    groups = []
    for group in uniform_along(value, axes).groups:
        data = spread(group.data, everything, value.shape)
        groups.append(Group(jax.vmap(function)(data), group.index))
    return zeros_like_value(eqn).with_groups(groups)
