"""Dense Jacobians of functions with a bottleneck, as products of thin ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import is_array
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.flatten import FlatMap, Leaves, column_blocks, row_blocks
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.call.symbolic import is_symbolic, is_symbolic_program
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.methods.bottleneck import cut
from jaxcalc.methods.chain import Chain, one_dtype

_FEWEST = 16  # products that a Jacobian takes at the least, to look for a bottleneck
LARGEST_BLOCK = 4096  # products of a part that are done at once


def split_jacobian(flat: FlatMap, output: Sequence[Any]) -> Callable[[], tuple[Any, Any, Any]] | None:
    """What gives value, aux and Jacobian of a function with a bottleneck; None for any other.

    Args:
        flat: a function of real leaves.
        output: shapes and dtypes of its output leaves.
    """
    found: list[Aside] = []
    whole = without_promises(flat)  # some parts go forward and others in reverse

    def call(*leaves: Any) -> tuple[Leaves, list[Any]]:
        value, aux = whole(leaves)
        arrays, aside = set_aside(aux, is_array)
        found.append(aside)
        return value, arrays

    chain = chain_of(call, flat.leaves, output)
    if chain is None:
        return None

    def run() -> tuple[Any, Any, Any]:
        values, matrix = chain([jnp.asarray(x) for x in flat.leaves], LARGEST_BLOCK)
        count = len(output)
        shapes = [jnp.shape(y) for y in output]
        blocks = row_blocks(column_blocks(matrix, flat.shapes), shapes)
        value = flat.value(values[:count])
        derivative = flat.jacobian(blocks, shapes)
        return value, found[-1].restored(values[count:]), derivative

    return run


def chain_of(call: Callable[..., Any], leaves: Leaves, output: Sequence[Any]) -> Chain | None:
    """The parts of a function of leaves that has a bottleneck; None for any other.

    `output` are shapes and dtypes of its results, as far as they are differentiated: the first ones.
    """
    if is_symbolic([*leaves, *output]):
        return None
    n, m = (sum(prod(jnp.shape(x)) for x in side) for side in (leaves, output))
    dtype = one_dtype(leaves)
    if min(n, m) < _FEWEST or dtype is None or one_dtype(output) != dtype:
        return None
    try:
        closed = jax.make_jaxpr(call)(*leaves)
    except PERHAPS_UNTRACEABLE:
        return None
    if closed.effects or is_symbolic_program(closed.jaxpr):
        return None
    count = len(output)
    chain = Chain(closed, lambda eqns, outs: cut(eqns, closed.jaxpr.invars, outs[:count]))
    return None if len(chain.parts) == 1 else chain
