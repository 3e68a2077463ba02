"""Matrix products: sums over contracted axes of a tangent times a known or traced array."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules.dimension_numbers import Contraction
from jaxcalc.engine.rules.elementwise import times
from jaxcalc.engine.rules.known_zeros import few_nonzeros, product_of_nonzeros
from jaxcalc.engine.rules.operands import static_value, zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.rules.windows import aligned_lanes
from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.contract import masked_by, sum_along, uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, is_uniform, spread
from jaxcalc.engine.tangents.merge import merge
from jaxcalc.heuristics import heuristics


@rule("dot_general")
def dot_general(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = sum_c t_c o_c. A group that is uniform along c keeps its lanes: one batched product.

    Where the index varies along c, either each c becomes lanes of its own (expand), or the group is
    made uniform first (align), whichever makes fewer lanes. For t the identity of three elements and
    o a 3 x h matrix, expanding gives three lanes with the rows of o as data, and no product at all.
    """
    tangent_first = isinstance(operands[0], Lanes)
    t, o = operands if tangent_first else operands[::-1]
    result = zeros_like_value(eqn)
    return contract(t, o, _contraction(eqn, t, o, tangent_first), result)


def _contraction(eqn: JaxprEqn, t: Lanes, o: Any, tangent_first: bool) -> Contraction:
    dot = equations.dot_general(eqn)
    flip = 1 if tangent_first else -1
    contracted, batch = dot.contracted[::flip], dot.batch[::flip]
    bound = [{*c, *b} for c, b in zip(contracted, batch, strict=True)]
    of_t = tuple(a for a in range(len(t.shape)) if a not in bound[0])
    of_o = tuple(a for a in range(o.ndim) if a not in bound[1])
    return Contraction(
        (batch[0], batch[1]), (contracted[0], contracted[1]), (of_t, of_o), tangent_first, dot.options
    )


def contract(t: Lanes, o: Any, how: Contraction, result: Lanes) -> Lanes:
    """Contract a tangent with an array, group by group."""
    axes = how.contracted[0]
    groups: list[Group] = []
    for group in t.groups:
        if all(t.shape[a] == 1 for a in axes):  # a sum of one term is an elementwise product
            groups += _expand(group, t, o, how, result).groups
            continue
        if is_uniform(group.index, axes):
            groups.append(_product(group, t, o, how))
            continue
        few = few_nonzeros(o, how)
        if few is not None and aligned_lanes(group, axes) * 2 > group.lanes * len(few):
            part = t.with_groups([group])
            groups += product_of_nonzeros(part, o, how, few, result).groups
            continue
        aligned = _align_if_narrower(group, t, axes)
        if aligned is not None:
            groups += [_product(g, t, o, how) for g in aligned.groups]
        else:
            groups += _expand(group, t, o, how, result).groups
    return merge(result, groups)


def _align_if_narrower(group: Group, t: Lanes, axes: tuple[int, ...]) -> Lanes | None:
    """The group made uniform along the contracted axes, where that takes far fewer lanes."""
    varying = prod(group.index.shape[1 + a] for a in axes)
    if group.lanes == 1:
        return None
    aligned = uniform_along(t.with_groups([group]), axes)
    return aligned if 2 * aligned.lanes <= group.lanes * varying else None


def _product(group: Group, t: Lanes, o: Any, how: Contraction) -> Group:
    """One batched product for all lanes of a uniform group."""
    needed = (*how.batch[0], *how.contracted[0])
    data = spread(group.data, needed, t.shape)
    dims = (
        (tuple(1 + a for a in how.contracted[0]), how.contracted[1]),
        (tuple(1 + a for a in how.batch[0]), how.batch[1]),
    )
    product = lax.dot_general(data, o, dims, **how.options)
    # the result's axes: batch, lane, free axes of t, free axes of o
    nb, nt, no = len(how.batch[0]), len(how.free[0]), len(how.free[1])
    of_t = list(range(nb + 1, nb + 1 + nt))
    of_o = list(range(nb + 1 + nt, nb + 1 + nt + no))
    product = lax.transpose(product, [nb, *how.result_axes(list(range(nb)), of_t, of_o)])
    return Group(product, _index_of_product(group.index, how))


