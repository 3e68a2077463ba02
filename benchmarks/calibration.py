"""How good the planner's choices and estimates are: every available plan, timed.

For each function of `benchmarks.suite` all plans run under `jax.jit` in turns: the structure followed
forward and in reverse, `jax.jacfwd`, `jax.jacrev`, and the product of parts where f has a bottleneck;
for a scalar function the structured Hessian and `jax.hessian`. The regret is the time of the plan that
jaxcalc chooses, over that of the fastest. The estimates of `jaxcalc.engine.jaxprs.cost` are compared
with the times: how many times too small or too large they are.

Run `python -m benchmarks.calibration [case ...] [--rounds N] [--json FILE]`.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.options import Options
from jaxcalc.call.request import Request
from jaxcalc.call.signature import take_apart
from jaxcalc.methods.composite import product_of_parts
from jaxcalc.methods.problem import Problem as Call
from jaxcalc.methods.structured import Structured
from jaxcalc.planning.choose import attempted, attempts_for, prepare_dense

if __package__:
    from benchmarks.problems import Problem
    from benchmarks.ratios import timed
    from benchmarks.suite import each_case, fresh, options
    from benchmarks.suite_cases import Case
else:
    from problems import Problem
    from ratios import timed
    from suite import each_case, fresh, options
    from suite_cases import Case

_GOOD = 1.25  # times the fastest plan
_TOO_LONG = 1500  # operations of a program that would take a minute to compile


@dataclass(frozen=True)
class Plan:
    """One way to a derivative.

    Attributes:
        run: the function to time.
        estimate: seconds, by the cost model; None where it makes none.
    """

    run: Callable[[], Any]
    estimate: float | None = None


@dataclass(frozen=True)
class Row:
    """The plans of one case, with their times in seconds."""

    name: str
    seconds: dict[str, float]
    estimates: dict[str, float]
    chosen: str

    @property
    def best(self) -> str:
        """The fastest plan."""
        return min(self.seconds, key=lambda plan: self.seconds[plan])

    @property
    def regret(self) -> float:
        """The time of the plan that jaxcalc takes, over that of the fastest."""
        return self.seconds[self.chosen] / self.seconds[self.best]

    @property
    def errors(self) -> dict[str, float]:
        """Estimated over measured time, by plan."""
        return {plan: e / self.seconds[plan] for plan, e in self.estimates.items()}


def plans(case: Case, problem: Problem) -> tuple[dict[str, Plan], str]:
    """All plans for a problem, and the name of the one that jaxcalc takes."""
    f = fresh(problem.f)
    kind = "jacobian" if problem.order == 1 else "hessian"
    opts = Options(f"jaxcalc.{kind}", False, False, False, "dense", "auto", None, False)
    request = Request.of(f, opts, 0, None, problem.args, {})
    found: dict[str, Plan] = {}
    estimates: dict[str, float] = {}
    call = Call(request, kind)
    for attempt in attempts_for(call):
        prepared = attempted(call, attempt, is_dense=True)
        if not isinstance(prepared, Structured):
            continue
        estimates[attempt.linear_map] = prepared.dense_work
        if len(prepared.derivative.program.eqns) > _TOO_LONG:
            continue
        run = jax.jit(
            lambda *args, d=prepared.derivative: d(take_apart(args, {}).traced, with_value=False).values
        )
        found[f"structured {attempt.linear_map}"] = _plan(run, problem, prepared.derivative.work)
    for name in case.directions:
        way = {"jacfwd": "forward", "jacrev": "reverse", "hessian": "hessian"}[name]
        run = jax.jit(getattr(jax, name)(f))
        found[f"dense {way}"] = _plan(run, problem, estimates.get(way))
    if problem.order == 1 and _split(request, problem.args) is not None:
        found["split"] = _plan(jax.jit(lambda *args: _split(request, args)), problem, None)
    return found, _chosen(request, kind, found)


def _plan(run: Any, problem: Problem, nanoseconds: float | None) -> Plan:
    seconds = None if nanoseconds is None else nanoseconds * 1e-9
    return Plan(lambda: run(*problem.args), seconds)


def _split(request: Request, args: Any) -> Any:
    flat: FlatMap = request.flat(take_apart(args, {}).traced)
    output = jax.eval_shape(lambda leaves: flat(leaves)[0], flat.leaves)
    found = product_of_parts(flat, output)
    return None if found is None else found.run().derivative


def _chosen(request: Request, kind: str, found: dict[str, Plan]) -> str:
    prepared = prepare_dense(request, kind)
    if prepared is not None:
        return f"structured {prepared.derivative.linear_map}"
    if kind == "hessian":
        return "dense hessian"
    if "split" in found:
        return "split"
    dense = [plan for plan in found if plan.startswith("dense")]
    flat = request.flat(request.call.traced)
    output = jax.eval_shape(lambda leaves: flat(leaves)[0], flat.leaves)
    n, m = (sum(math.prod(np.shape(x)) for x in side) for side in (flat.leaves, output))
    wanted = "dense forward" if n <= m else "dense reverse"
    return wanted if wanted in dense else dense[0]


def measured(name: str, case: Case, rounds: int) -> Row:
    """Time all plans of one case."""
    found, chosen = plans(case, case.make())
    timings = timed({plan: p.run for plan, p in found.items()}, rounds)
    # the fastest run of each: other work on the machine disturbs it least
    seconds = {plan: min(timings[plan].runs) for plan in found}
    estimates = {plan: p.estimate for plan, p in found.items() if p.estimate is not None}
    return Row(name, seconds, estimates, chosen)


def _print(rows: Sequence[Row]) -> None:
    table = Table(title="all plans, milliseconds (estimate); * is chosen")
    names = list(dict.fromkeys(plan for row in rows for plan in row.seconds))
    for head in ("", *names, "regret"):
        table.add_column(head, justify="right" if head else "left")
    for row in rows:
        cells = [_cell(row, plan) for plan in names]
        table.add_row(row.name, *cells, f"{row.regret:.2f}")
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    for line in summary(rows):
        console.print(line)


def _cell(row: Row, plan: str) -> str:
    if plan not in row.seconds:
        return ""
    estimate = f" ({1e3 * row.estimates[plan]:.2g})" if plan in row.estimates else ""
    return f"{'*' if plan == row.chosen else ''}{1e3 * row.seconds[plan]:.3g}{estimate}"


def summary(rows: Sequence[Row]) -> list[str]:
    """How often the choice is good, and how far off the estimates are, in words."""
    good = sum(row.regret <= _GOOD for row in rows)
    worst = sorted(rows, key=lambda row: -row.regret)[:8]
    lines = [
        f"within {_GOOD}x of the best plan: {good} of {len(rows)} ({100 * good / len(rows):.0f} %)",
        "largest regrets: " + ", ".join(f"{row.name} {row.regret:.2f} ({row.best})" for row in worst),
    ]
    for kind in ("structured", "dense"):
        errors = [e for row in rows for plan, e in row.errors.items() if plan.startswith(kind)]
        errors = sorted(e for e in errors if e > 0)
        if len(errors) > 1:
            off = statistics.median(math.exp(abs(math.log(e))) for e in errors)
            cuts = statistics.quantiles(errors, n=10, method="inclusive")
            lines.append(
                f"{kind} plans, estimate / time: median {statistics.median(errors):.2f}, 10 % below "
                f"{cuts[0]:.2f}, 10 % above {cuts[-1]:.2f}; median factor of error {off:.2f}"
            )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = options(__doc__, arguments)
    rows = each_case(given, measured)
    _print(rows)
    if given.json:
        data = [
            {
                "name": r.name,
                "seconds": r.seconds,
                "estimates": r.estimates,
                "chosen": r.chosen,
                "regret": r.regret,
            }
            for r in rows
        ]
        Path(given.json).write_text(json.dumps(data, indent=2), encoding="utf-8")
    return int(sum(row.regret <= _GOOD for row in rows) < 0.9 * len(rows))


if __name__ == "__main__":
    sys.exit(main())
