"""What a run of random programs adds up to."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from tests.fuzz.compare import Report
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.table import TABLE


@dataclass
class Tally:
    """Counts, by the name of a kind, a way or an operation.

    Attributes:
        failures: of each program that failed, its kind and the first words of what was wrong.
    """

    programs: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    nonzero: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def count(self, made: Any, report: Report) -> None:
        """Add a program that did not fail."""
        self.ways.update(report.ways)
        self.skipped.update([report.skipped] if report.skipped else [])
        self.operations.update(set(made.operations))
        for name in {*made.operations, "all"}:
            self.stored[name] += report.stored
            self.nonzero[name] += report.nonzero

    def add(self, other: Tally) -> None:
        """Add what another process counted."""
        for item in fields(self):
            mine = getattr(self, item.name)
            (mine.extend if item.name == "failures" else mine.update)(getattr(other, item.name))


class FellBackError(AssertionError):
    """The library warned that it went back to plain JAX."""


def failure_of(
    kind: Kind, made: Any, tally: Tally | None = None, name: str = "", *, compiled: bool = False
) -> str | None:
    """What is wrong with a program; an exception of any kind counts, and a warning of the library."""
    if tally is not None:
        tally.programs[name] += 1
    try:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            report = kind.compare(made, compiled=compiled)
        _require_none_of_ours(given)
    except Exception as error:  # noqa: BLE001 - it is reported, whatever it is
        text = f"{type(error).__name__}: {error}"
        return text if repr(made) in text else f"{text}{made!r}"
    if tally is not None:
        tally.count(made, report)
    return None


def _require_none_of_ours(given: list[warnings.WarningMessage]) -> None:
    for warning in given:
        if any(c.__name__ == "JaxcalcWarning" for c in warning.category.__mro__):
            raise FellBackError(f"{warning.category.__name__}: {warning.message}")


def kind_of(failure: str | None) -> str:
    """The first words of a failure, without numbers: what shrinking must keep."""
    if failure is None:
        return ""
    line = failure.splitlines()[0][:80]
    return " ".join(w for w in line.split() if w.isalpha() or w.endswith((":", ",")))[:60]


def _fault(what: str) -> str:
    """Whether a failure is a wrong value, an unsound pattern, or an exception."""
    if not what.startswith("MismatchError:"):
        return "exceptions"
    return "unsound" if "misses" in what else "wrong"


def printed(tally: Tally, seconds: float, *, statistics: bool) -> str:
    """A table with a line for each kind of programs, then what was compared."""
    count = tally.programs.total()
    lines = ["", f"{count} programs in {seconds:.0f} s ({count / seconds:.1f}/s)"]
    faults = Counter((name, _fault(what)) for name, what in tally.failures)
    lines.append(
        f"{'kind':12}{'programs':>9}{'wrong':>7}{'unsound':>9}{'exceptions':>12}{'seconds':>9}"
    )
    for name in (n for n in KINDS if tally.programs[n]):
        figures = [faults[name, fault] for fault in ("wrong", "unsound", "exceptions")]
        lines.append(
            f"{name:12}{tally.programs[name]:9}{figures[0]:7}{figures[1]:9}{figures[2]:12}"
            f"{tally.seconds[name]:9.0f}"
        )
    by_words = Counter(f"{name}: {what}" for name, what in tally.failures)
    lines.append(f"{len(tally.failures)} failures: {dict(by_words)}")
    lines.append(f"not compared: {dict(tally.skipped)}")
    lines.append(f"compared: {dict(tally.ways)}")
    lines.append(f"entries stored: {tally.stored['all']}, of which always zero: {_zeros(tally, 'all')}")
    if statistics:
        lines.append("\noperation, programs, share of stored entries that are always zero")
        lines += [
            f"{name:28} {tally.operations[name]:6} {_zeros(tally, name)}"
            for name in sorted({*TABLE, *tally.operations})
        ]
    return "\n".join(lines)


def _zeros(tally: Tally, name: str) -> str:
    stored = tally.stored[name]
    return f"{1 - tally.nonzero[name] / stored:7.1%}" if stored else ""
