"""Memory: what a limit costs in time, and two cases where the wrong direction takes gigabytes.

- A dense Jacobian of a deep network, R^n to R^n, with limits of 256 MiB and 48 MiB: temporary memory of
  the compiled program, and time beside that without a limit. All are timed in turns. The smaller limit
  leaves no room for the structured way, which spares the first of the layers; it has no target.
- jax's issue 719: ten of ten million inputs are used; the derivative has to go in reverse.
- jax's issue 215: 20 inputs and 20,480 outputs; it has to go forward.

Run `python -m benchmarks.memory [--size N] [--rounds N] [--json FILE]`. The exit status is 1
when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxcalc

if __package__:
    from benchmarks.problems import normal, phases
else:
    from problems import normal, phases

LIMITS = (256 << 20, 48 << 20)  # at 4000 numbers; the first one has a target
SLOWER = 1.3  # times the run without a limit
MOST_OF_INPUT = 5  # temporary memory of the wide case
MOST_OF_RESULT = 2  # temporary memory of the tall case
LAYERS = 4
WIDE = 10_000_000


def compiled(f: Callable[..., Any], *args: Any) -> tuple[Callable[..., Any], int]:
    """The compiled function, and its temporary memory in bytes."""
    program = jax.jit(f).lower(*args).compile()
    return program, program.memory_analysis().temp_size_in_bytes


def deep(size: int, rounds: int) -> tuple[bool, list[dict[str, Any]]]:
    layers = [normal(size, size, seed=seed) / size**0.5 for seed in range(LAYERS)]

    def network(x: Any, layers: Any) -> Any:
        for layer in layers:
            x = jnp.tanh(layer @ x)
        return x

    x = normal(size, seed=1)
    limits = [int(limit * (size / 4000) ** 2) for limit in LIMITS]
    programs = [compiled(jaxcalc.jacobian(network, memory_limit=n), x, layers) for n in (None, *limits)]
    times: list[list[float]] = []
    for _ in range(rounds):
        times.append([])
        for run, _ in programs:
            began = time.perf_counter()
            run(x, layers).block_until_ready()
            times[-1].append(time.perf_counter() - began)
    seconds = [statistics.median(each) for each in zip(*times, strict=True)]
    print(
        f"deep network, R^{size} to R^{size}, no limit: temporary memory "
        f"{programs[0][1] / 2**20:.0f} MiB, {seconds[0]:.2f} s"
    )
    met = True
    rows = [{"limit": None, "temporary_bytes": programs[0][1], "seconds": seconds[0], "ratio": 1.0}]
    for i, limit in enumerate(limits, start=1):
        memory = programs[i][1]
        ratio = statistics.median(each[i] / each[0] for each in times)
        print(
            f"  limit {limit / 2**20:.0f} MiB: temporary memory {memory / 2**20:.0f} MiB, "
            f"{seconds[i]:.2f} s, {ratio:.2f} times as long{f' (target {SLOWER})' if i == 1 else ''}"
        )
        rows.append({"limit": limit, "temporary_bytes": memory, "seconds": seconds[i], "ratio": ratio})
        met = met and memory <= limit and (ratio <= SLOWER or i > 1)
    return met, rows


def wide(size: int = WIDE) -> tuple[bool, list[float]]:
    places = jnp.arange(10) * (size // 10)
    weights = normal(10, 10)
    ratios = []
    for kind in ("dense", "structured", "bcoo"):
        found = jaxcalc.jacobian(lambda x: jnp.sum(x[places] @ weights), format=kind)
        _, memory = compiled(found, jnp.ones(size))
        ratios.append(memory / (4 * size))
        print(
            f"jax's issue 719, {size:,} inputs, {kind}: temporary memory {ratios[-1]:.2g} x the input"
        )
    return max(ratios) <= MOST_OF_INPUT, ratios


def tall() -> tuple[bool, list[float]]:
    problem = phases(10)
    ratios = []
    for kind in ("dense", "structured", "bcoo"):
        found = jaxcalc.jacobian(problem.f, format=kind)
        _, memory = compiled(found, *problem.args)
        ratios.append(memory / (4 * 20 * 20_480))
        print(f"jax's issue 215, {kind}: temporary memory {ratios[-1]:.2g} x the dense result")
    return max(ratios) <= MOST_OF_RESULT, ratios


def main() -> int:
    """Run all three, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures as JSON")
    options = parser.parse_args()
    found = {"wide": wide(), "tall": tall(), "deep": deep(options.size, options.rounds)}
    met = [reached for reached, _ in found.values()]
    if options.json is not None:
        figures = {name: rows for name, (_, rows) in found.items()}
        options.json.write_text(json.dumps({"size": options.size, **figures}), "utf-8")
    print(f"{sum(met)} of {len(met)} targets met")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
