"""The planner against plain JAX: `jacobian` and `hessian` with defaults, on functions of all kinds.

For each function `jax.jit(jaxcalc.jacobian(f))` takes turns with `jax.jit(jax.jacfwd(f))` and
`jax.jit(jax.jacrev(f))`, and is compared with the better of the two; a scalar function's Hessian with
`jax.jit(jax.hessian(f))`. Results must agree. The first call, traced and compiled, is compared with
that of the better one too. Functions that take microseconds run many times in a turn.

Run `python -m benchmarks.suite [case ...] [--rounds N] [--json FILE]`. It takes some six minutes on two
cores; the exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import jaxcalc

if __package__:
    from benchmarks.problems import Problem
    from benchmarks.ratios import Ratio, ratio, timed
    from benchmarks.suite_cases import CASES, Case
else:
    from problems import Problem
    from ratios import Ratio, ratio, timed
    from suite_cases import CASES, Case

_OURS = "jaxcalc"
_AT_MOST = 1.1  # times the best of JAX's
_FASTER = 0.5  # where there is structure or a bottleneck
_FIRST_AT_MOST = 2.0  # times the first call of the better one of JAX's
_FIRST_CALLS = 3  # the fastest counts
_FIRST_SECONDS = 1.5  # after which no first call is repeated
_TOLERANCE = 2e-3  # of the largest entry, in float32


@dataclass(frozen=True)
class Row:
    """What was measured for one case.

    Attributes:
        seconds: of a run, by contender.
        best: which of JAX's is the fastest.
        ratio: jaxcalc's time to that of `best`.
        first: seconds of the first call, by contender.
        error: the largest difference from `best`, relative to the largest entry.
    """

    name: str
    case: Case
    seconds: dict[str, float]
    best: str
    ratio: Ratio
    first: dict[str, float]
    error: float

    @property
    def first_ratio(self) -> float:
        """The first call's time to that of the transformation that runs fastest."""
        return self.first[_OURS] / self.first[self.best]

    @property
    def most(self) -> float:
        """The ratio that must be reached."""
        return _AT_MOST if self.case.expected == "dense" else _FASTER

    @property
    def missed(self) -> list[str]:
        """The targets that were missed; the better of median and best run decides."""
        found = []
        if min(self.ratio.median, self.ratio.best) > self.most:
            found.append("time")
        if self.first_ratio > _FIRST_AT_MOST:
            found.append("first call")
        if not self.error <= _TOLERANCE:
            found.append("result")
        return found


def transformed(name: str, f: Callable[..., Any], order: int) -> Callable[..., Any]:
    """The derivative of f from jaxcalc, or from the transformation of JAX of that name, compiled."""
    if name == _OURS:
        return jax.jit((jaxcalc.jacobian if order == 1 else jaxcalc.hessian)(f))
    return jax.jit(getattr(jax, name)(f))


def fresh(f: Callable[..., Any]) -> Callable[..., Any]:
    """f as a function that nobody has traced yet."""

    def same(*args: Any) -> Any:
        return f(*args)

    return same


def measured(name: str, case: Case, rounds: int) -> Row:
    """Time one case."""
    problem = case.make()
    jax.block_until_ready(jax.jit(fresh(problem.f))(*problem.args))  # what all share is warm
    names = (_OURS, *case.directions)
    first = first_calls(names, problem)
    runs = {n: transformed(n, fresh(problem.f), problem.order) for n in names}
    results = {n: run(*problem.args) for n, run in runs.items()}
    timings = timed({n: lambda run=run: run(*problem.args) for n, run in runs.items()}, rounds)
    best = min(case.directions, key=lambda n: statistics.median(timings[n].runs))
    error = difference(results[_OURS], results[best])
    seconds = {n: timings[n].median for n in names}
    return Row(name, case, seconds, best, ratio(timings[_OURS], timings[best]), first, error)


def first_calls(names: Sequence[str], problem: Problem) -> dict[str, float]:
    """The fastest of some first calls, each of a function that is new."""
    found: dict[str, list[float]] = {n: [] for n in names}
    began = time.perf_counter()
    for _ in range(_FIRST_CALLS):
        for n in names:
            start = time.perf_counter()
            jax.block_until_ready(transformed(n, fresh(problem.f), problem.order)(*problem.args))
            found[n].append(time.perf_counter() - start)
        if time.perf_counter() - began > _FIRST_SECONDS:
            break
    return {n: min(times) for n, times in found.items()}


