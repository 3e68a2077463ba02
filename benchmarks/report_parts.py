"""What the report says of the parts with commands of their own: suite, ladder, memory, compile time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.page import picture, seconds, size, table, times

Figures = Any


def suite(rows: Figures) -> list[str]:
    """The distribution of the ratios, and the worst by name."""
    found = sorted(row["ratio"] for row in rows)
    first = [row["first_ratio"] for row in rows]
    mean, mean_first = statistics.geometric_mean(found), statistics.geometric_mean(first)
    lines = [
        f"{len(rows)} functions of all kinds, from pointwise ones to solvers and recurrent networks,",
        "each at one size: `jaxcalc.jacobian(f)` or `hessian(f)` with defaults, and so with a dense",
        "result, against the better of `jax.jacfwd` and `jax.jacrev`, or `jax.hessian`; all under",
        "`jax.jit`.",
        "",
    ]
    lines += picture("suite", "jaxcalc's time over that of the best of plain JAX, for all functions")
    groups = {"all": rows} | {
        kind: [row for row in rows if row["expected"] == kind]
        for kind in ("dense", "structure", "bottleneck")
    }
    table_rows = []
    for kind, members in groups.items():
        if members:
            each = sorted(row["ratio"] for row in members)
            below = sum(value <= 1.1 for value in each)
            middle = statistics.median(each)
            cells = (times(each[0]), times(middle), times(each[-1]), f"{below} of {len(each)}")
            table_rows.append([kind, *cells])
    lines += table(
        ["jaxcalc / best of plain JAX", "least", "median", "most", "at most 1.1"], table_rows
    )
    lines += [
        f"The geometric mean of the ratios is {mean:.2f}; of the first calls, with tracing and",
        f"compilation, {mean_first:.2f}. The slowest against plain JAX, and the slowest first calls:",
        "",
    ]
    worst = sorted(rows, key=lambda row: -row["ratio"])[:6]
    late = sorted(rows, key=lambda row: -row["first_ratio"])[:6]
    pairs = [
        (a["name"], f"{times(a['ratio'])} x {a['best']}", b["name"], times(b["first_ratio"]))
        for a, b in zip(worst, late, strict=True)
    ]
    return lines + table(["function", "run", "function", "first call"], pairs)


def ladder(figures: Figures) -> list[str]:
    """Flops and memory of compiled programs, the extremes by name."""
    rows = figures["rows"]
    lines = [
        "The compiled programs of the transformations, over those of the same transformations of JAX",
        "(a Jacobian over the better of forward and reverse, figure by figure), by XLA's own count.",
        "Nothing is timed: these figures are the same in each run. 1 says that the same program came",
        "out. From the least to the most over the functions:",
        "",
    ]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["transformation"], []).append(row)
    cells = [
        [
            name,
            len(each),
            *(
                f"{times(min(r[what] for r in each))} .. {times(max(r[what] for r in each))}"
                for what in ("flops", "memory", "bytes")
            ),
        ]
        for name, each in groups.items()
    ]
    heads = ["jaxcalc / JAX", "functions", "flops", "memory", "bytes moved"]
    imports = f"`import jaxcalc` takes {seconds(figures['import_seconds'])} after jax and optax."
    return [*lines, *table(heads, cells), imports, ""]


def memory(figures: Figures) -> list[str]:
    """What a limit costs, and the two cases of one wrong direction."""
    n = figures["size"]
    lines = [f"A dense Jacobian of a network of 4 layers, R^{n:,} to R^{n:,}, with `memory_limit`:", ""]
    rows = [
        [
            "none" if row["limit"] is None else size(row["limit"]),
            size(row["temporary_bytes"]),
            seconds(row["seconds"]),
            times(row["ratio"]),
        ]
        for row in figures["deep"]
    ]
    lines += table(["limit", "temporary memory", "run", "over no limit"], rows)
    wide = ", ".join(times(value) for value in figures["wide"])
    tall = ", ".join(times(value) for value in figures["tall"])
    return [
        *lines,
        "Two functions where the wrong direction takes gigabytes; temporary memory with a dense, a",
        "structured and a BCOO result:",
        "",
        f"- ten of ten million inputs are used (jax's issue 719): {wide} times the input;",
        f"- 20 inputs and 20,480 outputs (jax's issue 215): {tall} times the dense result.",
        "",
    ]


def compile_time(figures: Figures) -> list[str]:
    """Trace and compilation, against size."""
    lines = [
        "The structured Hessian of the chained Rosenbrock function, and its gradient, built anew:",
        "",
    ]
    rows = [
        [
            f"{row['of']}, n = {row['n']:,}",
            seconds(row["trace_ms"] / 1e3),
            seconds(row["compile_ms"] / 1e3),
            times(row["ratio"]),
        ]
        for row in figures["rows"]
    ]
    return lines + table(["", "trace", "compile", "both, over the gradient's"], rows)


PART_SECTIONS: Mapping[str, Callable[[Figures], list[str]]] = {
    "suite": suite,
    "ladder": ladder,
    "memory": memory,
    "compile-time": compile_time,
}
