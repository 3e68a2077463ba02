"""From numbers that do not agree to findings: which entry of which argument, by how much, how sure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxcalc.checking.comparison import Measured, confirmed, measure, rounding_inside
from jaxcalc.checking.directions import Directions, scaled
from jaxcalc.checking.narrowing import Entry, at_entry, narrowed_input
from jaxcalc.checking.products import Pairs
from jaxcalc.checking.reals import RealMap, element_name
from jaxcalc.checking.report import CheckFinding, FindingKind

_AROUND = "here and around x"
_AT_X = (
    "at x alone: f is smooth here, and around x both agree. A branch for x alone, as in "
    "jnp.where(x == 0, ...), has the value of f and not its slope"
)
_TIE = (
    "they differ at x alone, where f is not smooth: a kink or a tie, where JAX's value is a convention"
)
_UNSURE = (
    "they differ at x, by what rounding or a wave of f within the smallest step may explain, or where "
    "the values of f around x do not tell"
)
_LISTED = 5  # findings of one kind in one comparison


class Verdicts:
    """Findings about one derivative.

    Attributes:
        f: the function, with all its outputs.
        subject: the derivative, such as "Jacobian".
        tolerance: the relative difference that is tolerated.
        findings: what was found so far.
    """

    def __init__(self, f: RealMap, subject: str, tolerance: float, rng: np.random.Generator) -> None:
        self.f = f
        self.subject = subject
        self.tolerance = tolerance
        self.findings: list[CheckFinding] = []
        self._rng = rng
        self._accused: set[Entry] = set()  # a random direction may have led to one that is looked at

    def add(
        self,
        kind: FindingKind,
        output: str,
        moved: str,
        numbers: tuple[float, float, float],
        times: float,
        message: str,
    ) -> None:
        """Note a finding; `numbers` are the exact value, the other one, and the error of that."""
        exact, other, error = numbers
        self.findings.append(
            CheckFinding(
                kind,
                self.subject,
                output,
                moved,
                exact,
                other,
                abs(exact - other),
                error,
                times,
                message,
            )
        )

    def heading(self, output: str, moved: str) -> str:
        """What a finding is about: the derivative of an output with respect to an input."""
        return f"{self.subject} of {output} with respect to {moved}"

    def numerical(self, g: RealMap, directions: Directions, measured: Measured) -> None:
        """Findings from exact and numerical slopes; g is f, or f with its outputs summed up."""
        around, at_x, ties, unsure = (np.zeros(measured.exact.shape, bool) for _ in range(4))
        suspects = np.flatnonzero((measured.times > 1).any(axis=1))
        # single entries before random directions, in which the same entries show again
        suspects = suspects[np.argsort(directions.elements[suspects] < 0, kind="stable")]
        suspects = suspects[: 4 * _LISTED]
        if len(directions) <= 2 * suspects.size:  # all at once, by the programs that are there
            suspects = np.arange(len(directions))
        if suspects.size:
            part = directions.only(suspects), measured.only(suspects)
            lost = rounding_inside(g, directions, measured.exact)[suspects]
            found = confirmed(g, *part, lost, self.tolerance, self._rng)
            around[suspects], at_x[suspects], ties[suspects] = found
            unsure[suspects] = (part[1].times > 1) & ~(found.around | found.at_x | found.ties)
        self._wrong(g, directions, measured, around, _AROUND)
        self._wrong(g, directions, measured, at_x, _AT_X)
        if not (around | at_x).any():
            self._first("kink", (g, directions, measured), ties, _TIE)
            self._first("undetermined", (g, directions, measured), unsure, _UNSURE)
        self._first(
            "kink",
            (g, directions, measured),
            measured.has_kink & (measured.times <= 1),
            "the slopes on both sides of x differ, and the exact value is between them",
        )
        self._first(
            "discontinuity",
            (g, directions, measured),
            measured.leaps,
            "f jumps at x, or nearer to x than the smallest step",
        )
        unknown = np.isfinite(measured.exact) & ~measured.is_decided & ~measured.leaps
        self._first(
            "undetermined",
            (g, directions, measured),
            unknown,
            "the values of f around x do not tell a slope: they are not finite, too rough, or rise "
            "infinitely fast",
        )

    def _wrong(
        self, g: RealMap, directions: Directions, measured: Measured, wrong: np.ndarray, where: str
    ) -> None:
        times = np.where(wrong, measured.times, 0.0)
        single = directions.elements >= 0
        chosen = np.expand_dims(single, 1) if times[single].any() else np.ones((len(single), 1), bool)
        times = np.where(chosen, times, 0.0)
        for d, i in _worst(times):
            j = int(directions.elements[d])
            if j < 0:
                j = narrowed_input(g, directions.rows[d], i, self.tolerance)
            entry = self._entry(g, Entry(i, j))
            if entry in self._accused:
                continue
            self._accused.add(entry)
            numbers = [getattr(measured, n)[d, i] for n in ("exact", "value", "error")]
            is_measured = g is self.f and directions.elements[d] >= 0
            here = None if is_measured or min(entry) < 0 else at_entry(self.f, entry, self.tolerance)
            if here is not None:
                numbers = [getattr(here, n).item() for n in ("exact", "value", "error")]
            self._accuse(entry, numbers, float(times[d, i]), where)

    def _accuse(self, entry: Entry, numbers: Sequence[float], times: float, where: str) -> None:
        exact, value, error = map(float, numbers)
        output, moved = self._names(entry)
        share = abs(exact - value) / abs(value) if value else np.inf
        relative = f", {share:.2g} of it" if np.isfinite(share) else ""
        self.add(
            "wrong derivative",
            output,
            moved,
            (exact, value, error),
            times,
            f"{self.heading(output, moved)}: {exact:.6g}, but the values of f say {value:.6g} ± "
            f"{error:.1g}: off by {abs(exact - value):.3g}{relative}, {times:.2g} times what is "
            f"tolerated, {where}",
        )

    def _entry(self, g: RealMap, entry: Entry) -> Entry:
        """The entry in all of f's outputs, where g sums some of them up."""
        if g is self.f or min(entry) < 0:
            return entry
        members = np.arange(entry.output, self.f.output_size, g.output_size)
        found = at_entry_of(self.f, members, entry.input, self.tolerance)
        return Entry(int(members[found]), entry.input) if found >= 0 else Entry(-1, entry.input)

    def _names(self, entry: Entry) -> tuple[str, str]:
        output = element_name(self.f.outputs, entry.output) if entry.output >= 0 else "a sum of outputs"
        moved = element_name(self.f.inputs, entry.input) if entry.input >= 0 else "several elements"
        return output, moved

    def _first(
        self,
        kind: FindingKind,
        where: tuple[RealMap, Directions, Measured],
        mask: np.ndarray,
        reason: str,
    ) -> None:
        """One finding for all places of this kind, which are not wrong."""
        g, directions, measured = where
        if not mask.any():
            return
        single = np.expand_dims(directions.elements >= 0, 1) & mask
        d, i = np.argwhere(single if single.any() else mask)[0]
        moved = directions.elements[d]
        names = (
            element_name(g.outputs, i),
            (element_name(g.inputs, moved) if moved >= 0 else moving_names(g, directions.rows[d])),
        )
        numbers = (
            measured.exact[d, i],
            measured.value[d, i],
            measured.error[d, i] + (measured.jump[d, i] / 2),
        )
        more = int((single if single.any() else mask).sum()) - 1
        others = f" (and {more:,} more)" if more else ""
        times = float(measured.times[d, i])
        exact, value, half = map(float, numbers)
        shown = f"exact {exact:.6g}, slopes {value - half:.6g} to {value + half:.6g}: "
        if not (np.isfinite(value) and np.isfinite(half)):
            shown = f"exact {exact:.6g}: "
        self.add(
            kind,
            *names,
            (exact, value, half),
            times,
            f"{self.heading(*names)}{others}: {shown}{reason}",
        )

    def pairs(
        self,
        kind: FindingKind,
        pairs: Pairs,
        places: Sequence[Entry],
        words: str,
        causes: Sequence[str] = (),
    ) -> None:
        """Findings from two exact ways: `places[i]` says what the i-th number is."""
        because = "".join(f"; {cause}" for cause in causes)
        for (n,) in _worst(pairs.times.ravel()):
            output, moved = self._names(places[n])
            one, other = float(pairs.one.ravel()[n]), float(pairs.other.ravel()[n])
            times = float(pairs.times.ravel()[n])
            self.add(
                kind,
                output,
                moved,
                (one, other, 0.0),
                times,
                f"{self.heading(output, moved)}: {one:.6g} {words} {other:.6g}: off by "
                f"{abs(one - other):.3g}, {times:.2g} times what is tolerated{because}",
            )


def at_entry_of(f: RealMap, members: np.ndarray, element: int, tolerance: float) -> int:
    """Which of some outputs is most wrong by an input element; -1 when none is."""
    row = np.zeros((1, f.size))
    row[0, element] = 1.0
    found = measure(f.selected(members), scaled(f, row), tolerance)
    if found is None or not (found.times > 1).any():
        return -1
    return int(np.argmax(found.times))


def moving_names(f: RealMap, row: np.ndarray) -> str:
    """The input arrays that a direction moves."""
    names: list[str] = []
    start = 0
    for place in f.inputs:
        if row[start : start + place.size].any() and place.name not in names:
            names.append(place.name)
        start += place.size
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"a random direction of {shown}"


def _worst(times: np.ndarray) -> list[tuple[int, ...]]:
    """The places where a ratio is above 1, worst first, a few of them."""
    flat = times.ravel()
    order = np.argsort(-flat, kind="stable")[:_LISTED]
    return [tuple(int(k) for k in np.unravel_index(n, times.shape)) for n in order if flat[n] > 1]
