"""Dense Jacobians some of whose rows are found forward and the others in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.flatten import FlatCall, FlatMap, Leaves
from jaxcalc.call.symbolic import is_symbolic, is_symbolic_program
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.methods.batched import BlockOf
from jaxcalc.methods.chain import one_dtype
from jaxcalc.methods.dense_blocks import jacobian_blocks
from jaxcalc.methods.mixed_shares import Share, may_share, shares


def shared_jacobian(
    flat: FlatMap, output: Sequence[Any], block_of: BlockOf | None
) -> Callable[[], tuple[Any, Any, Any]] | None:
    """What gives value, aux and Jacobian, each output leaf in its better direction.

    None where one direction does for all.

    Args:
        flat: a function of real leaves.
        output: shapes and dtypes of its output leaves.
        block_of: says how many products are done at a time.
    """
    found = shares_of(flat, output)
    return partial(_joined, flat, output, block_of, found) if found else None


def _joined(
    flat: FlatMap, output: Sequence[Any], block_of: BlockOf | None, found: Sequence[Share]
) -> tuple[Any, Any, Any]:
    values, aux = flat(flat.leaves)
    blocks = [
        [jnp.zeros(jnp.shape(y) + jnp.shape(x), dtype_of(y)) for x in flat.leaves] for y in output
    ]
    for share in found:
        part = _blocks(flat, share, block_of)
        for o, row in zip(share.outputs, part, strict=True):
            for i, block in zip(share.inputs, row, strict=True):
                blocks[o][i] = block
    return flat.value(values), aux, flat.jacobian(blocks, [jnp.shape(y) for y in output])


def shares_of(flat: FlatMap, output: Sequence[Any]) -> list[Share]:
    """The output leaves that go forward, and those in reverse; none where one direction does."""
    if (
        is_symbolic([*flat.leaves, *output])
        or not may_share(flat.leaves, output)
        or one_dtype([*flat.leaves, *output]) is None
    ):
        return []
    program = jax.make_jaxpr(lambda leaves: flat(leaves)[0])(flat.leaves).jaxpr
    if is_symbolic_program(program):
        return []
    return shares(program, program.invars, len(output))


def _blocks(flat: FlatMap, share: Share, block_of: BlockOf | None) -> Any:
    """The blocks of one share, for each of its outputs and inputs."""

    def call(some: Leaves) -> tuple[Leaves, None]:
        leaves = list(flat.leaves)
        for i, x in zip(share.inputs, some, strict=True):
            leaves[i] = x
        output, _ = flat(leaves)
        return [output[o] for o in share.outputs], None

    some = [flat.leaves[i] for i in share.inputs]
    run: FlatCall = without_promises(call) if share.direction == "reverse" else call
    return jacobian_blocks(run, some, share.direction, holomorphic=False, block_of=block_of)[0]
