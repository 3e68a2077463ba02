"""Exact slopes against numerical ones: which agree, which cannot be told, which are wrong.

A disagreement is an accusation when it is found at points around x as well, or at x alone where f is
smooth there, as by a branch for this x alone, in jnp.where(x == 0, ...). Where f is not smooth at x it
says that there is a kink or a tie, as where three numbers that are sorted are equal: the rule is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.directions import Directions, point, scaled, scales, signs
from jaxcalc.checking.products import sharpness
from jaxcalc.checking.reals import RealMap, unflattened
from jaxcalc.numerical.steps import smallest_step

ERRORS = 3.0  # how many estimated errors a difference may have
_DIGITS = 16.0  # units in the last place of the largest number
_NEARBY = 3  # points around x
_DISTANCE = 0.02  # how far they are, relative to |x|
_STEPS = 6.0  # and in terms of the smallest step, so that a kink at x is out of its reach
_FAR = 8.0  # times what is tolerated: a derivative that is wrong at x alone is off by far
_PIECES = 16  # points around x, where the pieces that meet at x are looked for
_ROWS = 64  # outputs that are differentiated one by one where f has no forward mode


@dataclass(frozen=True)
class Measured:
    """Exact and numerical slopes of each of m outputs along each of d directions: `[d, m]` each.

    Attributes:
        exact: J v.
        value: from values of f alone.
        error: of `value`, a kink apart.
        jump: by how much the slopes on both sides of x differ.
        leaps: whether f jumps at x.
        tolerance: what `exact` and `value` may differ by.
    """

    exact: np.ndarray
    value: np.ndarray
    error: np.ndarray
    jump: np.ndarray
    leaps: np.ndarray
    tolerance: np.ndarray

    @classmethod
    def of(
        cls,
        f: RealMap,
        exact: np.ndarray,
        slopes: np.ndarray,
        tolerance: float,
        output: int | None = None,
    ) -> Measured:
        """From exact slopes, and those that `RealMap.measured` finds, of all outputs, or of one."""
        if output is not None:
            exact, slopes = exact[:, [output]], slopes[..., [output]]
        value, error, jump, leaps = slopes
        size = np.maximum(np.abs(exact), np.abs(np.nan_to_num(value)))
        allowed = ERRORS * error + tolerance * size + rounding(f, exact)
        return cls(exact, value, error, jump, leaps > 0, allowed)

    def only(self, chosen: np.ndarray) -> Measured:
        """Some of the directions."""
        tables = (self.exact, self.value, self.error, self.jump, self.leaps, self.tolerance)
        return Measured(*(table[chosen] for table in tables))

    @property
    def difference(self) -> np.ndarray:
        """How far apart they are."""
        with np.errstate(invalid="ignore"):
            return np.abs(self.exact - self.value)

    @property
    def is_decided(self) -> np.ndarray:
        """Where there are two numbers to compare."""
        return np.isfinite(self.exact) & np.isfinite(self.tolerance) & np.isfinite(self.value)

    @property
    def has_kink(self) -> np.ndarray:
        """Where the slopes on both sides differ by more than is tolerated."""
        return self.is_decided & (self.jump > 2 * self.tolerance)

    @property
    def times(self) -> np.ndarray:
        """The difference as a multiple of what is tolerated; at a kink any value between will do."""
        allowed = self.tolerance + self.jump / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(self.difference == 0, 0.0, self.difference / allowed)
        return np.where(self.is_decided, ratio, 0.0)

    @property
    def sharpness(self) -> float:
        """What is tolerated relative to the numbers, for half of those that are not zero."""
        return sharpness(self.exact, self.value, self.tolerance)


def measure(
    f: RealMap, directions: Directions, tolerance: float, output: int | None = None
) -> Measured | None:
    """Both kinds of slopes along each direction; None where f has no derivative to compare.

    Of all outputs, or of one.

    Cost: for each direction what `numerical.gradient` takes for an input element, and one product.
    """
    exact, slopes = f.measured(directions)
    if exact is None:
        exact = by_rows(f, directions.rows)
    return None if exact is None else Measured.of(f, exact, slopes, tolerance, output)


def rounding(f: RealMap, products: np.ndarray) -> np.ndarray:
    """How far the numbers of each product may be off for being made by sums that cancel, `[d, 1]`."""
    finite = np.where(np.isfinite(products), np.abs(products), 0.0)
    return _DIGITS * f.epsilon * np.max(finite, axis=1, initial=0.0, keepdims=True)


def rounding_inside(f: RealMap, directions: Directions, exact: np.ndarray) -> np.ndarray:
    """How far slopes may be off for what f rounds on its way, `[d, m]`: digits of its largest terms.

    A determinant that is zero is made of products that are not, and their rounding is as smooth as f.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.max(np.abs(directions.rows) / scales(f), axis=1, initial=0.0)[:, None]
        terms = np.where(np.isfinite(exact), np.abs(exact) / relative, 0.0)
    return _DIGITS * f.epsilon * np.max(terms, axis=0, initial=0.0) * relative


