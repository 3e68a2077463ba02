"""Timing by ratios: contenders take turns in one run, so that what slows one slows all.

Each contender has a set-up (building and compiling, timed once) and a run (timed many times). In
every round each runs once, in a random order, and is compared with the baseline of the same
round: the figure is the median of these quotients, with their quartiles; beside it stands the
quotient of the fastest runs, which other work on the machine disturbs least. Seconds are shown for
orientation; only ratios are meant to be compared between machines.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

Run = Callable[[], Any]

TURN = 2e-3  # seconds that a turn lasts at the least, where runs of microseconds are timed
FEWEST = 3  # rounds, however long they take


@dataclass(frozen=True)
class Timing:
    """How long a contender took.

    Attributes:
        name: what was timed.
        setup: seconds of the set-up and the first run, compilation included.
        runs: seconds of each run after that, round by round.
    """

    name: str
    setup: float
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median run, in seconds."""
        return statistics.median(self.runs)


@dataclass(frozen=True)
class Ratio:
    """Quotients of two contenders' runs, round by round: the median and the quartiles.

    `best` is the quotient of their fastest runs: on a busy machine it is the steadier figure.
    """

    median: float
    lower: float
    upper: float
    best: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.lower:.3g} .. {self.upper:.3g})"


def seconds(run: Run) -> float:
    """How long a run takes until its result is there."""
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began


def measure(
    contenders: Mapping[str, Callable[[], Run]], *, rounds: int = 15, budget: float | None = None
) -> dict[str, Timing]:
    """Time the contenders in turns.

    Args:
        contenders: by name, a set-up: a function that returns the function to time.
        rounds: how many times each runs.
        budget: seconds after which no further round begins, once there are three.

    Returns:
        A `Timing` for each name.
    """
    setups, runs = {}, {}
    for name, setup in contenders.items():
        began = time.perf_counter()
        runs[name] = setup()
        jax.block_until_ready(runs[name]())
        setups[name] = time.perf_counter() - began
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for run in runs.values():  # caches and clocks settle
        seconds(run)
    # who runs before whom changes too: what one leaves in the caches is not always the same one's loss
    order = random.Random(0)
    began = time.perf_counter()
    for done in range(rounds):
        if budget is not None and done >= FEWEST and time.perf_counter() - began > budget:
            break
        for name in order.sample(names, len(names)):
            times[name].append(seconds(runs[name]))
    return {name: Timing(name, setups[name], tuple(times[name])) for name in names}


def timed(runs: Mapping[str, Run], rounds: int, *, budget: float | None = None) -> dict[str, Timing]:
    """Times of single runs, in turns that are long enough to be measured: short runs are repeated."""
    counts = {name: _runs_in_a_turn(run) for name, run in runs.items()}

    def turns(name: str) -> Run:
        def turn() -> Any:
            for _ in range(counts[name] - 1):
                jax.block_until_ready(runs[name]())
            return runs[name]()

        return turn

    timings = measure({n: lambda n=n: turns(n) for n in runs}, rounds=rounds, budget=budget)
    return {
        name: replace(timing, runs=tuple(t / counts[name] for t in timing.runs))
        for name, timing in timings.items()
    }


def _runs_in_a_turn(run: Run) -> int:
    seconds(run)
    return max(1, int(TURN / seconds(run)))


def growth(sizes: Sequence[float], times: Sequence[float], *, last: int = 3) -> float | None:
    """The exponent k of time ~ size^k: a straight line through the logarithms at the largest sizes.

    Args:
        sizes: in growing order.
        times: seconds at each size.
        last: how many of the largest sizes count; None is returned where there are fewer.
    """
    if len(sizes) < last:
        return None
    return float(np.polyfit(np.log(sizes[-last:]), np.log(times[-last:]), 1)[0])


