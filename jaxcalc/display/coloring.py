"""The entries of a pattern in groups that show its structure: diagonals, blocks, arrows, leaves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxcalc.display.pattern import Pattern
from jaxcalc.engine.patterns.structure import Structure, diagonal_offsets
from jaxcalc.space import Side

# each is lighter than the one before, so that they are told apart without color
DARK, BLUE, ORANGE, LIGHT = "#1b2a41", "#0072B2", "#E0762B", "#8CC5E8"
# diagonals, from the nearest to the farthest
_BELOW = ("#B3541E", "#D9813F", "#EDB27C", "#F6D7B8")
_ABOVE = ("#0B5C94", "#3A8CC4", "#86BCE2", "#C2DDF1")
_LISTED = 5  # more diagonals than these are summed up in the legend
_ALTERNATING = 100  # more blocks than these are too small to alternate
_LEAVES = 6  # more leaves than these are not colored


class Group(NamedTuple):
    """Entries of one color.

    Attributes:
        color: of its cells.
        label: for the legend; None for what goes without saying.
    """

    color: str
    label: str | None


def grouped(pattern: Pattern, inputs: Side | None) -> tuple[list[Group], np.ndarray]:
    """Groups of entries, and the number of the group of each entry."""
    structure = pattern.structure
    if structure.name in {"diagonal", "banded", "diagonals"}:
        return _by_diagonal(pattern)
    if structure.name == "block diagonal":
        return _by_block(pattern, structure)
    if structure.name == "arrow":
        return _by_part_of_arrow(pattern, structure.width)
    leaves = 0 if inputs is None else sum(inputs.varies)
    if inputs is not None and 1 < leaves <= _LEAVES:
        return _by_leaf(pattern, inputs)
    return [Group(BLUE, None)], np.zeros(pattern.nnz, np.int64)


def _by_diagonal(pattern: Pattern) -> tuple[list[Group], np.ndarray]:
    """The main diagonal, and those on either side of it, lighter the farther away."""
    offsets = diagonal_offsets(pattern)
    groups: list[Group] = []
    number = np.zeros(offsets.size, np.int64)
    for sign, shades, word in ((0, (DARK,), "main"), (-1, _BELOW, "below"), (1, _ABOVE, "above")):
        found = np.flatnonzero(np.sign(offsets) == sign)[:: sign or 1]  # from the nearest one on
        for i, part in enumerate(np.array_split(found, min(found.size, len(shades)) or 1)):
            if not part.size:
                continue
            number[part] = len(groups)
            if offsets.size <= _LISTED:
                label = f"diagonal {offsets[part[0]]:+,}" if sign else "main diagonal"
            else:
                label = f"{word}, to {offsets[found[-1]]:+,}" if sign else "main diagonal"
            groups.append(Group(shades[i], label if i == 0 or offsets.size <= _LISTED else None))
    offset = pattern.cols.astype(np.int64) - pattern.rows
    return groups, number[np.searchsorted(offsets, offset)]


def _by_block(pattern: Pattern, structure: Structure) -> tuple[list[Group], np.ndarray]:
    """Blocks in two colors by turns."""
    m, n = structure.block_shape
    label = f"blocks of {m:,} x {n:,}"
    if structure.blocks > _ALTERNATING:
        return [Group(BLUE, label)], np.zeros(pattern.nnz, np.int64)
    return [Group(BLUE, label), Group(ORANGE, None)], pattern.rows // m % 2


def _by_part_of_arrow(pattern: Pattern, width: int) -> tuple[list[Group], np.ndarray]:
    """The diagonal, the full rows and the full columns."""
    rows, cols, n = pattern.rows, pattern.cols, pattern.shape[0]
    off = rows != cols
    # the full ones are at the end or at the beginning
    at_end = bool((np.maximum(rows, cols)[off] >= n - width).all())
    in_rows = rows >= n - width if at_end else rows < width
    number = np.where(off, np.where(in_rows, 1, 2), 0)
    plural = "s" * (width > 1)
    return [
        Group(DARK, "main diagonal"),
        Group(ORANGE, f"full row{plural}"),
        Group(LIGHT, f"full column{plural}"),
    ], number


def _by_leaf(pattern: Pattern, inputs: Side) -> tuple[list[Group], np.ndarray]:
    """The columns of each leaf of the input."""
    kept = [leaf for leaf, varies in enumerate(inputs.varies) if varies]
    groups = [
        Group((BLUE, ORANGE, LIGHT, DARK, _BELOW[2], _BELOW[0])[i], f"by input {inputs.names[leaf]}")
        for i, leaf in enumerate(kept)
    ]
    starts = np.array([inputs.offsets[leaf] for leaf in kept])
    return groups, np.searchsorted(starts, pattern.cols, side="right") - 1
