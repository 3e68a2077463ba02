"""A program that is not linear, materialised with a few passes: seeds that nowhere meet share one.

Where no result depends on two seeds, both can be set at once: what depends on both is used nowhere, and
everything else sees one of them, as it would alone. So the samples of a batch take the passes of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import jax
import numpy as np

from jaxcalc.engine.dependence import DependenceWalk
from jaxcalc.engine.interpret import identity, run_primal
from jaxcalc.engine.program import Program, Slot
from jaxcalc.formats.entries import Entries, TooDenseError, look_up
from jaxcalc.formats.lanes import Lanes
from jaxcalc.formats.readout import entries


def materialised(
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
    colours = _colours(rows, cols, seeds)
    count = int(colours.max(initial=-1)) + 1
    if count * size > limit:
        raise TooDenseError(f"more than {limit} entries")
    table = np.zeros((max(1, count), seeds), bool)
    table[colours, np.arange(seeds)] = True

    def one(chosen: Any) -> list[Any]:
        given = dict(values)
        parts = np.cumsum([0, *sizes])
        for slot, start, stop in zip(program.tangents, parts, parts[1:], strict=False):
            given[slot] = (
                chosen[int(start) : int(stop)].reshape(slot.aval.shape).astype(slot.aval.dtype)
            )
        return run_primal(program.tangent, given, wanted)

    results = jax.vmap(one)(table)
    leaves, offset = [], 0
    for data, atom in zip(results, wanted, strict=True):
        value = Lanes(tuple(atom.aval.shape), np.dtype(atom.aval.dtype))
        mine = np.flatnonzero((rows >= offset) & (rows < offset + value.size))
        elements, inputs = rows[mine] - offset, cols[mine]
        places = colours[inputs].astype(np.int64) * value.size + elements
        found = Entries(elements, inputs, look_up(data.reshape(-1), places))
        leaves.append(value.with_entries(found))
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


def _colours(rows: np.ndarray, cols: np.ndarray, seeds: int) -> np.ndarray:
    """A number for each seed, different for any two of which some row has both: greedily, in order."""
    order = np.argsort(cols, kind="stable")
    starts = np.searchsorted(cols[order], np.arange(seeds + 1))
    taken = [0] * (int(rows.max(initial=-1)) + 1)  # for each row, the colours in it as bits
    colours = np.zeros(seeds, np.int64)
    lines = rows[order].tolist()
    for number in range(seeds):
        mine = lines[starts[number] : starts[number + 1]]
        used = 0
        for row in mine:
            used |= taken[row]
        colour = (~used & (used + 1)).bit_length() - 1  # the lowest bit that is not set
        colours[number] = colour
        for row in mine:
            taken[row] |= 1 << colour
    return colours
