"""How many entries of a pattern fall into each cell of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxcalc.engine.patterns.structure import Entries

ELONGATED = 4  # a matrix that is longer than this is stretched to it, or there would be a line to see


@dataclass(frozen=True)
class Bins:
    """Cells of equal size over a matrix.

    Attributes:
        height: their number from top to bottom.
        width: their number from left to right.
        scales: how many rows and columns are in one.
        is_stretched: whether a picture of the matrix has other proportions than the matrix.
    """

    height: int
    width: int
    scales: tuple[float, float]
    is_stretched: bool

    @classmethod
    def of(cls, shape: tuple[int, int], cells: int) -> Bins:
        """At most `cells` a side, square where the matrix is not much longer than wide."""
        m, n = (max(size, 1) for size in shape)
        is_stretched = max(m, n) > ELONGATED * min(m, n)
        if is_stretched:
            longer, shorter = max(m, n) / cells, ELONGATED * min(m, n) / cells
            scales = (longer, shorter) if m > n else (shorter, longer)
        else:
            scales = (max(m, n) / cells,) * 2
        down, across = (max(1.0, scale) for scale in scales)
        return cls(int(np.ceil(m / down)), int(np.ceil(n / across)), (down, across), is_stretched)

    def share(self, pattern: Entries, counts: np.ndarray) -> np.ndarray:
        """`[height, width]`: how full each cell is, of the elements of the matrix that are in it."""
        m, n = (
            np.bincount((np.arange(size) / scale).astype(np.int64), minlength=cells)
            for size, scale, cells in zip(
                pattern.shape, self.scales, (self.height, self.width), strict=True
            )
        )
        return counts / np.maximum(np.outer(m, n), 1)

    def count(self, pattern: Entries, groups: Any = 0, number: int = 1) -> np.ndarray:
        """`[number, height, width]`: the entries in each cell, by the group that each belongs to."""
        i = (pattern.rows / self.scales[0]).astype(np.int64)
        j = (pattern.cols / self.scales[1]).astype(np.int64)
        cell = (np.asarray(groups, np.int64) * self.height + i) * self.width + j
        counts = np.bincount(cell, minlength=number * self.height * self.width)
        return counts.reshape(number, self.height, self.width)