def exact_slopes(f: RealMap, rows: np.ndarray) -> np.ndarray | None:
    """J v for each direction, in forward mode, or by rows of J where there is none."""
    found = f.forward(rows)
    return by_rows(f, rows) if found is None else found


def by_rows(f: RealMap, rows: np.ndarray) -> np.ndarray | None:
    """J v by rows of J, in reverse mode; None where there are many."""
    if f.output_size > _ROWS:
        return None
    by_row = f.reverse(np.eye(f.output_size))
    return None if by_row is None else rows @ by_row.T


class Confirmed(NamedTuple):
    """What disagreements are, `[d, m]` each; none of these where it cannot be told.

    Attributes:
        around: the derivative is wrong at x, and around x.
        at_x: it is wrong at x alone, where f is smooth.
        ties: f is not smooth at x, and the derivative is right around x.
    """

    around: np.ndarray
    at_x: np.ndarray
    ties: np.ndarray


def confirmed(
    f: RealMap,
    directions: Directions,
    measured: Measured,
    lost: np.ndarray,
    tolerance: float,
    rng: np.random.Generator,
) -> Confirmed:
    """What each disagreement is; `lost` are the smallest that rounding on the way to f cannot explain.

    Where the derivative is wrong around x, the exact slopes disagree by more than x's own rounding
    moves them, and at most of a few points around x as well, as far as it can be told there.
    """
    suspected = np.asarray(measured.times > 1)
    spread = _spread(f, directions, measured.exact, rng)
    with np.errstate(invalid="ignore"):
        clear = measured.difference > measured.tolerance + measured.jump / 2 + ERRORS * spread
    votes = np.zeros(suspected.shape, int)
    decided = np.zeros(suspected.shape, int)
    for n in range(_NEARBY if suspected.any() else 0):
        # one of the points is at a relative distance: f may not be defined far from x
        near = measure(f.moved_to(_displaced(f, rng, _STEPS * (n > 0))), directions, tolerance)
        if near is not None:
            votes += near.times > 1
            decided += near.is_decided
    around = suspected & clear & (2 * votes > decided)
    here = suspected & ~around
    ties = here & (measured.jump > 2 * measured.tolerance)
    asked = here & ~ties
    if not asked.any():
        return Confirmed(around, asked, ties)
    tied, told = np.zeros(asked.shape, bool), np.zeros(asked.shape, bool)
    chosen = np.flatnonzero(asked.any(axis=1))
    tied[chosen], told[chosen] = _additivity(f, directions.only(chosen), tolerance, rng)
    tied |= _returns_nearby(f, directions, measured, rng)
    is_far = (measured.times > _FAR) & (measured.difference > lost)
    at_x = asked & ~tied & told & (votes == 0) & (decided == _NEARBY) & is_far
    if at_x.any():
        at_x &= ~_is_narrow(f, directions, measured, rng)
    return Confirmed(around, at_x, ties | (asked & tied))


