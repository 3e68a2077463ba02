"""Dense Jacobians a block of basis vectors at a time, so that the workspace stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

from jaxcalc.call.arguments import dtype_of, is_array
from jaxcalc.call.flatten import FlatCall, Leaves, column_blocks, row_blocks
from jaxcalc.call.options import Direction
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.engine.jaxprs.varying import as_typed, shape_of, type_of
from jaxcalc.heuristics import heuristics
from jaxcalc.space import promoted

Push = Callable[[list[Any]], list[Any]]
BlockOf = Callable[[Jaxpr], int]
Watch = Callable[[Sequence[Any], int, int], None]
_TURNS = 50  # in which a bar moves at least
_LEAST_SHOWN = 16  # products between two moves of a bar


def blocks_in_turn(
    call: FlatCall,
    leaves: Leaves,
    direction: Direction,
    block_of: BlockOf,
    watch: Watch | None = None,
) -> tuple[list[list[Any]], list[Any], Any]:
    """The Jacobian's blocks, the output leaves, and aux, some products with basis vectors at a time.

    Args:
        call: a flat function. Forward, a complex leaf stands for a holomorphic function; in reverse, a
            complex output does.
        leaves: where.
        direction: Jacobian-vector products, or vector-Jacobian products.
        block_of: is shown the program of one product, and says how many are done at a time.
        watch: is told how many products are done, after each block; see `watched_products`.
    """
    make = products_with_basis if watch is None else partial(watched_products, watch=watch)
    linear, like, output, aux = _linearized(call, leaves, direction)
    block = _block(linear, like, block_of)
    if direction == "forward":
        shapes = [jnp.shape(x) for x in leaves]
        columns = make(linear, like, block=block, axis=-1)
        return [column_blocks(c, shapes) for c in columns], output, aux
    rows = make(linear, like, block=block)
    return row_blocks(rows, [jnp.shape(y) for y in output]), output, aux


def diagonal_in_turn(
    call: FlatCall, leaves: Leaves, direction: Direction, block_of: BlockOf
) -> tuple[Any, list[Any], Any]:
    """The Jacobian's diagonal `[min(M, N)]`, the output leaves, and aux: of each product one entry.

    As `blocks_in_turn`, which keeps all entries.
    """
    linear, like, output, aux = _linearized(call, leaves, direction)
    one, count = _product_with_one(linear, like)
    results = output if direction == "forward" else leaves
    length = min(count, sum(prod(jnp.shape(x)) for x in results))
    if not length:
        return jnp.zeros(0, promoted([dtype_of(x) for x in results])), output, aux

    def entry(number: Any) -> Any:
        results = one(number)
        dtype = promoted([x.dtype for x in results])
        return jnp.concatenate([jnp.ravel(x).astype(dtype) for x in results])[number]

    block = min(_block(linear, like, block_of), heuristics().most_for_one_entry)
    return lax.map(entry, jnp.arange(length), batch_size=block), output, aux


def _linearized(
    call: FlatCall, leaves: Leaves, direction: Direction
) -> tuple[Push, Leaves, list[Any], Any]:
    """The products with vectors, what these are like, the output leaves, and aux."""
    if direction == "forward":
        rest: list[Aside] = []

        def split(leaves: Leaves) -> tuple[Leaves, Any]:
            output, aux = call(leaves)
            arrays, aside = set_aside(aux, is_array)
            rest.append(aside)
            return output, arrays

        output, push, arrays = jax.linearize(split, list(leaves), has_aux=True)
        return push, leaves, list(output), rest[-1].restored(arrays)
    output, pull, aux = jax.vjp(call, list(leaves), has_aux=True)
    return lambda cotangents: list(pull(list(cotangents))[0]), output, list(output), aux


def _block(linear: Push, like: Sequence[Any], block_of: BlockOf) -> int:
    shapes = [shape_of(type_of(x)) for x in like]
    return max(1, block_of(jax.make_jaxpr(linear)(shapes).jaxpr))


def products_with_basis(
    linear: Push,
    like: Sequence[Any],
    chosen: np.ndarray | None = None,
    *,
    block: int,
    axis: int = 0,
) -> list[Any]:
    """A linear map applied to basis vectors, a block of them at a time.

    Args:
        linear: a map of lists of arrays.
        like: arrays (or shapes) like those it takes, N elements in all.
        chosen: which basis vectors, by their flat number; all N if it is left out.
        block: how many are done at once.
        axis: where their axis is in the results, the first one (0) or the last one (-1).

    Returns:
        For each output leaf an array of its shape with one axis more. Blocks are written in place: to
        put them together at the end would take another array of that size.
    """
    one, total = _product_with_one(linear, like)
    numbers = jnp.arange(total) if chosen is None else jnp.asarray(chosen)
    count = numbers.shape[0]
    some = jax.vmap(one, out_axes=axis)
    if block >= count:
        return list(some(numbers))

    def step(turn: Any, results: list[Any]) -> list[Any]:
        start = jnp.minimum(turn * block, count - block)  # the last block may overlap the one before
        new = some(lax.dynamic_slice_in_dim(numbers, start, block))
        return [
            lax.dynamic_update_slice_in_dim(whole, part, start, axis=axis)
            for whole, part in zip(results, new, strict=True)
        ]

    shapes = jax.eval_shape(some, numbers)
    empty = [as_typed(s, jnp.zeros(s.shape, s.dtype)) for s in shapes]
    return list(lax.fori_loop(0, -(-count // block), step, empty))


def watched_products(
    linear: Push, like: Sequence[Any], *, block: int, watch: Watch, axis: int = 0
) -> list[Any]:
    """As `products_with_basis`, with the blocks driven from here: outside of a trace, one at a time.

    So a signal is heard between two blocks, and the loop is left with nothing to be cleared up.

    Args:
        linear: a map of lists of arrays.
        like: arrays like those it takes, N elements in all.
        block: how many are done at once at the most; fewer where a bar would stand still.
        watch: is told, before the first block and after each one, what was used or made, how many
            products are done, and how many there are. It may raise, which ends the computation.
        axis: where the axis of the products is in the results.
    """
    one, count = _product_with_one(linear, like)
    some = jax.vmap(one, out_axes=axis)
    block = max(1, min(block, count, max(_LEAST_SHOWN, -(-count // _TURNS))))

    def step(start: Any, results: list[Any]) -> list[Any]:
        new = some(start + jnp.arange(block, dtype=start.dtype))
        return [
            lax.dynamic_update_slice_in_dim(whole, part, start, axis=axis)
            for whole, part in zip(results, new, strict=True)
        ]

    shapes = jax.eval_shape(some, jax.ShapeDtypeStruct((count,), jnp.int32))
    closed = jax.make_jaxpr(step)(np.int32(0), shapes)
    watch(closed.consts, 0, count)

    def run(constants: list[Any], start: Any, results: list[Any]) -> list[Any]:
        return jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, constants))(start, *results)

    compiled = jax.jit(run, donate_argnums=2)
    results = [as_typed(s, jnp.zeros(s.shape, s.dtype)) for s in shapes]
    for done in range(0, count, block):
        start = min(done, count - block)  # the last block may overlap the one before
        results = jax.block_until_ready(compiled(closed.consts, np.int32(start), results))
        watch(results, min(done + block, count), count)
    return results


def _product_with_one(linear: Push, like: Sequence[Any]) -> tuple[Callable[[Any], list[Any]], int]:
    """The product with the basis vector of a number, and how many there are."""
    sizes = [prod(jnp.shape(x)) for x in like]
    starts = [0, *accumulate(sizes)][:-1]

    def vector(start: int, size: int, x: Any, number: Any) -> Any:
        elements = (jnp.arange(start, start + size) == number).astype(jnp.result_type(x))
        return as_typed(type_of(x), elements.reshape(jnp.shape(x)))

    def one(number: Any) -> list[Any]:
        places = zip(starts, sizes, like, strict=True)
        return list(linear([vector(start, size, x, number) for start, size, x in places]))

    return one, sum(sizes)
