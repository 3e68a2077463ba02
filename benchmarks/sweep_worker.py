"""One case of `benchmarks.sweeps`, measured in this process; `benchmarks.runner` starts and watches it.

What is found is written to a file after each step, with what is being done: when this process dies or
is stopped, nothing else is lost, and a new one goes on from there.

Run `python -m benchmarks.sweep_worker CASE FILE [--quick]`.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from benchmarks import peers, ratios
from benchmarks.preparing import Figures, one_line, prepare, rounded
from benchmarks.sweeps import CASES, Size, Sweep

TIMING = "timing"  # what is being done when no single contender is


@dataclass(frozen=True)
class Effort:
    """How long a measurement may take.

    Attributes:
        rounds: turns of each contender, at most.
        budget: seconds of all turns at one size, except that there are three in any case.
        slow: seconds of a run, above which it is timed once, and not at larger sizes.
        late: the same, of set-up and first call.
        memory: whether programs are asked for their temporary memory.
    """

    rounds: int
    budget: float
    slow: float
    late: float
    memory: bool = True


FULL = Effort(rounds=15, budget=2.0, slow=1.0, late=8.0)
QUICK = Effort(rounds=3, budget=0.2, slow=0.5, late=4.0, memory=False)


class Notebook:
    """The figures of a case so far, and the file that has them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict[str, Any] = json.loads(path.read_text("utf-8"))

    def save(self) -> None:
        """Write the file as a whole, so that nobody reads half of it."""
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self.data), "utf-8")
        beside.replace(self.path)

    def begin(self, name: str, size: Size) -> None:
        """Say what is done from now on."""
        self.data["doing"] = {"name": name, "size": str(size), "since": time.time()}
        self.save()

    def of(self, name: str) -> dict[str, dict[str, Any]]:
        """What is known of a contender, by size."""
        return self.data["measurements"].setdefault(name, {})

    def write(self, name: str, size: Size, row: dict[str, Any]) -> None:
        """Keep the figures of a contender at a size."""
        self.of(name)[str(size)] = row


def left_out(rows: dict[str, dict[str, Any]], effort: Effort) -> str | None:
    """Why a contender is not run at the next size, given what it took before."""
    for size, row in rows.items():
        if "stopped" in row.get("error", "") or "the process ended" in row.get("error", ""):
            return f"not run: failed at {_number(size)} before"
        total = (row.get("setup_seconds") or 0.0) + row.get("first_call_seconds", 0.0)
        for seconds, most, what in (
            (row.get("run_seconds", 0.0), effort.slow, "a run"),
            (total, effort.late, "set-up and first call"),
        ):
            if seconds > most:
                return f"not run: {what} took {seconds:.2g} s at {_number(size)}"
    return None


def _number(size: str) -> str:
    return f"{int(size):,}" if size.isdigit() else size


def measure_size(case: Sweep, size: Size, notes: Notebook, effort: Effort, *, check: bool) -> None:
    """Set all contenders up, time them in turns, and compare their results with a reference."""
    notes.begin("the problem", size)
    problem = case.make(size)
    ready: dict[str, peers.Ready] = {}
    figures: dict[str, Figures] = {}
    once: dict[str, ratios.Timing] = {}
    for name, contender in case.contenders.items():
        if str(size) in notes.of(name):
            continue  # it failed at this size, in a process before this one
        reason = left_out(notes.of(name), effort) if isinstance(size, int) else None
        if reason:
            notes.write(name, size, {"error": reason})
            continue
        notes.begin(name, size)
        try:
            ready[name], figures[name] = prepare(name, contender, problem, memory=effort.memory)
            warm = ratios.seconds(ready[name].run)
            if warm > effort.slow:
                once[name] = ratios.Timing(name, 0.0, (warm,))
        except peers.FAILURES as error:
            notes.write(name, size, {"error": one_line(error)})
    for name in [n for n in ready if check and n != "f"]:
        notes.begin(name, size)
        try:
            wrong = case.error(problem, ready[name], ready[name].run())
            notes.data["accuracy"].setdefault(name, {})[str(size)] = wrong
        except peers.FAILURES as error:
            del ready[name]
            notes.write(name, size, {"error": f"not comparable: {one_line(error)}"})
    notes.begin(TIMING, size)
    runs = {name: each.run for name, each in ready.items() if name not in once}
    timings = once | ratios.timed(runs, effort.rounds, budget=effort.budget)
    base = timings.get(case.baseline)
    for name in ready:
        timing = timings[name]
        notes.write(name, size, as_row(figures[name], timing, base))
    notes.save()


def as_row(figures: Figures, timing: ratios.Timing, base: ratios.Timing | None) -> dict[str, Any]:
    """The figures of one contender at one size, as they are kept."""
    row: dict[str, Any] = {
        "run_seconds": timing.median,
        "best_seconds": min(timing.runs),
        "rounds": len(timing.runs),
        "setup_seconds": figures.setup,
        "first_call_seconds": figures.first_call,
        "temporary_bytes": figures.memory,
    }
    if base is not None:
        if len(timing.runs) == len(base.runs):
            against = ratios.ratio(timing, base)
        else:  # timed once, outside of the turns
            against = ratios.Ratio(*[timing.median / base.median] * 4)
        row |= {
            "ratio": against.median,
            "ratio_quartiles": [against.lower, against.upper],
            "ratio_of_best": against.best,
        }
    return {key: rounded(value) for key, value in row.items()}


def main() -> None:
    """Measure the case at each size that the file doesn't have yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    case, notes = CASES[given.case], Notebook(given.file)
    warnings.simplefilter("ignore")  # peers warn of what is measured here
    if case.float64:
        jax.config.update("jax_enable_x64", True)
    for place, size in enumerate(notes.data["sizes"]):
        if all(str(size) in notes.of(name) for name in case.contenders):
            continue
        effort = QUICK if given.quick else FULL
        measure_size(case, size, notes, effort, check=place < case.checked)
        jax.clear_caches()
        gc.collect()
    del notes.data["doing"]
    notes.save()


if __name__ == "__main__":
    main()
