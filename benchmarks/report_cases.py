"""What the report says of the cases over sizes: ratios, growth, and where another tool is faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import plots
from benchmarks.page import error, exponent, picture, seconds, size, table, times
from benchmarks.ratios import growth

OURS = ("jaxcalc", "jaxcalc in jit", "jaxcalc.numerical", "jaxcalc.numerical, f in numpy", "minimize")
PLAIN = ("jax.jacfwd", "jax.jacrev", "jax.hessian", "jax.grad")
NO_RIVAL = ("f", "recorded", "jaxcalc, exact", *OURS)
CLEAR = 0.95  # a tool is faster when both its median and its best run are below this much of ours

Results = Mapping[str, Any]


def row_at(results: Results, name: str, at: Any) -> Mapping[str, Any]:
    """What was measured of a contender at a size."""
    return results["measurements"].get(name, {}).get(str(at), {"error": "not run"})


def best(results: Results, names: tuple[str, ...], at: Any, figure: str) -> tuple[str, float] | None:
    """Which of some contenders has the smallest figure at a size, and the figure."""
    rows = {name: row_at(results, name, at) for name in names}
    known = {name: row[figure] for name, row in rows.items() if row.get(figure) is not None}
    return min(known.items(), key=lambda pair: pair[1]) if known else None


def rivals(results: Results) -> tuple[str, ...]:
    """All contenders that jaxcalc is compared with."""
    return tuple(name for name in results["contenders"] if name not in NO_RIVAL)


def ours(results: Results) -> tuple[str, ...]:
    """The ways that jaxcalc was called in."""
    return tuple(name for name in results["contenders"] if name in OURS)


def grows(results: Results, name: str) -> float | None:
    """The growth exponent of a contender's run time, over its three largest sizes."""
    rows = [(s, row_at(results, name, s)) for s in results["sizes"] if not isinstance(s, str)]
    known = [(s, row["run_seconds"]) for s, row in rows if "run_seconds" in row]
    return growth([s for s, _ in known], [t for _, t in known])


# ---- one case


def case_section(results: Results) -> list[str]:
    """Picture, ratios at all sizes, and what else was measured at one of them."""
    name, over = results["name"], _over(results)
    lines = [f"### {results['title']}", ""]
    if results["note"]:
        lines += [results["note"], ""]
    if plots.is_drawn(results):
        alt = f"{results['title']}: {over} against {results['size']}, for all tools"
        lines += picture(name, alt)
    if results["size"] == "function":
        lines += _by_function(results)
    else:
        lines += _ratios(results) + _others(results)
    missing = _missing(results)
    if missing:
        lines += ["Without a figure:", "", *missing, ""]
    return lines


def _over(results: Results) -> str:
    base = results["baseline"]
    return "run over one evaluation of f" if base == "f" else f"run over that of *{base}*"


def _ratios(results: Results) -> list[str]:
    sizes = results["sizes"]
    heads = [_over(results), *(f"{results['size']} = {_number(s)}" for s in sizes), "growth", "error"]
    rows = []
    for name in results["contenders"]:
        cells = [_ratio_cell(row_at(results, name, s)) for s in sizes]
        found = list(results["accuracy"].get(name, {}).values())
        wrong = "no number" if None in found else error(max(found, default=None))
        rows.append([name, *cells, exponent(grows(results, name)), wrong])
    return table(heads, rows)


def _by_function(results: Results) -> list[str]:
    """Errors and times, a line for each function."""
    names = [name for name in results["contenders"] if name in results["accuracy"]]
    lines = ["The largest error, relative to the exact derivative:", ""]
    wrong = results["accuracy"]
    rows = [[s, *(error(wrong[name].get(str(s))) for name in names)] for s in results["sizes"]]
    lines += table(["function", *names], rows)
    rows = [
        [s, *(seconds(row_at(results, name, s).get("run_seconds")) for name in names)]
        for s in results["sizes"]
    ]
    return [*lines, "Time of a run:", "", *table(["function", *names], rows)]


