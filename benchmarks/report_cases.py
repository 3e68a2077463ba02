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
    heads = ["case", "sizes", "tool", "its time", "jaxcalc's", "quotient"]
    run, first = ([row for each in cases for row in _faster(each, what)] for what in ("run", "first"))
    lines = [
        "Runs that take less than 0.95 times jaxcalc's best way, in the median and at their best. The",
        "quotient is that of all sizes where this is so, and the times are those of the largest one:",
        "",
        *_or_none(heads, run),
        "Where only one derivative is wanted, set-up and the first call, with compilation, count most.",
        "There the best other tool takes less than 0.8 times as long in these cases. torch,",
        "numdifftools and scipy compile nothing:",
        "",
        *_or_none(heads, first),
        "Numerical derivatives with less than half of the error of jaxcalc's:",
        "",
    ]
    return lines + _or_none(
        ["case", "at", "tool", "its error", "jaxcalc's"], [r for c in cases for r in _closer(c)]
    )


def _or_none(heads: list[str], rows: list[list[str]]) -> list[str]:
    return table(heads, rows) if rows else ["None in these measurements.", ""]


def _faster(results: Results, what: str) -> list[list[str]]:
    """The best rivals of a case, each with the sizes where it is clearly faster."""
    found: dict[str, list[tuple[Any, float, float]]] = {}
    for at in results["sizes"]:
        mine, theirs = (_fastest(results, names(results), at, what) for names in (ours, rivals))
        if mine is None or theirs is None:
            continue
        least = CLEAR if what == "run" else 0.8
        if all(b < least * a for a, b in zip(mine[1:], theirs[1:], strict=True)):
            found.setdefault(theirs[0], []).append((at, mine[1], theirs[1]))
    return [_grouped(results, rival, each) for rival, each in found.items()]


def _grouped(results: Results, rival: str, each: list[tuple[Any, float, float]]) -> list[str]:
    sizes = [_number(at) for at, _, _ in each]
    where = sizes[0] if len(sizes) == 1 else f"{sizes[0]} .. {sizes[-1]}"
    if results["size"] == "function":
        where = f"{len(sizes)} of {len(results['sizes'])} functions"
    else:
        where = f"{results['size']} = {where}"
    low, high = (times(f(theirs / mine for _, mine, theirs in each)) for f in (min, max))
    quotient = low if low == high else f"{low} .. {high}"
    _, mine, theirs = each[-1]
    return [results["name"], where, rival, seconds(theirs), seconds(mine), quotient]


def _fastest(
    results: Results, names: tuple[str, ...], at: Any, what: str
) -> tuple[str, float, float] | None:
    """Who is the fastest at a size, with its time, and the best time of all."""
    rows = {name: row_at(results, name, at) for name in names}
    known = {name: row for name, row in rows.items() if "run_seconds" in row}
    if not known:
        return None

    def first(row: Mapping[str, Any]) -> float:
        return (row["setup_seconds"] or 0.0) + row["first_call_seconds"]

    if what == "first":
        name = min(known, key=lambda each: first(known[each]))
        return name, first(known[name]), first(known[name])
    name = min(known, key=lambda each: known[each]["run_seconds"])
    return name, known[name]["run_seconds"], known[name]["best_seconds"]


def _closer(results: Results) -> list[list[str]]:
    """Where a numerical derivative of another tool is closer to the exact one."""
    if not results["name"].startswith("numerical"):
        return []
    rows = []
    for at in results["sizes"]:
        errors = {n: found.get(str(at)) for n, found in results["accuracy"].items()}
        known = {name: value for name, value in errors.items() if value is not None}
        mine = min((known[n] for n in ours(results) if n in known), default=float("inf"))
        others = {n: value for n, value in known.items() if n in rivals(results)}
        rival = min(others, key=lambda name: others[name], default=None)
        if rival is not None and others[rival] < 0.5 * mine:
            where = at if results["size"] == "function" else f"{results['size']} = {_number(at)}"
            rows.append([results["name"], where, rival, error(others[rival]), error(mine)])
    return rows
