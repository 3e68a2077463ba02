"""A program that is not linear, materialized with a few passes: seeds that nowhere meet share one.

Where no result depends on two seeds, both can be set at once: what depends on both is used nowhere, and
everything else sees one of them, as it would alone. So the samples of a batch take the passes of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import jax
import numpy as np

from jaxcalc.engine.custom_vjp.dependence import DependenceWalk
from jaxcalc.engine.patterns.coloring import Coloring, one_product
from jaxcalc.engine.tangents.entries import Entries, TooDenseError, look_up
from jaxcalc.engine.tangents.lanes import Lanes
from jaxcalc.engine.tangents.to_entries import entries
from jaxcalc.engine.walk.interpret import identity, run_primal
from jaxcalc.engine.walk.program import Program, Slot
from jaxcalc.space import as_dtype, promoted


def materialized(
    program: Program, values: Mapping[Slot, Any], wanted: Sequence[Any], limit: int
) -> list[Lanes]:
    """The results of a program's tangent pass for every seed, one element of a tangent at a time.

    Args:
        program: its tangent pass need not be linear.
        values: the residuals.
        wanted: the results.
        limit: the most coefficients that may be computed.

    Raises:
        TooDenseError: they would be more.
    """
    sizes = [prod(slot.aval.shape) for slot in program.tangents]
    seeds, size = sum(sizes), sum(prod(x.aval.shape) for x in wanted)
    rows, cols = _pattern(program, values, wanted, seeds)
    colored = Coloring(rows, cols, seeds)
    if colored.products * size > limit:
        raise TooDenseError(f"more than {limit} entries")

    def run(given: Mapping[Slot, Any]) -> list[Any]:
        return run_primal(program.tangent, given, wanted)

    dtype = promoted([x.aval.dtype for x in wanted])
    product = one_product(run, values, program.tangents, dtype)
    data = colored.entries(product, size, max(1, colored.products))
    leaves, offset = [], 0
    for atom in wanted:
        value = Lanes(tuple(atom.aval.shape), np.dtype(atom.aval.dtype))
        mine = np.flatnonzero((rows >= offset) & (rows < offset + value.size))
        of_leaf = as_dtype(look_up(data, mine), value.dtype)
        leaves.append(value.with_entries(Entries(rows[mine] - offset, cols[mine], of_leaf)))
        offset += value.size
    return leaves


def _pattern(
    program: Program, values: Mapping[Slot, Any], wanted: Sequence[Any], seeds: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows (elements of the results) and columns (seeds) that may depend on each other.

    A result that may be something else than zero where its seeds are zero has all columns.
    """
    found: list[Any] = []
    dependence = DependenceWalk(seeds)

    def walk() -> None:
        results = dependence(program.tangent, {**values, **identity(program.tangents)}, wanted)
        patterns = [dependence.pattern(x, atom.aval) for x, atom in zip(results, wanted, strict=True)]
        everything = entries(patterns, np.dtype(np.float32))
        found.extend([everything.elements, everything.inputs])

    jax.eval_shape(walk)
    rows, cols = found
    full = np.unique(rows[cols == seeds])
    kept = (cols != seeds) & ~np.isin(rows, full)
    every = np.tile(np.arange(seeds, dtype=cols.dtype), full.size)
    return np.concatenate([rows[kept], np.repeat(full, seeds)]), np.concatenate([cols[kept], every])
