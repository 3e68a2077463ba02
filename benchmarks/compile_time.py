"""Compile time against size: the structured Hessian of chained Rosenbrock, beside the gradient.

    python -m benchmarks.compile_time [--rounds 5] [--json FILE]

Each row is the median of several builds from nothing: trace, structure and compilation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import jaxcalc
from benchmarks import problems

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def seconds(derivative: Callable[[Any], Any], f: Callable[[Any], Any], x: Any) -> tuple[float, float]:
    """The time to trace and lower, and the time to compile, of a function that JAX has not met."""
    fresh = lambda y: f(y)  # noqa: E731, PLW0108 (what JAX keeps is kept for a function)
    start = time.perf_counter()
    lowered = jax.jit(derivative(fresh)).lower(x)
    middle = time.perf_counter()
    lowered.compile()
    return middle - start, time.perf_counter() - middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures as JSON")
    given = parser.parse_args()
    rounds, rows = given.rounds, []
    ways: dict[str, Callable[[Any], Any]] = {
        "gradient": jax.grad,
        "Hessian": lambda f: jaxcalc.hessian(f, format="structured"),
    }
    print(f"{'n':>10} {'':>10} {'trace [ms]':>12} {'compile [ms]':>13} {'both / gradient':>16}")
    for n in SIZES:
        problem = problems.rosenbrock(n)
        (x,) = problem.args
        baseline = 0.0
        for name, derivative in ways.items():
            times = [seconds(derivative, problem.f, x) for _ in range(rounds)]
            trace, compiled = (1e3 * statistics.median(part) for part in zip(*times, strict=True))
            baseline = baseline or trace + compiled
            ratio = (trace + compiled) / baseline
            rows.append({"n": n, "of": name, "trace_ms": trace, "compile_ms": compiled, "ratio": ratio})
            print(f"{n:>10,} {name:>10} {trace:>12.1f} {compiled:>13.1f} {ratio:>16.2f}")
    if given.json is not None:
        given.json.write_text(json.dumps({"rows": rows}), "utf-8")


if __name__ == "__main__":
    main()
