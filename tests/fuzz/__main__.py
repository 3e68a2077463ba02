"""Long runs: `python -m tests.fuzz --programs 10000 --seed 0 --minutes 10 --processes 2`."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax

from tests.fuzz.choices import Recorded, shrunk
from tests.fuzz.kinds import KINDS, Kind, of_operations
from tests.fuzz.table import TABLE
from tests.fuzz.tally import Tally, failure_of, kind_of, printed

_TRIALS = 150  # to shrink a failure
_COMPILED = 40  # one program in so many is compiled as well
_KEPT = 1000  # programs after which JAX's caches are emptied
_PROGRAMS = (
    Path(tempfile.gettempdir()) / "jaxcalc-fuzz"
)  # what XLA compiled, for all processes and runs
_ALLOCATIONS = 200_000  # objects between two looks for cycles, of which a trace leaves few


def main(arguments: Sequence[str] | None = None) -> int:
    """Run random programs until one of the limits; the number of failures, at most 1."""
    options = options_parser().parse_args(arguments)
    tally, seconds = run(options)
    print(printed(tally, seconds, statistics=options.statistics))
    return min(1, len(tally.failures))


def run(options: argparse.Namespace) -> tuple[Tally, float]:
    """Random programs until one of the limits, and how long they took."""
    started = time.monotonic()
    if options.processes == 1:
        tally = _share(options, 0)
    else:
        tally = Tally()
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            for part in pool.starmap(_share, [(options, k) for k in range(options.processes)]):
                tally.add(part)
    return tally, time.monotonic() - started


def _share(options: argparse.Namespace, first: int) -> Tally:
    """Every program whose number is `first` more than a multiple of the number of processes."""
    with _quick(), jax.enable_x64(True):
        return _run(options, first)


@contextmanager
def _quick() -> Iterator[None]:
    """Few looks for cycles, and nothing compiled that any run has compiled before."""
    settings = {
        "jax_compilation_cache_dir": str(_PROGRAMS),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before, thresholds = {name: getattr(jax.config, name) for name in settings}, gc.get_threshold()
    try:
        gc.set_threshold(_ALLOCATIONS)
        for name, value in settings.items():
            jax.config.update(name, value)
        yield
    finally:
        gc.set_threshold(*thresholds)
        for name, value in before.items():
            jax.config.update(name, value)


def _run(options: argparse.Namespace, first: int) -> Tally:
    kinds = chosen_kinds(options)
    names, shares = list(kinds), [k.share for k in kinds.values()]
    tally, started, seen = Tally(), time.monotonic(), set[str]()
    numbers = range(options.first + first, options.first + options.programs, options.processes)
    for done, number in enumerate(numbers):
        if time.monotonic() - started > 60 * options.minutes or len(seen) >= options.failures:
            break
        if done % _KEPT == 0:
            jax.clear_caches()  # it keeps what it traced and compiled
        if done % 200 == 0:
            print(f"{done} programs, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        rng = random.Random(f"{options.seed} {number}")
        name = rng.choices(names, shares)[0]
        compiled = (number // options.processes) % _COMPILED == 0
        _one(name, kinds[name], Recorded(rng), tally, seen, options.longest, number, compiled=compiled)
    return tally


def _one(
    name: str, kind: Kind, recorded: Recorded, tally: Tally, seen: set[str], longest: int, number: int,
    *, compiled: bool,
) -> None:  # fmt: skip
    """Draw and compare one program; shrink it where it fails."""
    made = kind.draw(recorded, longest)
    started = time.monotonic()
    failure = failure_of(kind, made, tally, name, compiled=compiled)
    tally.seconds[name] += time.monotonic() - started
    if failure is None:
        return
    what = kind_of(failure)
    least, spent = shrunk(
        recorded.drawn,
        lambda r: kind.draw(r, longest),
        lambda p: kind_of(failure_of(kind, p, compiled=compiled)) == what,
        _TRIALS if f"{name} {what}" not in seen else 0,
    )
    text = failure_of(kind, least, compiled=compiled) or failure
    tally.failures.append((name, what))
    if f"{name} {what}" not in seen:
        seen.add(f"{name} {what}")
        print(f"\n--- {name} {number}, {spent} trials\n{text}", flush=True)


def chosen_kinds(options: argparse.Namespace) -> dict[str, Kind]:
    """The kinds to draw: those that are named, or programs of the operations that are named."""
    skipped, only = options.skip.split(","), [n for n in options.only.split(",") if n]
    operations = [n for n in only if n in TABLE]
    unknown = [n for n in only if n not in TABLE and n not in KINDS]
    if unknown:
        raise SystemExit(
            f"no kinds or operations: {', '.join(unknown)}; the kinds are {', '.join(KINDS)}"
        )
    if operations:
        return {"steps": of_operations(operations)}
    kinds = {n: k for n, k in KINDS.items() if n not in skipped and (not only or n in only)}
    left_out = [n for n in skipped if n in TABLE]
    if left_out and "steps" in kinds:
        kinds["steps"] = of_operations([n for n in TABLE if n not in left_out])._replace(
            share=kinds["steps"].share
        )
    return kinds


def options_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=1000, help="how many to run at most")
    parser.add_argument("--minutes", type=float, default=10, help="how long to run at most")
    parser.add_argument("--processes", type=int, default=1, help="how many share the programs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first program")
    parser.add_argument("--longest", type=int, default=10, help="steps in a program")
    parser.add_argument("--failures", type=int, default=10, help="stop after so many kinds of them")
    parser.add_argument("--skip", default="", help="kinds or operations to leave out, with commas")
    parser.add_argument("--only", default="", help=f"kinds ({', '.join(KINDS)}) or operations to use")
    parser.add_argument("--statistics", action="store_true", help="a line for each operation")
    return parser


if __name__ == "__main__":
    sys.exit(main())
