"""The examination of one derivative: in random directions, and entry by entry."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.comparison import Measured, by_rows, exact_slopes, rounding
from jaxcalc.checking.directions import (
    Directions,
    random_directions,
    signs,
    unit_directions,
    with_unit_directions,
)
from jaxcalc.checking.narrowing import Entry, narrowed
from jaxcalc.checking.products import Pairs, forward_and_reverse, linear, structured_products
from jaxcalc.checking.programs import Entries
from jaxcalc.checking.reals import First, RealMap, element_name
from jaxcalc.checking.report import CheckFinding, Comparison
from jaxcalc.checking.verdicts import Verdicts
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS

_FEW_INPUTS, _FEW_ENTRIES = 32, 1024  # so small that all entries are looked at
_MOST_OUTPUTS = 2**14  # more are summed up in groups
_FEW_ARRAYS = 6
_WEIGHTS = 3
_LARGE = 8.0
_SMALLER = 2.0**-10
_NEAR = 2.0**-6  # of the largest number, where a product may have overflown on its way
_BATCH = 64


@dataclass(frozen=True)
class Settings:
    """How to examine: see `jaxcalc.check`."""

    tolerance: float
    entries: bool | None
    rng: np.random.Generator


class Examination:
    """One derivative at one point, and what is found about it.

    Attributes:
        f: the function of which it is the first derivative.
        comparisons: what was compared.
        verdicts: what was found.
    """

    def __init__(
        self, f: RealMap, subject: str, settings: Settings, label: str = "", doctor: str = ""
    ) -> None:
        self.f = f
        self._doctor = doctor
        self.comparisons: list[Comparison] = []
        self._settings = settings
        self._label = label
        self.verdicts = Verdicts(f, subject, settings.tolerance, settings.rng)

    @property
    def findings(self) -> list[CheckFinding]:
        """What was found so far."""
        return self.verdicts.findings

    @property
    def tolerance(self) -> float:
        """The relative difference that is tolerated."""
        return self._settings.tolerance

    @property
    def is_small(self) -> bool:
        """Whether every entry is looked at unless told otherwise."""
        return self.f.size <= _FEW_INPUTS and self.f.size * self.f.output_size <= _FEW_ENTRIES

    def run(self, *, structure: bool = False) -> None:
        """Compare everything with everything, the structured derivative too if that is asked for."""
        f = self.f
        if not f.size or not f.output_size:
            self.note("exact against numerical", "nothing to differentiate")
            return
        entries = self.is_small if self._settings.entries is None else self._settings.entries
        g = self._reduced()
        directions = random_directions(g, self._settings.rng, 1 if len(f.inputs) > _FEW_ARRAYS else 2)
        if entries and self.is_small:
            directions = with_unit_directions(f, directions)
        weights = self._weights(g, entries=entries and self.is_small)
        first = g.first(directions, weights, structure=structure and g is f)
        weights, reverse = _without_overflow(g, weights, first.reverse)
        first = first._replace(reverse=reverse)
        self._modes(g, directions, weights, first)
        if structure and g is f:
            self._structure(first.entries, directions, first.forward)
        elif structure:
            self._structure(f.entries(), directions, f.forward(directions.rows))
        self._slopes(g, directions, first.forward, first.slopes)
        if entries and not self.is_small:
            self._all_entries()

    def _reduced(self) -> RealMap:
        if self.f.output_size <= _MOST_OUTPUTS:
            return self.f
        return self.f.compressed(_MOST_OUTPUTS, signs(self._settings.rng, self.f.output_size))

    def _weights(self, g: RealMap, *, entries: bool) -> np.ndarray:
        weights = signs(self._settings.rng, _WEIGHTS, g.output_size)
        weights[1] *= _LARGE  # a rule that clips shows itself
        weights[2] = weights[0] + weights[1]
        return np.concatenate([weights, np.eye(g.output_size)]) if entries else weights

    def _slopes(
        self, g: RealMap, directions: Directions, exact: np.ndarray | None, slopes: np.ndarray
    ) -> None:
        """Exact slopes against those of the values of f; g is f, perhaps with its outputs summed up."""
        drawn = [name for name, draws in zip(g.inputs, g.draws, strict=True) if draws]
        if drawn:
            self.note("exact against numerical", _SAMPLERS + ", ".join(place.name for place in drawn))
            steady = np.flatnonzero(~(directions.rows[:, g.draws_by_element] != 0).any(axis=1))
            directions, slopes = directions.only(steady), slopes[:, steady]
            exact = None if exact is None else exact[steady]
            if not len(directions):
                return
        exact = by_rows(g, directions.rows) if exact is None else exact
        if exact is None:
            self.note("exact against numerical", "f has no forward mode, and many outputs")
            return
        measured = Measured.of(g, exact, slopes, self.tolerance)
        single = directions.elements >= 0
        for name, chosen in (("in random directions", ~single), ("entry by entry", single)):
            if chosen.any():
                self._count(f"exact against numerical, {name}", measured.only(chosen))
        self._not_finite(g, directions, measured.exact)
        self.verdicts.numerical(g, directions, measured)

    def _count(self, name: str, measured: Measured) -> None:
        undecided = int(np.sum(~measured.is_decided))
        worst = float(np.max(measured.times, initial=0.0))
        self.comparisons.append(
            Comparison(self._label + name, measured.exact.size, undecided, worst, measured.sharpness)
        )

    def _all_entries(self) -> None:
        for directions in unit_directions(self.f, _BATCH):
            self._slopes(self.f, directions, *self.f.measured(directions))

    def _modes(self, g: RealMap, directions: Directions, weights: np.ndarray, first: First) -> None:
        forward, reverse = first.forward, first.reverse
        name = "forward against reverse"
        if reverse is None or forward is None:
            self.note(name, f"f has no {'reverse' if reverse is None else 'forward'} mode")
        if reverse is None:
            return
        self._not_finite_reverse(g, weights, reverse)
        self._linearity(reverse)
        if forward is None:
            return
        pairs = forward_and_reverse(
            forward, reverse, directions.rows, weights, self.tolerance, _lost(g, forward, reverse)
        )
        self.compared(name, pairs)
        if (pairs.times > 1).any():
            self._blame(g, directions, weights, pairs)

    def _blame(self, g: RealMap, directions: Directions, weights: np.ndarray, pairs: Pairs) -> None:
        """Which entry the modes disagree about."""
        tolerance = self.tolerance
        if len(weights) > _WEIGHTS:  # the last rows and columns are single entries
            tables = (pairs.one, pairs.other, pairs.tolerance)
            inner = Pairs(*(table[_WEIGHTS:, -g.size :] for table in tables))
            entries = [Entry(i, j) for i in range(g.output_size) for j in range(g.size)]
            if (inner.times > 1).any():
                self.verdicts.pairs("modes disagree", inner, entries, _MODES)
                return
        k, d = np.unravel_index(np.argmax(pairs.times), pairs.times.shape)

        def by_input(sets: np.ndarray) -> np.ndarray:
            rows = _spread_over(sets, directions.rows[d])
            return _disagreement(g, rows, weights[[k]], tolerance)[0]

        j = narrowed(by_input, np.flatnonzero(directions.rows[d]))
        if j < 0:
            place = Entry(-1, -1)
        else:
            unit = np.zeros((1, g.size))
            unit[0, j] = 1.0

            def by_output(sets: np.ndarray) -> np.ndarray:
                return _disagreement(g, unit, _spread_over(sets, weights[k]), tolerance)[:, 0]

            place = Entry(narrowed(by_output, np.flatnonzero(weights[k])) if g is self.f else -1, j)
        worst = Pairs(*(np.array([t[k, d]]) for t in (pairs.one, pairs.other, pairs.tolerance)))
        self.verdicts.pairs("modes disagree", worst, [place], _MODES)

    def _linearity(self, reverse: np.ndarray) -> None:
        parts = reverse[:_WEIGHTS]
        pairs = linear(parts, self.tolerance, rounding(self.f, parts))
        self.compared("reverse mode is linear", pairs)
        if (pairs.times > 1).any():
            places = [Entry(-1, j) for j in range(self.f.size)]
            words = "with a sum of two cotangents, and with the sum of both products"
            at_worst = pairs.worst(), [places[pairs.worst_place]]
            self.verdicts.pairs("not linear", *at_worst, words, self.f.rules_not_linear())

    def _structure(
        self, entries: Entries | None, directions: Directions, forward: np.ndarray | None
    ) -> None:
        name = "structured against dense"
        if forward is None:
            return
        if entries is None:
            failures = self.f.failures
            assert failures.failure is not None
            self.note(name, f"left out: {_reason(failures.failure)}")
            if not isinstance(failures.failure, REFUSALS):
                failures.tell()
            return
        pairs = structured_products(
            entries, directions.rows, forward, self.tolerance, rounding(self.f, forward)
        )
        self.compared(name, pairs)
        if (pairs.times > 1).any():
            d, i = np.unravel_index(np.argmax(pairs.times), pairs.times.shape)
            place = Entry(int(i), int(directions.elements[d]))
            words = "by its structure, and by forward mode"
            self.verdicts.pairs("structure disagrees", pairs.worst(), [place], words)

    def _not_finite(self, g: RealMap, directions: Directions, exact: np.ndarray) -> None:
        bad = np.argwhere(~np.isfinite(exact))
        if not bad.size or any(found.kind == "not finite" for found in self.findings):
            return
        smaller = exact_slopes(g, directions.rows * _SMALLER)  # a sum of large numbers may overflow
        if smaller is not None:
            is_sum = directions.elements[bad[:, 0]] < 0
            bad = bad[~(is_sum & np.isfinite(smaller[bad[:, 0], bad[:, 1]]))]
        if not bad.size:
            return
        single = bad[directions.elements[bad[:, 0]] >= 0]
        d, i = (single if single.size else bad)[0]
        j = int(directions.elements[d])
        self._unusable(g, i, element_name(g.inputs, j) if j >= 0 else "x", float(exact[d, i]), len(bad))

    def _not_finite_reverse(self, g: RealMap, weights: np.ndarray, reverse: np.ndarray) -> None:
        bad = np.argwhere(~np.isfinite(reverse))
        if not bad.size:
            return
        of_one_output = bad[bad[:, 0] >= _WEIGHTS]
        k, j = (of_one_output if of_one_output.size else bad)[0]
        i = int(np.argmax(weights[k])) if k >= _WEIGHTS else None  # rows after those are unit vectors
        self._unusable(g, i, element_name(g.inputs, int(j)), float(reverse[k, j]), len(bad))

    def _unusable(self, g: RealMap, i: int | None, moved: str, value: float, count: int) -> None:
        output = "the output" if i is None else element_name(g.outputs, int(i))
        reason = (
            "while f(x) is finite" if np.isfinite(self.f.value()).all() else "and f(x) is not finite"
        )
        more = f" ({count} such numbers)" if count > 1 else ""
        nan = float("nan")
        self.verdicts.add(
            "not finite",
            output,
            moved,
            (value, nan, nan),
            float("inf"),
            f"{self.verdicts.heading(output, moved)} is {value}{more}, {reason}; {self._doctor} says "
            "where it comes from",
        )

    def compared(self, name: str, pairs: Pairs) -> None:
        """Note a comparison of two tables."""
        undecided = int(np.sum(~pairs.is_decided))
        worst = float(np.max(pairs.times, initial=0.0))
        self.comparisons.append(
            Comparison(self._label + name, pairs.one.size, undecided, worst, pairs.sharpness)
        )

    def note(self, name: str, note: str) -> None:
        """Note why a comparison was left out."""
        self.comparisons.append(Comparison(self._label + name, 0, note=note))


_SAMPLERS = (
    "left out: jax.random.gamma and its kin have the derivative of the distribution, not that of one "
    "sample, with respect to "
)
_MODES = "by forward mode, and by reverse mode"


def _without_overflow(
    g: RealMap, weights: np.ndarray, reverse: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The cotangents, made smaller where their products, and not the derivative, are too large."""
    if reverse is None or np.isfinite(reverse).all():
        return weights, reverse
    smaller = weights.copy()
    smaller[:_WEIGHTS] *= _SMALLER  # the unit vectors after these give the derivative itself
    again = g.reverse(smaller)
    if again is None:
        return weights, reverse
    largest = min(float(jnp.finfo(place.dtype).max) for place in (*g.inputs, *g.outputs))
    cured = np.abs(again[~np.isfinite(reverse) & np.isfinite(again)]) / _SMALLER
    if not cured.size or np.min(cured) < largest * _NEAR:  # a rule that is not linear, say
        return weights, reverse
    return smaller, again


def _spread_over(sets: np.ndarray, row: np.ndarray) -> np.ndarray:
    """A row with all but some elements zero, for each of several sets of them."""
    rows = np.zeros((len(sets), row.size))
    for each, elements in zip(rows, sets, strict=True):
        each[elements] = row[elements]
    return rows


def _disagreement(g: RealMap, rows: np.ndarray, weights: np.ndarray, tolerance: float) -> np.ndarray:
    """By how much the modes disagree, in terms of what is tolerated, `[k, d]`."""
    forward, reverse = g.forward(rows), g.reverse(weights)
    if forward is None or reverse is None:
        return np.zeros((len(weights), len(rows)))
    lost = _lost(g, forward, reverse)
    return forward_and_reverse(forward, reverse, rows, weights, tolerance, lost).times


def _lost(g: RealMap, forward: np.ndarray, reverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rounding(g, forward), rounding(g, reverse)


def _reason(error: Exception) -> str:
    text = str(error).split(": ", 1)[-1].split("\n", 1)[0]
    return text if len(text) < 80 else text[:77] + "..."
