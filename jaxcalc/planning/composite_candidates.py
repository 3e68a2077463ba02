"""What a dense Jacobian takes that is the product of those of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.liveness import peak_bytes, size_in_bytes
from jaxcalc.engine.jaxprs.source import source_line
from jaxcalc.methods import bottleneck
from jaxcalc.methods.chain import multiplied, one_dtype
from jaxcalc.methods.composite import LARGEST_BLOCK
from jaxcalc.planning.branches import branches
from jaxcalc.planning.findings import Branch, Part, Way

BY_PARTS = "dense, product of parts"


def way_by_parts(parts: Sequence[bottleneck.Part], output: Sequence[Any]) -> Way:
    """Each part in its better direction, and the product of their matrices."""
    dtype = one_dtype(output)
    shapes = [
        jax.ShapeDtypeStruct((bottleneck.size_of(p.outputs), bottleneck.size_of(p.inputs)), dtype)
        for p in parts
    ]
    product = jax.make_jaxpr(multiplied)(shapes[::-1]).jaxpr
    held = max(
        min(_passes(part), LARGEST_BLOCK)
        * sum(size_in_bytes(v.aval) for eqn in part.equations for v in eqn.outvars)
        for part in parts
    )
    passes = sum(map(_passes, parts))
    return Way(
        BY_PARTS,
        passes,
        sum(map(bottleneck.work, parts)) + cost.work(product),
        sum(map(size_in_bytes, shapes)) + max(held, peak_bytes(product)),
        block=passes,
    )


def described(part: bottleneck.Part) -> Part:
    """A part by its widths, its direction and the line at whose result it ends."""
    inputs, outputs = bottleneck.size_of(part.inputs), bottleneck.size_of(part.outputs)
    made = [eqn for eqn in part.equations if not set(part.outputs).isdisjoint(eqn.outvars)]
    ends = source_line(made[-1]) if made else ""
    return Part(ends, inputs, outputs, "forward" if inputs <= outputs else "reverse")


def branches_of_parts(parts: Sequence[bottleneck.Part]) -> list[Branch]:
    """What their branches and loops hold, all products of a part side by side."""
    return [
        branch
        for part in parts
        for branch in branches(part.equations, times=min(_passes(part), LARGEST_BLOCK))
    ]


def _passes(part: bottleneck.Part) -> int:
    return min(bottleneck.size_of(part.inputs), bottleneck.size_of(part.outputs))
