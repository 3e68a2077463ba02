"""Dense Jacobians of functions with a bottleneck, as products of thin ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.arguments import is_array
from jaxcalc.aside import Aside, set_aside
from jaxcalc.engine.dense import PERHAPS_UNTRACEABLE, Leaves
from jaxcalc.flat import FlatMap
from jaxcalc.planning.bottleneck import cut
from jaxcalc.planning.chain import Chain, one_dtype

_FEWEST = 16  # products that a Jacobian takes at the least, to look for a bottleneck
_BLOCK = 4096  # products of a part that are done at once


def split_jacobian(flat: FlatMap, output: Sequence[Any]) -> tuple[Any, Any, Any] | None:
    """Value, aux and Jacobian of a function with a bottleneck; None for any other.

    Args:
        flat: a function of real leaves.
        output: shapes and dtypes of its output leaves.
    """
    sizes = [prod(jnp.shape(x)) for x in flat.leaves]
    rows = [prod(jnp.shape(y)) for y in output]
    dtype = one_dtype(flat.leaves)
    if min(sum(sizes), sum(rows)) < _FEWEST or dtype is None or one_dtype(output) != dtype:
        return None
    found: list[Aside] = []

    def call(*leaves: Any) -> tuple[Leaves, list[Any]]:
        value, aux = flat(leaves)
        arrays, aside = set_aside(aux, is_array)
        found.append(aside)
        return value, arrays

    try:
        closed = jax.make_jaxpr(call)(*flat.leaves)
    except PERHAPS_UNTRACEABLE:
        return None
    if closed.effects:
        return None
    count = len(output)
    chain = Chain(closed, lambda eqns, outs: cut(eqns, closed.jaxpr.invars, outs[:count]))
    if len(chain.parts) == 1:
        return None
    values, matrix = chain([jnp.asarray(x) for x in flat.leaves], _BLOCK)
    columns = list(accumulate(sizes))[:-1]
    blocks = [
        [
            part.reshape(jnp.shape(y) + jnp.shape(x))
            for part, x in zip(jnp.split(line, columns, axis=1), flat.leaves, strict=True)
        ]
        for line, y in zip(jnp.split(matrix, list(accumulate(rows))[:-1]), output, strict=True)
    ]
    value = flat.value(values[:count])
    derivative = flat.jacobian(blocks, [jnp.shape(y) for y in output])
    return value, found[-1].restored(values[count:]), derivative