def difference(mine: Any, other: Any) -> float:
    """The largest difference, relative to the largest entry."""
    ours, theirs = jax.tree.leaves(mine), jax.tree.leaves(other)
    if [np.shape(x) for x in ours] != [np.shape(x) for x in theirs]:
        return float("inf")
    scale = max(float(np.abs(x).max(initial=0)) for x in theirs) or 1.0
    off = (np.abs(np.asarray(a) - np.asarray(b)) for a, b in zip(ours, theirs, strict=True))
    return max(float(x.max(initial=0)) for x in off) / scale


def _print(rows: Sequence[Row]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 130)
    table = Table(title="jaxcalc against the better of JAX's, compiled; ratio: median (quartiles)")
    for head in ("", "expected", "jaxcalc", "best of JAX", "ratio", "best/best", "first", "missed"):
        table.add_column(head, justify="left" if head in {"", "expected", "missed"} else "right")
    for row in rows:
        ours, best = (f"{1e3 * row.seconds[n]:.3g} ms" for n in (_OURS, row.best))
        first = f"{row.first[_OURS]:.2f} s, {row.first_ratio:.2f}x"
        missed = ", ".join(row.missed)
        cells = (row.name, row.case.expected, ours, f"{best} {row.best}", str(row.ratio))
        table.add_row(*cells, f"{row.ratio.best:.3g}", first, missed)
    console.print(table)
    for line in summary(rows):
        console.print(line)


def summary(rows: Sequence[Row]) -> list[str]:
    """The geometric means and the worst rows, in words."""
    mean = statistics.geometric_mean(row.ratio.median for row in rows)
    firsts = statistics.geometric_mean(row.first_ratio for row in rows)
    slow = sorted(rows, key=lambda row: -row.ratio.median)[:5]
    late = sorted(rows, key=lambda row: -row.first_ratio)[:5]
    dense = sum(row.ratio.median <= _AT_MOST for row in rows)
    wanted = [row for row in rows if row.case.expected != "dense"]
    fast = sum(row.ratio.median <= _FASTER for row in wanted)
    return [
        f"{len(rows)} functions; geometric mean {mean:.3f}, of first calls {firsts:.2f}",
        f"at most {_AT_MOST}x: {dense} of {len(rows)}; at most {_FASTER}x where there is structure "
        f"or a bottleneck: {fast} of {len(wanted)}",
        "slowest: " + ", ".join(f"{row.name} {row.ratio.median:.2f}" for row in slow),
        "slowest first calls: " + ", ".join(f"{row.name} {row.first_ratio:.2f}" for row in late),
    ]


def _as_data(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    return [
        {
            "name": row.name,
            "expected": row.case.expected,
            "seconds": row.seconds,
            "best": row.best,
            "ratio": row.ratio.median,
            "ratio_quartiles": [row.ratio.lower, row.ratio.upper],
            "ratio_of_best": row.ratio.best,
            "first_seconds": row.first,
            "first_ratio": row.first_ratio,
            "relative_error": row.error,
            "missed": row.missed,
        }
        for row in rows
    ]


def options(description: str | None, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Which cases, how many rounds, and where JSON goes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help=f"any of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each (default: 11)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.case if name not in CASES]
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; there are {', '.join(CASES)}")
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    given.case = given.case or list(CASES)
    return given


def each_case(given: argparse.Namespace, measure: Callable[..., Any]) -> list[Any]:
    """What `measure` says of each case that was asked for."""
    rows = []
    for name in given.case:
        print(name, end=" ", flush=True, file=sys.stderr)
        rows.append(measure(name, CASES[name], given.rounds))
        jax.clear_caches()
    print(file=sys.stderr)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether all targets were met."""
    given = options(__doc__, arguments)
    rows = each_case(given, measured)
    _print(rows)
    if given.json:
        Path(given.json).write_text(json.dumps(_as_data(rows), indent=2), encoding="utf-8")
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
