"""Long runs: `python -m tests.fuzz --programs 10000 --seed 0 --minutes 10`."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax

from tests.fuzz.choices import Recorded, shrunk
from tests.fuzz.compare import Report, compare
from tests.fuzz.programs import Program, program
from tests.fuzz.table import TABLE

_TIGHT_SHARE = 0.15
_TRIALS = 150  # to shrink a failure
_COMPILED = 40  # one program in so many is compiled as well
_KEPT = 200  # programs after which JAX's caches are emptied


@dataclass
class Tally:
    """What a run adds up to."""

    programs: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    stored: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    nonzero: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    failures: list[tuple[Program, str]] = field(default_factory=list)

    def count(self, made: Program, report: Report) -> None:
        """Add a program that did not fail."""
        self.ways.update(report.ways)
        self.skipped.update([report.skipped] if report.skipped else [])
        self.operations.update(set(made.operations))
        for name in {*made.operations, "all"}:
            self.stored[name] += report.stored
            self.nonzero[name] += report.nonzero


def main(arguments: Sequence[str] | None = None) -> int:
    """Run random programs until one of the limits; the number of failures, at most 1."""
    options = options_parser().parse_args(arguments)
    tally, seconds = run(options)
    _print(tally, seconds, options.statistics)
    return min(1, len(tally.failures))


def run(options: argparse.Namespace) -> tuple[Tally, float]:
    """Random programs until one of the limits, and how long they took."""
    with jax.enable_x64(True):
        return _run(options)


def _run(options: argparse.Namespace) -> tuple[Tally, float]:
    allowed = [n for n in TABLE if n not in options.skip.split(",")]
    if options.only:
        allowed = options.only.split(",")
    tally, started = Tally(), time.monotonic()
    seen: set[str] = set()
    for number in range(options.programs):
        if time.monotonic() - started > 60 * options.minutes or len(seen) >= options.failures:
            break
        if number % _KEPT == 0:
            jax.clear_caches()  # it keeps what it traced and compiled
            print(f"{number} programs, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        rng = random.Random(f"{options.seed} {number}")
        tight = rng.random() < _TIGHT_SHARE

        def make(recorded: Recorded, tight: bool = tight) -> Program:
            return program(recorded.integer, options.longest, tight=tight, allowed=allowed)

        recorded = Recorded(rng)
        made = make(recorded)
        tally.programs += 1
        failure = _failure(made, tally, compiled=number % _COMPILED == 0)
        if failure is None:
            continue
        kind = _kind(failure)
        least, spent = shrunk(
            recorded.drawn, make, lambda p, kind=kind: _kind(_failure(p)) == kind, _TRIALS
        )
        text = _failure(least) or failure
        key = f"{kind} {sorted(set(least.operations))}"
        tally.failures.append((least, text))
        if key not in seen:
            seen.add(key)
            print(f"\n--- failure {len(seen)} (program {number}, {spent} trials)\n{text}", flush=True)
    return tally, time.monotonic() - started


def _failure(made: Program, tally: Tally | None = None, *, compiled: bool = False) -> str | None:
    """What is wrong with a program; an exception of any kind counts."""
    try:
        report = compare(made, compiled=compiled)
    except Exception as error:  # noqa: BLE001 - it is reported, whatever it is
        text = f"{type(error).__name__}: {error}"
        return text if repr(made) in text else f"{text}{made!r}"
    if tally is not None:
        tally.count(made, report)
    return None


def _kind(failure: str | None) -> str:
    """The first words of a failure, without numbers: what shrinking must keep."""
    if failure is None:
        return ""
    line = failure.splitlines()[0][:80]
    return " ".join(w for w in line.split() if w.isalpha() or w.endswith((":", ",")))[:60]


def _print(tally: Tally, seconds: float, statistics: bool) -> None:
    kinds = Counter(_kind(text) for _, text in tally.failures)
    print(f"\n{tally.programs} programs in {seconds:.0f} s ({tally.programs / seconds:.1f}/s)")
    print(f"{len(tally.failures)} failures: {dict(kinds)}")
    print(f"not compared: {dict(tally.skipped)}")
    print(f"compared: {dict(tally.ways)}")
    stored, nonzero = tally.stored["all"], tally.nonzero["all"]
    print(f"entries stored: {stored}, of which always zero: {1 - nonzero / max(1, stored):.1%}")
    if statistics:
        print("\noperation, programs, share of stored entries that are always zero")
        for name in sorted(TABLE):
            stored = tally.stored[name]
            share = f"{1 - tally.nonzero[name] / stored:7.1%}" if stored else ""
            print(f"{name:28} {tally.operations[name]:6} {share}")


def options_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=1000, help="how many to run at most")
    parser.add_argument("--minutes", type=float, default=10, help="how long to run at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=int, default=10, help="steps in a program")
    parser.add_argument("--failures", type=int, default=10, help="stop after so many kinds of them")
    parser.add_argument("--skip", default="", help="operations to leave out, with commas")
    parser.add_argument("--only", default="", help="operations to use, with commas")
    parser.add_argument("--statistics", action="store_true", help="a line for each operation")
    return parser


if __name__ == "__main__":
    sys.exit(main())
