"""Dense Jacobians of functions with a bottleneck, as products of thin ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import is_array
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.flatten import FlatMap, Leaves, column_blocks, row_blocks
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.call.symbolic import is_symbolic, is_symbolic_program
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.jaxprs.branches import Branch, branches
from jaxcalc.engine.jaxprs.liveness import peak_bytes, size_in_bytes
from jaxcalc.engine.jaxprs.source import source_line
from jaxcalc.heuristics import heuristics
from jaxcalc.methods import bottleneck
from jaxcalc.methods.base import Figures, Outcome, Part
from jaxcalc.methods.bottleneck import cut
from jaxcalc.methods.chain import Chain, multiplied, one_dtype
from jaxcalc.methods.problem import DirectProblem


@dataclass(frozen=True, eq=False)
class Product:
    """Each part of f in its better direction, and the product of their matrices.

    Attributes:
        flat: f.
        output: shapes and dtypes of its output leaves.
        chain: f in parts, which gives its aux after its output.
        aside: what aux holds beside arrays.
    """

    flat: FlatMap
    output: Sequence[Any]
    chain: Chain
    aside: Aside

    name = "dense, product of parts"
    words = "a product of parts"
    note = ""
    is_optional = True

    @property
    def parts(self) -> list[Part]:
        """The parts by their widths, their directions and the lines at whose results they end."""
        return [_described(part) for part in self.chain.parts]

    def run(self) -> Outcome:
        """The Jacobian, with value and aux."""
        flat, count = self.flat, len(self.output)
        values, matrix = self.chain([jnp.asarray(x) for x in flat.leaves], heuristics().largest_block)
        shapes = [jnp.shape(y) for y in self.output]
        blocks = row_blocks(column_blocks(matrix, flat.shapes), shapes)
        value, aux = flat.value(values[:count]), self.aside.restored(values[count:])
        return Outcome(value, None, aux, flat.jacobian(blocks, shapes))

    @cached_property
    def figures(self) -> Figures:
        """What the parts and their product take."""
        parts, dtype = self.chain.parts, one_dtype(self.output)
        shapes = [
            jax.ShapeDtypeStruct((bottleneck.size_of(p.outputs), bottleneck.size_of(p.inputs)), dtype)
            for p in parts
        ]
        product = jax.make_jaxpr(multiplied)(shapes[::-1]).jaxpr
        held = max(
            min(_passes(part), heuristics().largest_block)
            * sum(size_in_bytes(v.aval) for eqn in part.equations for v in eqn.outvars)
            for part in parts
        )
        passes = sum(map(_passes, parts))
        work = sum(map(bottleneck.work, parts)) + cost.work(product)
        workspace = sum(map(size_in_bytes, shapes)) + max(held, peak_bytes(product))
        return Figures(passes, work, workspace, passes)

    def branches(self) -> list[Branch]:
        """What branches and loops of the parts hold, all products of a part side by side."""
        return [
            branch
            for part in self.chain.parts
            for branch in branches(part.equations, times=min(_passes(part), heuristics().largest_block))
        ]


def product_of_parts(problem: DirectProblem) -> Product | None:
    """The Jacobian of a function with a bottleneck; None for any other, and under a memory limit."""
    if problem.options.memory_limit is not None:
        return None
    flat, output = problem.flat, problem.output
    found: list[Aside] = []
    whole = without_promises(flat)  # some parts go forward and others in reverse

    def call(*leaves: Any) -> tuple[Leaves, list[Any]]:
        value, aux = whole(leaves)
        arrays, aside = set_aside(aux, is_array)
        found.append(aside)
        return value, arrays

    chain = _chain_of(call, flat.leaves, output)
    return None if chain is None else Product(flat, output, chain, found[-1])


def _chain_of(call: Callable[..., Any], leaves: Leaves, output: Sequence[Any]) -> Chain | None:
    """The parts of a function of leaves that has a bottleneck; None for any other.

    `output` are shapes and dtypes of its results, as far as they are differentiated: the first ones.
    """
    if is_symbolic([*leaves, *output]):
        return None
    n, m = (sum(prod(jnp.shape(x)) for x in side) for side in (leaves, output))
    dtype = one_dtype(leaves)
    if min(n, m) < heuristics().fewest_cut_products or dtype is None or one_dtype(output) != dtype:
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


def _described(part: bottleneck.Part) -> Part:
    inputs, outputs = bottleneck.size_of(part.inputs), bottleneck.size_of(part.outputs)
    made = [eqn for eqn in part.equations if not set(part.outputs).isdisjoint(eqn.outvars)]
    ends = source_line(made[-1]) if made else ""
    return Part(ends, inputs, outputs, "forward" if inputs <= outputs else "reverse")


def _passes(part: bottleneck.Part) -> int:
    return min(bottleneck.size_of(part.inputs), bottleneck.size_of(part.outputs))