def _ratio_cell(row: Mapping[str, Any]) -> str:
    if "error" not in row:
        return times(row.get("ratio"))
    text = row["error"]
    if "needs" in text:
        return "too large"
    return "not run" if text.startswith("not") else "stopped" if "stopped" in text else "failed"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _others(results: Results) -> list[str]:
    """Seconds and memory, at the largest size where anything is compared."""
    at = next(
        (
            s
            for s in reversed(results["sizes"])
            if best(results, rivals(results), s, "run_seconds")
            and best(results, ours(results), s, "run_seconds")
        ),
        None,
    )
    if at is None:
        return []
    rows = []
    for name in results["contenders"]:
        row = row_at(results, name, at)
        if "error" not in row:
            cells = [seconds(row[f"{what}_seconds"]) for what in ("run", "setup", "first_call")]
            rows.append([name, *cells, size(row["temporary_bytes"])])
    where = f"at {results['size']} = {_number(at)}"
    return table([where, "run", "set-up", "first call", "temporary memory"], rows)


def _missing(results: Results) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for name in results["contenders"]:
        for s in results["sizes"]:
            row = row_at(results, name, s)
            if "error" in row:
                found.setdefault((name, row["error"]), []).append(_number(s))
    return [
        f"- {name} at {results['size']} = {', '.join(sizes)}: {text}"
        for (name, text), sizes in found.items()
    ]


# ---- all cases


def summary(cases: list[Results]) -> list[str]:
    """One line for each case: how much longer than f, and how that grows."""
    heads = ["", "size", "jaxcalc", "growth", "plain JAX", "best other tool", "", "growth"]
    rows = []
    for results in cases:
        at = results["sizes"][-1]
        mine = best(results, ours(results), at, "ratio")
        plain = best(results, PLAIN, at, "ratio")
        others = tuple(name for name in rivals(results) if name not in PLAIN)
        rival = best(results, others, at, "ratio")
        rows.append(
            [
                f"[{results['name']}](#{_anchor(results['title'])})",
                f"{results['size']} = {_number(at)}",
                times(mine[1]) if mine else "failed",
                exponent(grows(results, mine[0])) if mine else "",
                times(plain[1]) if plain else _why(results, PLAIN, at),
                rival[0] if rival else _why(results, others, at),
                times(rival[1]) if rival else "",
                exponent(grows(results, rival[0])) if rival else "",
            ]
        )
    return table(heads, rows)


def _why(results: Results, names: tuple[str, ...], at: Any) -> str:
    """Why none of some contenders has a figure, in two words."""
    taking_part = [name for name in names if name in results["contenders"]]
    words = sorted({_ratio_cell(row_at(results, name, at)) for name in taking_part})
    return ", ".join(words) if words else "none"


def _anchor(title: str) -> str:
    kept = [c for c in title.lower() if c.isalnum() or c in " -_"]
    return "".join(kept).replace(" ", "-")


def others_win(cases: list[Results]) -> list[str]:
    """Where another tool takes clearly less time than jaxcalc: by run, and until the first result."""
    run, first = [], []
    for results in cases:
        for at in results["sizes"]:
            run += _faster(results, at, "run")
            first += _faster(results, at, "first")
    heads = ["case", "size", "jaxcalc", "better", "takes", "of jaxcalc's time"]
    lines = [
        "Runs that take less than 0.95 times jaxcalc's best way, in the median and at their best:",
        "",
    ]
    lines += table(heads, run) if run else ["None in these measurements.", ""]
    lines += [
        "Where only one derivative is wanted, set-up and the first call, with compilation, count most.",
        "There the best other tool takes less than 0.8 times as long in these cases:",
        "",
    ]
    return lines + (table(heads, first) if first else ["None in these measurements.", ""])


def _faster(results: Results, at: Any, what: str) -> list[list[str]]:
    """The best rival at a size, if it is clearly faster."""

    def cost(row: Mapping[str, Any], figure: str) -> float:
        if "run_seconds" not in row:
            return float("inf")
        if what == "run":
            return row[figure]
        return (row["setup_seconds"] or 0.0) + row["first_call_seconds"]

    def fastest(names: tuple[str, ...], figure: str) -> tuple[float, str]:
        pairs = [(cost(row_at(results, name, at), figure), name) for name in names]
        return min(pairs, default=(float("inf"), ""))

    (mine, way), (theirs, rival) = (fastest(f(results), "run_seconds") for f in (ours, rivals))
    least = CLEAR if what == "run" else 0.8
    if not theirs < least * mine:
        return []
    at_best = fastest(ours(results), "best_seconds")[0]
    if not cost(row_at(results, rival, at), "best_seconds") < least * at_best:
        return []
    where = f"{results['size']} = {_number(at)}" if results["size"] != "function" else str(at)
    mine_text = f"{seconds(mine)} ({way})" if mine < float("inf") else "failed"
    return [[results["name"], where, mine_text, rival, seconds(theirs), times(theirs / mine)]]