def _additivity(
    f: RealMap, directions: Directions, tolerance: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where the slopes along v, w and v + w show that f is not smooth, and where they tell anything.

    Where three numbers tie, their median has the same slope on both sides of x along each line, and
    is not smooth there: its slopes do not add up.
    """
    scale = scales(f)
    bent = np.zeros((len(directions), f.output_size), bool)
    told = bent.copy()
    for _ in range(_NEARBY):
        one = directions.rows / scale
        one = one / np.max(np.abs(one), axis=1, keepdims=True)
        other = signs(rng, *one.shape)
        parts = [scaled(f, relative) for relative in (one, other, one + other)]
        found = [measure(f, part, tolerance) for part in parts]
        slopes_, errors = [], []
        for part, each, relative in zip(parts, found, (one, other, one + other), strict=True):
            if each is None:
                return bent, told
            size = np.linalg.norm(part.rows, axis=1) / np.linalg.norm(relative * scale, axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                slopes_.append(each.value / size[:, None])
                errors.append(each.tolerance / size[:, None])
        v, w, both = slopes_
        with np.errstate(invalid="ignore"):
            gap, allowed = np.abs(both - v - w), sum(errors)
        told |= np.isfinite(gap) & np.isfinite(allowed)
        bent |= gap > allowed
    return bent, told


def _returns_nearby(
    f: RealMap, directions: Directions, measured: Measured, rng: np.random.Generator
) -> np.ndarray:
    """Whether the exact slopes at x are those at a point around it: pieces of f meet at x."""
    same = np.zeros(measured.exact.shape, bool)
    for _ in range(_PIECES):
        found = _as_at_x(f, _displaced(f, rng, _STEPS), directions, measured)
        if found is not None:
            same |= found
    return same


def _is_narrow(
    f: RealMap, directions: Directions, measured: Measured, rng: np.random.Generator
) -> np.ndarray:
    """Whether the exact slopes right beside x are those at x: f varies within the smallest step."""
    same = np.ones(measured.exact.shape, bool)
    x = point(f)
    for n in range(2 * _NEARBY):
        by = 2.0**n * f.epsilon * np.where(x == 0, scales(f), np.abs(x)) * signs(rng, x.size)
        beside = [leaf[0] for leaf in unflattened(np.expand_dims(x + by, 0), f.inputs)]
        found = _as_at_x(f, beside, directions, measured)
        if found is not None:
            same &= found
    return same


def _as_at_x(
    f: RealMap, leaves: list[Any], directions: Directions, measured: Measured
) -> np.ndarray | None:
    """Where the exact slopes at another point are those at x, far nearer than the numerical ones."""
    found = exact_slopes(f.moved_to(leaves), directions.rows)
    if found is None:
        return None
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(found - measured.exact) < measured.difference / 4)


def _spread(
    f: RealMap, directions: Directions, exact: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """By how much a last digit of x changes the exact slopes."""
    spread = np.zeros(exact.shape)
    for _ in range(2):
        moved = []
        for leaf in f.leaves:
            step = f.spacing(leaf.dtype) * signs(rng, *leaf.shape)
            moved.append((leaf * (1 + step).astype(leaf.dtype)).astype(leaf.dtype))
        found = exact_slopes(f.moved_to(moved), directions.rows)
        if found is not None:
            with np.errstate(invalid="ignore"):
                spread = np.fmax(spread, np.abs(found - exact))
    return spread


def _displaced(f: RealMap, rng: np.random.Generator, steps: float) -> list[Any]:
    """A point at random around x, at least so many of the smallest steps away from it."""
    moved, scale, start = [], scales(f), 0
    for leaf in f.leaves:
        x = np.asarray(leaf).astype(np.float64)
        smallest = smallest_step(leaf.dtype, f.bits) * scale[start : start + x.size].reshape(x.shape)
        start += x.size
        by = np.where(x == 0, _STEPS * smallest, _DISTANCE * np.abs(x))
        by = np.maximum(by, steps * smallest)
        moved.append(jnp.asarray((x + by * signs(rng, *x.shape)).astype(leaf.dtype)))
    return moved
