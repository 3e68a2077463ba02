"""Exact derivatives against each other: forward and reverse mode, structured and dense, linearity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxcalc.checking.programs import Entries


@dataclass(frozen=True)
class Pairs:
    """Two tables of the same numbers, and what rounding may make of their difference.

    Attributes:
        one: by the first way.
        other: by the second way.
        tolerance: what they may differ by.
    """

    one: np.ndarray
    other: np.ndarray
    tolerance: np.ndarray

    @property
    def is_decided(self) -> np.ndarray:
        """Where there are two finite numbers."""
        return np.isfinite(self.one) & np.isfinite(self.other) & np.isfinite(self.tolerance)

    @property
    def times(self) -> np.ndarray:
        """The difference, as a multiple of what is tolerated; 0 where a number is not finite."""
        with np.errstate(invalid="ignore", divide="ignore"):
            difference = np.abs(self.one - self.other)
            ratio = np.where(difference == 0, 0.0, difference / self.tolerance)
        return np.where(self.is_decided, ratio, 0.0)

    @property
    def sharpness(self) -> float:
        """What is tolerated relative to the numbers, for half of those that are not zero."""
        return sharpness(self.one, self.other, self.tolerance)

    @property
    def worst_place(self) -> int:
        """Where the difference is largest, in terms of what is tolerated, in row-major order."""
        return int(np.argmax(self.times))

    def worst(self) -> Pairs:
        """That one number."""
        n = self.worst_place
        return Pairs(*(np.ravel(table)[[n]] for table in (self.one, self.other, self.tolerance)))


def sharpness(one: np.ndarray, other: np.ndarray, tolerance: np.ndarray) -> float:
    """The median of what is tolerated relative to finite numbers that are not zero; else infinite."""
    size = np.maximum(np.abs(one), np.abs(other))
    chosen = np.isfinite(tolerance) & np.isfinite(size) & (size > 0)
    return float(np.median(tolerance[chosen] / size[chosen])) if chosen.any() else np.inf


def forward_and_reverse(
    forward: np.ndarray,
    reverse: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
    tolerance: float,
    lost: tuple[np.ndarray, np.ndarray],
) -> Pairs:
    """u (J v) and (u J) v for all pairs, `[k, d]`, from `J v [d, m]` and `u J [k, n]`.

    What is tolerated is relative to the sums of absolute values; `lost` is what an element of each
    product may be off in any case, `[d, 1]` and `[k, 1]`.
    """
    with np.errstate(invalid="ignore"):
        scale = np.abs(weights) @ np.abs(forward).T + np.abs(reverse) @ np.abs(rows).T
        ahead, back = lost
        beside = np.sum(np.abs(weights), axis=1)[:, None] * ahead.T + back * np.sum(
            np.abs(rows), axis=1
        )
        return Pairs(weights @ forward.T, reverse @ rows.T, tolerance * scale + beside)


def structured_products(
    matrix: Entries, rows: np.ndarray, forward: np.ndarray, tolerance: float, lost: np.ndarray
) -> Pairs:
    """J v by the entries of a sparse matrix, and by forward mode, `[d, m]`."""
    values = np.asarray(matrix.values).astype(np.float64)
    m = matrix.shape[0]
    with np.errstate(invalid="ignore"):
        terms = values * rows[:, matrix.cols]
        one = _summed(matrix.rows, terms, m)
        scale = _summed(matrix.rows, np.abs(terms), m) + np.abs(forward)
    return Pairs(one, forward, tolerance * scale + lost)


def _summed(rows: np.ndarray, terms: np.ndarray, m: int) -> np.ndarray:
    sums = [np.bincount(rows, weights=each, minlength=m) for each in terms]
    return np.stack(sums) if sums else np.zeros((0, m))


def linear(parts: np.ndarray, tolerance: float, lost: np.ndarray) -> Pairs:
    """The product with a sum and the sum of the products, from those of a, b and a + b, `[3, n]`."""
    a, b, both = parts
    with np.errstate(invalid="ignore"):
        allowed = 2 * tolerance * np.max(np.abs(parts), axis=0) + np.sum(lost)
        return Pairs(both, a + b, allowed)
