"""Dense Jacobians some of whose rows are found forward and the others in reverse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.flatten import FlatCall, FlatMap, Leaves
from jaxcalc.call.symbolic import is_symbolic, is_symbolic_program
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.jaxprs.branches import Branch, branches
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.methods.base import Figures, Outcome, Part
from jaxcalc.methods.batched import BlockOf
from jaxcalc.methods.bottleneck import size_of
from jaxcalc.methods.chain import one_dtype
from jaxcalc.methods.dense_blocks import jacobian_blocks
from jaxcalc.methods.mixed_shares import Share, may_share, shares
from jaxcalc.methods.problem import DirectProblem


@dataclass(frozen=True, eq=False)
class Mixed:
    """Each output leaf in its better direction.

    Attributes:
        flat: f.
        output: shapes and dtypes of its output leaves.
        shares: the output leaves that go forward, and those in reverse.
        block_of: says how many products are done at a time.
    """

    flat: FlatMap
    output: Sequence[Any]
    shares: Sequence[Share]
    block_of: BlockOf | None

    name = "dense, in both directions"
    words = "both modes"
    is_optional = True

    @property
    def note(self) -> str:
        """How many products go in which direction."""
        forward, reverse = (share.products for share in self.shares)
        return f"{forward:,} forward, {reverse:,} in reverse"

    @property
    def parts(self) -> list[Part]:
        """None: f is not cut."""
        return []

    def run(self) -> Outcome:
        """The Jacobian, with value and aux."""
        flat = self.flat
        values, aux = flat(flat.leaves)
        derivative = flat.jacobian(self._blocks(self.block_of), [jnp.shape(y) for y in self.output])
        return Outcome(flat.value(values), None, aux, derivative)

    @cached_property
    def figures(self) -> Figures:
        """What the products of both shares take, one share after the other."""
        products: list[Jaxpr] = []

        def all_at_once(product: Jaxpr) -> int:
            products.append(product)
            return sys.maxsize

        self._program(all_at_once)
        counts = [size_of(one.invars) for one in products]
        blocks = [
            count if self.block_of is None else min(count, self.block_of(one))
            for count, one in zip(counts, products, strict=True)
        ]
        held = [
            block * peak_bytes(one, with_results=block < count)
            for block, count, one in zip(blocks, counts, products, strict=True)
        ]
        turns = sum(-(-count // block) for count, block in zip(counts, blocks, strict=True))
        return Figures(
            sum(counts),
            sum(cost.work(one, count) for count, one in zip(counts, products, strict=True)),
            max(held),
            max(blocks),
            turns if turns > len(counts) else 1,
        )

    def branches(self) -> list[Branch]:
        """What branches and loops of the whole derivative hold."""
        return branches(self._program(self.block_of).eqns)

    def _program(self, block_of: BlockOf | None) -> Jaxpr:
        return jax.make_jaxpr(lambda: self._blocks(block_of))().jaxpr

    def _blocks(self, block_of: BlockOf | None) -> list[list[Any]]:
        """The blocks of all outputs and inputs; zeros where they do not depend on each other."""
        leaves = self.flat.leaves
        blocks = [
            [jnp.zeros(jnp.shape(y) + jnp.shape(x), dtype_of(y)) for x in leaves] for y in self.output
        ]
        for share in self.shares:
            part = self._blocks_of(share, block_of)
            for o, row in zip(share.outputs, part, strict=True):
                for i, block in zip(share.inputs, row, strict=True):
                    blocks[o][i] = block
        return blocks

    def _blocks_of(self, share: Share, block_of: BlockOf | None) -> Any:
        """The blocks of one share, for each of its outputs and inputs."""
        flat = self.flat

        def call(some: Leaves) -> tuple[Leaves, None]:
            leaves = list(flat.leaves)
            for i, x in zip(share.inputs, some, strict=True):
                leaves[i] = x
            output, _ = flat(leaves)
            return [output[o] for o in share.outputs], None

        some = [flat.leaves[i] for i in share.inputs]
        run: FlatCall = without_promises(call) if share.direction == "reverse" else call
        return jacobian_blocks(run, some, share.direction, holomorphic=False, block_of=block_of)[0]


def in_both_directions(problem: DirectProblem) -> Mixed | None:
    """The Jacobian of a function whose outputs ask for different directions; None for any other."""
    flat, output = problem.flat, problem.output
    found = shares_of(flat, output)
    return Mixed(flat, output, found, problem.block_of_either) if found else None


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