def _index_of_product(index: np.ndarray, how: Contraction) -> np.ndarray:
    order = [*how.batch[0], *how.free[0], *how.contracted[0]]
    index = manipulation.transpose(index, order)
    sizes = list(index.shape[1:])
    nb, nt = len(how.batch[0]), len(how.free[0])
    shape = how.result_axes(sizes[:nb], sizes[nb : nb + nt], [1] * len(how.free[1]))
    return index.reshape((index.shape[0], *shape))


def _expand(group: Group, t: Lanes, o: Any, how: Contraction, result: Lanes) -> Lanes:
    """Elementwise products on the axes of the result and the contracted ones, summed over these.

    Where o is known to be zero, there is no entry: a product with a diagonal matrix stays diagonal.
    """
    rank, nc = len(result.shape), len(how.contracted[0])
    nb, nt, no = len(how.batch[0]), len(how.free[0]), len(how.free[1])
    places = how.result_axes(
        [("b", i) for i in range(nb)], [("t", i) for i in range(nt)], [("o", i) for i in range(no)]
    )
    where = {place: axis for axis, place in enumerate(places)}
    contracted = [rank + i for i in range(nc)]
    t_places = _places(how.batch[0], how.free[0], how.contracted[0], where, "t", contracted)
    o_places = _places(how.batch[1], how.free[1], how.contracted[1], where, "o", contracted)
    shape = (*result.shape, *(t.shape[a] for a in how.contracted[0]))

    def placed(array: Any, places: list[int]) -> Any:
        return manipulation.insert_axes(
            manipulation.transpose(array, np.argsort(places).tolist()), len(shape), sorted(places)
        )

    index = placed(group.index, t_places)
    factor = placed(_lane(_transposed(o, how) if group.is_unit() else o), o_places)
    data = placed(group.data, t_places)
    value = Lanes(shape, result.dtype).with_groups([Group(data, index)])
    known = static_value(o)
    if known is not None and not known.all():
        value = masked_by(value, np.broadcast_to(placed(known[None] != 0, o_places)[0], shape))
    value = value.map_data(lambda d: times(d.astype(result.dtype), factor.astype(result.dtype)))
    return sum_along(value, contracted)


def _transposed(o: Any, how: Contraction) -> Any:
    """The other operand, as a product with the identity where its contracted axis is not the first.

    It becomes the data of the lanes with that axis in front. Fused into what follows, the transpose
    would be read with large strides for every element of a batch; the product is laid out once.
    """
    axes = how.contracted[1]
    is_plain = len(axes) == 1 and not how.batch[1] and axes[0] != 0
    if not is_plain or o.shape[axes[0]] > heuristics().transposed_rows:
        return o
    identity = np.eye(o.shape[axes[0]], dtype=o.dtype)
    dims = (((1,), axes), ((), ()))
    product = lax.dot_general(identity, o, dims, precision=lax.Precision.HIGHEST)
    back = [*range(1, axes[0] + 1), 0, *range(axes[0] + 1, o.ndim)]
    return lax.transpose(product, back)


def _places(
    batch: tuple[int, ...],
    free: tuple[int, ...],
    contracted: tuple[int, ...],
    where: dict[Any, int],
    side: str,
    summed: list[int],
) -> list[int]:
    """For each axis of an operand, its axis in the elementwise product."""
    places = {a: where["b", i] for i, a in enumerate(batch)}
    places |= {a: where[side, i] for i, a in enumerate(free)}
    places |= {a: summed[i] for i, a in enumerate(contracted)}
    return [places[a] for a in range(len(places))]


def _lane(o: Any) -> Any:
    return o.reshape((1, *o.shape))