def ratio(timing: Timing, baseline: Timing) -> Ratio:
    """How many times as long as the baseline, compared within each round."""
    quotients = [a / b for a, b in zip(timing.runs, baseline.runs, strict=True)]
    best = min(timing.runs) / min(baseline.runs)
    if len(quotients) < 2:
        return Ratio(quotients[0], quotients[0], quotients[0], best)
    lower, middle, upper = statistics.quantiles(quotients, n=4, method="inclusive")
    return Ratio(middle, lower, upper, best)


@dataclass(frozen=True)
class Target:
    """A ratio to reach: `name` takes at most `most` times as long as `baseline`."""

    name: str
    baseline: str
    most: float


def options(description: str | None, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options that every benchmark has: `--rounds` and `--json`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="runs of each contender (default: 15)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return given


def report(
    tables: Mapping[str, Mapping[str, Timing]],
    baseline: str,
    targets: Sequence[Target] = (),
    *,
    as_json: bool = False,
) -> bool:
    """Print the ratios of each table, and say whether all targets are met.

    Args:
        tables: by title, timings by name; each holds the baseline.
        baseline: the contender that the ratios of a table are taken to.
        targets: ratios to reach, in every table that has both names.
        as_json: print one JSON object instead.

    Returns:
        Whether every target is met.
    """
    verdicts = [
        (title, target, ratio(timings[target.name], timings[target.baseline]))
        for title, timings in tables.items()
        for target in targets
        if target.name in timings and target.baseline in timings
    ]
    if as_json:
        print(json.dumps(_as_data(tables, baseline, verdicts), indent=2))
    else:
        print(f"{_machine()}; ratio: median of paired rounds (quartiles)")
        for title, timings in tables.items():
            _print_table(title, timings, baseline)
        for title, target, reached in verdicts:
            word = "met   " if reached.median <= target.most else "MISSED"
            quotient = f"{target.name} / {target.baseline}"
            figures = f"{reached}, best {reached.best:.3g}, at most {target.most:g}"
            print(f"{word} {title}: {quotient} = {figures}")
    return all(reached.median <= target.most for _, target, reached in verdicts)


def _as_data(
    tables: Mapping[str, Mapping[str, Timing]],
    baseline: str,
    verdicts: Sequence[tuple[str, Target, Ratio]],
) -> dict[str, Any]:
    def row(timing: Timing, base: Timing) -> dict[str, Any]:
        against = ratio(timing, base)
        return {
            "setup_seconds": timing.setup,
            "run_seconds": timing.median,
            "ratio": against.median,
            "ratio_quartiles": [against.lower, against.upper],
            "ratio_of_best": against.best,
        }

    return {
        "machine": _machine(),
        "baseline": baseline,
        "tables": {
            title: {name: row(timing, timings[baseline]) for name, timing in timings.items()}
            for title, timings in tables.items()
        },
        "targets": [
            {
                "table": title,
                "name": target.name,
                "baseline": target.baseline,
                "at_most": target.most,
                "ratio": reached.median,
                "met": reached.median <= target.most,
            }
            for title, target, reached in verdicts
        ],
    }


def _machine() -> str:
    device = jax.devices()[0]
    return f"jax {jax.__version__}, {device.platform} ({device.device_kind}), {platform.machine()}"


def _print_table(title: str, timings: Mapping[str, Timing], baseline: str) -> None:
    heads = ["", f"time / {baseline}", "best / best", "run", "set-up and first run"]
    rows = [
        [
            timing.name,
            str(ratio(timing, timings[baseline])),
            f"{ratio(timing, timings[baseline]).best:.3g}",
            _short(timing.median),
            _short(timing.setup),
        ]
        for timing in timings.values()
    ]
    if not sys.stdout.isatty():
        _print_plain(title, heads, rows)
        return
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(title, heads, rows)
        return
    table = Table(title=title, title_justify="left")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _print_plain(title: str, heads: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(line[k]) for line in [heads, *rows]) for k in range(len(heads))]
    print(f"\n{title}")
    for line in [heads, *rows]:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())


def _short(duration: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if duration >= scale:
            return f"{duration / scale:.3g} {unit}"
    return f"{duration / 1e-6:.3g} us"
