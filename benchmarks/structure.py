"""Derivatives at the cost of their structure: jaxcalc against JAX, hand-written JAX and asdex.

Each case is first checked: at a small size against JAX's dense derivative in float64, and at full
size against a peer that gives rows, columns and values. Then everyone runs in turns, and the figures
are quotients of one run: medians over paired rounds, with quartiles, and the quotient of the fastest
runs, which other work on the machine disturbs least.

- f: one evaluation of the function (of its gradient, for a Hessian), compiled;
- jaxcalc: called directly; values, or a whole BCOO where the case says so;
- jaxcalc in jit: inside an outer `jax.jit`;
- set-up: structure found, or detection and coloring; compilation not included;
- first call: tracing what is left, compilation and one run;
- memory: temporary memory of the compiled program.

A goal is printed with what was reached, once for each way of calling. The exit status is 1 when one
is missed or a check fails.

Run `python -m benchmarks.structure [case ...] [--rounds N] [--json FILE]`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxcalc

if __package__:
    from benchmarks import peers, ratios
    from benchmarks.cases import CASES, Case, Goal
    from benchmarks.preparing import Figures, one_line, prepare
    from benchmarks.problems import Problem
else:
    import peers
    import ratios
    from cases import CASES, Case, Goal
    from preparing import Figures, one_line, prepare
    from problems import Problem


@dataclass(frozen=True)
class Verdict:
    """A goal of one contender and what it reached; `met` is None when there is nothing to compare."""

    text: str
    reached: str
    met: bool | None


def run(case: Case, rounds: int) -> tuple[list[Figures], list[Verdict]]:
    """Check and time one case."""
    problem = case.make(case.size)
    checked = [_check_small(case)]
    found = jaxcalc.sparsity(problem.f, *problem.args, order=problem.order)
    ready, figures = _prepared(case, problem)
    checked += _check_full_size(ready)
    timings = ratios.measure({name: lambda r=r: r.run for name, r in ready.items()}, rounds=rounds)
    measured = [
        Figures(f.name, timings.get(f.name), f.setup, f.first_call, f.memory, f.error) for f in figures
    ]
    goals = [_judge(goal, name, measured, found) for goal in case.goals for name in _who(goal)]
    return measured, [*checked, *goals]


def _who(goal: Goal) -> tuple[str, ...]:
    return ("jaxcalc",) if goal.figure in {"entries", "set-up", "set-up seconds"} else goal.names


def _prepared(case: Case, problem: Problem) -> tuple[dict[str, peers.Ready], list[Figures]]:
    """Everyone set up and run once; those that fail are left with their error."""
    ready: dict[str, peers.Ready] = {}
    figures: list[Figures] = []
    for name, contender in case.contenders().items():
        try:
            ready[name], found = prepare(name, contender, problem)
        except peers.FAILURES as error:
            if name == "f" or name.startswith("jaxcalc"):
                raise
            found = Figures(name, error=one_line(error))
        figures.append(found)
    return ready, figures


# ---- checks


def _check_small(case: Case) -> Verdict:
    """jaxcalc's entries at a small size against JAX's dense derivative, in float64."""
    with jax.enable_x64(True):
        problem = case.make(case.small)
        args = jax.tree.map(lambda x: x.astype("float64"), problem.args)
        plain = jax.jacfwd(problem.f) if problem.order == 1 else jax.hessian(problem.f)
        ours = jaxcalc.jacobian if problem.order == 1 else jaxcalc.hessian
        expected = np.asarray((problem.reference or plain)(*args))
        got = ours(problem.f, format="structured")(*args)
        in_jit = jax.jit(ours(problem.f, format=case.format))(*args)
        error = _difference(np.asarray(got.todense()), expected)
        if case.format != "dense":
            in_jit = in_jit.todense()
        error = max(error, _difference(np.asarray(in_jit), expected))
    text = f"equals {'the reference' if problem.reference else 'jax'} at size {case.small}, float64"
    return Verdict(text, f"{error:.1e}", error < 1e-12)


def _check_full_size(ready: dict[str, peers.Ready]) -> list[Verdict]:
    """jaxcalc's entries against those of each peer that names its entries."""
    mine = ready["jaxcalc"]
    verdicts = []
    for name, other in ready.items():
        if other.entries is None or mine.entries is None or name.startswith("jaxcalc"):
            continue
        ours = mine.entries(mine.run())
        theirs = other.entries(other.run())
        verdicts.append(_same_entries(name, ours, theirs))
    return verdicts


