"""What a dense Jacobian takes some of whose rows are found forward and the others in reverse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr

from jaxcalc.call.request import Request
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.methods.batched import BlockOf
from jaxcalc.methods.bottleneck import size_of
from jaxcalc.methods.mixed import shared_jacobian
from jaxcalc.planning.findings import Way

IN_BOTH = "dense, in both directions"


def way_in_both(request: Request, output: Sequence[Any], block_of: BlockOf | None) -> Way | None:
    """The way of a function whose outputs ask for different directions; None for any other.

    Raises:
        ValueError: a product does not fit in `memory_limit`.
    """
    products: list[Jaxpr] = []

    def all_at_once(product: Jaxpr) -> int:
        products.append(product)
        return sys.maxsize

    program_in_both(request, output, all_at_once)
    if not products:
        return None
    counts = [size_of(one.invars) for one in products]
    blocks = [
        count if block_of is None else min(count, block_of(one))
        for count, one in zip(counts, products, strict=True)
    ]
    held = [
        block * peak_bytes(one, with_results=block < count)
        for block, count, one in zip(blocks, counts, products, strict=True)
    ]
    forward, reverse = counts
    turns = sum(-(-count // block) for count, block in zip(counts, blocks, strict=True))
    return Way(
        IN_BOTH,
        forward + reverse,
        sum(cost.work(one, count) for count, one in zip(counts, products, strict=True)),
        max(held),
        note=f"{forward:,} forward, {reverse:,} in reverse",
        block=max(blocks),
        blocks=turns if turns > len(counts) else 1,
    )


def program_in_both(request: Request, output: Sequence[Any], block_of: BlockOf | None) -> Jaxpr:
    """The program of the whole derivative; an empty one where one direction does for all outputs."""

    def derivative(others: Any) -> list[Any]:
        found = shared_jacobian(request.flat(others), output, block_of)
        return [] if found is None else jax.tree.leaves(found()[2])

    return jax.make_jaxpr(derivative)(request.call.traced).jaxpr
