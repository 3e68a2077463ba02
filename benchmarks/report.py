"""docs/benchmarks.md and its pictures, made from the JSON of the results and from nothing else.

Run `python -m benchmarks report`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots, runner
from benchmarks.page import picture, table
from benchmarks.report_cases import case_section, others_win, summary
from benchmarks.report_parts import PART_SECTIONS
from benchmarks.sweeps import CASES

DOCS = runner.ROOT / "docs"
TEMPLATE = Path(__file__).with_name("template.md")
FIGURES = DOCS / "images" / "benchmarks"
NUMERICAL = ("numerical", "numerical-accuracy")
DESCENT = ("descent",)
Results = Mapping[str, Any]


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """All results in a folder, by name."""
    paths = {name: folder / f"{name}.json" for name in (*CASES, *runner.PARTS)}
    return {name: json.loads(p.read_text("utf-8")) for name, p in paths.items() if p.exists()}


def page(found: Mapping[str, Results]) -> str:
    """The whole page: the template, with what was found in the places that it names."""
    exact = [found[n] for n in CASES if n in found and n not in (*NUMERICAL, *DESCENT)]
    every = [found[name] for name in CASES if name in found]
    pieces = {
        "overview": _overview(found),
        "summary": summary(exact),
        "others": others_win(every),
        "exact": _sections(exact),
        "numerical": _sections([found[name] for name in NUMERICAL if name in found]),
        "descent": _sections([found[name] for name in DESCENT if name in found]),
        "machine": machines(found),
    }
    for name, section in PART_SECTIONS.items():
        results = found.get(name, {"error": "Not measured."})
        pieces[name] = section(results["figures"]) if "figures" in results else [results["error"], ""]
    text = TEMPLATE.read_text("utf-8")
    for name, lines in pieces.items():
        text = text.replace(f"<!-- {name} -->\n", "\n".join(lines) + "\n")
    return text.rstrip() + "\n"


def _overview(found: Mapping[str, Results]) -> list[str]:
    lines = []
    hasty = [f"`{name}`" for name, each in found.items() if each["quick"]]
    if hasty:
        lines += [f"**From a quick run, whose times mean little: {', '.join(hasty)}.**", ""]
    if all(name in found for name in plots.OVERVIEW):
        alt = "Time of a Jacobian divided by the time of f, against size: jaxcalc, plain JAX, asdex"
        lines += picture("overview", alt)
    return lines


def _sections(cases: list[Results]) -> list[str]:
    return [line for results in cases for line in case_section(results)]


def machines(found: Mapping[str, Results]) -> list[str]:
    """Machine, date and versions, once for all parts that share them."""
    groups: dict[str, list[str]] = {}
    for name, results in found.items():
        about = results["machine"]
        text = (
            f"{about['cores']} cores of {about['processor']} ({about['architecture']}), "
            f"{about['memory_gib']} GiB of memory, {about['system']}, Python {about['python']}; "
            f"measured on {results['date']}"
        )
        groups.setdefault(text, []).append(name)
    lines = []
    for text, names in groups.items():
        which = f" ({', '.join(names)})" if len(groups) > 1 else ""
        lines += [f"{text}{which}.", ""]
    packages: dict[str, set[str]] = {}
    for results in found.values():
        for package, version in results["versions"].items():
            packages.setdefault(package, set()).add(version)
    rows = [[package, ", ".join(sorted(each))] for package, each in packages.items()]
    return lines + table(["package", "version"], rows)


def main(results: Path) -> int:
    """Write the page and all pictures."""
    found = load(results)
    for name in CASES:
        if name in found and plots.is_drawn(found[name]):
            plots.draw_case(found[name], FIGURES)
    if all(name in found for name in plots.OVERVIEW):
        plots.draw_overview(found, FIGURES)
    if "figures" in found.get("suite", {}):
        plots.draw_suite(found["suite"]["figures"], FIGURES)
    (DOCS / "benchmarks.md").write_text(page(found), "utf-8")
    print(f"docs/benchmarks.md: {len(found)} of {len(CASES) + len(runner.PARTS)} parts")
    return 0