def _same_entries(name: str, ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> Verdict:
    """Equal where both have an entry, and zero where only one has it."""
    import scipy.sparse

    shape = tuple(1 + max(int(ours[k].max()), int(theirs[k].max())) for k in (0, 1))
    first, second = (scipy.sparse.csr_array((v, (r, c)), shape=shape) for r, c, v in (ours, theirs))
    error = float(abs(first - second).max() / max(abs(first).max(), 1e-30))
    counts = f"entries {ours[0].size} and {theirs[0].size}"
    return Verdict(f"equals {name}, float32", f"{error:.1e} ({counts})", error < 2e-5)


def _difference(got: np.ndarray, expected: np.ndarray) -> float:
    if got.shape != expected.shape:
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return float(np.abs(got - expected).max(initial=0)) / scale


# ---- goals


def _judge(goal: Goal, name: str, figures: list[Figures], found: Any) -> Verdict:
    by_name = {f.name: f for f in figures}
    mine = by_name[name]
    if goal.figure == "entries":
        text, reached, met = f"entries = {goal.most:g}", f"{found.nnz}", found.nnz == goal.most
        return Verdict(text, reached, met)
    if goal.figure == "set-up seconds":
        assert mine.setup is not None
        text = f"{name}: set-up <= {goal.most:g} s"
        return Verdict(text, f"{mine.setup:.3g} s", mine.setup <= goal.most)
    if goal.figure == "temporary memory":
        dense = found.shape[0] * found.shape[1] * 4
        quotient = (mine.memory or 0) / dense
        text = f"{name}: temporary memory <= {goal.most:g} x the dense derivative"
        return Verdict(text, f"{quotient:.3g}", quotient <= goal.most)
    return _compared(goal, mine, [by_name[other] for other in goal.against])


def _compared(goal: Goal, mine: Figures, others: list[Figures]) -> Verdict:
    text = f"{mine.name}: {goal.figure} <= {goal.most:.3g} x "
    if goal.figure == "set-up":
        known = [f for f in others if f.setup is not None]
        if not known or mine.setup is None:
            return Verdict(text + goal.against[0], "no figure to compare with", None)
        best = min(known, key=lambda f: f.setup or 0.0)
        quotient = mine.setup / (best.setup or 1.0)
        return Verdict(text + best.name, f"{quotient:.3g}", quotient <= goal.most)
    timed = [(f.timing.median, f.timing) for f in others if f.timing is not None]
    if not timed or mine.timing is None:
        return Verdict(text + goal.against[0], "no figure to compare with", None)
    _, best_timing = min(timed, key=lambda pair: pair[0])
    reached = ratios.ratio(mine.timing, best_timing)
    figures = f"{reached}, best {reached.best:.3g}"
    return Verdict(text + best_timing.name, figures, reached.median <= goal.most)


# ---- the report

_WORDS = {True: "met   ", False: "MISSED", None: "open  "}


def _print(name: str, case: Case, figures: list[Figures], verdicts: list[Verdict]) -> None:
    print(f"\n{name}: {case.title}")
    heads = ["", "run / f", "best / best", "run", "set-up", "first call", "memory"]
    base = next(f.timing for f in figures if f.name == "f")
    rows = [heads]
    for f in figures:
        if f.timing is None or base is None:
            rows.append([f.name, f.error or ""])
            continue
        rows.append(
            [
                f.name,
                str(ratios.ratio(f.timing, base)),
                f"{ratios.ratio(f.timing, base).best:.3g}",
                _seconds(f.timing.median),
                _seconds(f.setup),
                _seconds(f.first_call),
                "" if f.memory is None else f"{f.memory / 1e6:.3g} MB",
            ]
        )
    full = [row for row in rows if len(row) > 2]
    widths = [max(len(row[k]) for row in full) for k in range(len(heads))]
    for row in rows:
        if len(row) == 2:
            print(f"  {row[0].ljust(widths[0])}  {row[1]}")
            continue
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    if case.left_out:
        print(f"  left out: {case.left_out}")
    for v in verdicts:
        print(f"  {_WORDS[v.met]} {v.text}: {v.reached}")


def _seconds(duration: float | None) -> str:
    if duration is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if duration >= scale:
            return f"{duration / scale:.3g} {unit}"
    return f"{duration / 1e-6:.3g} us"


def _as_data(case: Case, figures: list[Figures], verdicts: list[Verdict]) -> dict[str, Any]:
    base = next(f.timing for f in figures if f.name == "f")
    rows = {}
    for f in figures:
        row: dict[str, Any] = {
            "setup_seconds": f.setup,
            "first_call_seconds": f.first_call,
            "temporary_bytes": f.memory,
            "error": f.error,
        }
        if f.timing is not None and base is not None:
            against = ratios.ratio(f.timing, base)
            row |= {
                "run_seconds": f.timing.median,
                "ratio_to_f": against.median,
                "ratio_quartiles": [against.lower, against.upper],
                "ratio_of_best": against.best,
            }
        rows[f.name] = row
    return {
        "title": case.title,
        "format": case.format,
        "contenders": rows,
        "left_out": case.left_out,
        "goals": [asdict(v) for v in verdicts],
    }


def _options(cases: Mapping[str, Case], description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help=f"which to run (default: all): {', '.join(cases)}")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each (default: 15)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures as JSON")
    given = parser.parse_args()
    unknown = sorted(set(given.case) - set(cases))
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}; the cases are {', '.join(cases)}")
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return given


def main(cases: Mapping[str, Case] = CASES, description: str | None = __doc__) -> int:
    """Run the cases named on the command line, and return the exit status."""
    given = _options(cases, description)
    device = jax.devices()[0]
    machine = f"jax {jax.__version__}, {device.platform} ({device.device_kind})"
    print(f"{machine}; ratios: median of paired rounds (quartiles)", flush=True)
    data, missed = {}, 0
    for name in given.case or cases:
        case = cases[name]
        figures, verdicts = run(case, given.rounds)
        _print(name, case, figures, verdicts)
        sys.stdout.flush()
        missed += sum(v.met is False for v in verdicts)
        data[name] = _as_data(case, figures, verdicts)
    print(f"\n{missed} missed" if missed else "\nall met")
    if given.json is not None:
        given.json.write_text(json.dumps({"machine": machine, "cases": data}, indent=2) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
