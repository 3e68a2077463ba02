"""jaxcalc against plain JAX and other tools, over sizes: time, set-up, compilation, memory, accuracy.

    python -m benchmarks                    everything but `suite`, in some twenty minutes
    python -m benchmarks --only suite       one part, by name
    python -m benchmarks --quick            the smallest sizes, for a check; kept in build/
    python -m benchmarks report             docs/benchmarks.md and its pictures, from the results

Each part is kept as one JSON file in benchmarks/results, written when the part is done.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import runner
from benchmarks.sweeps import CASES


def options() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*CASES, *runner.PARTS]
    parser.add_argument("command", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument(
        "--only", nargs="+", metavar="CASE", choices=names, help=f"any of {', '.join(names)}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds")
    parser.add_argument("--results", type=Path, help="folder of the JSON files")
    given = parser.parse_args()
    if given.results is None:
        given.results = runner.ROOT / "build" / "benchmarks" if given.quick else runner.RESULTS
    if given.only is None:
        given.only = [*CASES, *(name for name, part in runner.PARTS.items() if not part.alone)]
    return given


def main() -> int:
    """Run what was asked for, or write the report; 1 when a part left no figures."""
    given = options()
    if given.command == "report":
        from benchmarks import report

        return report.main(given.results)
    began = time.perf_counter()
    with ThreadPoolExecutor(2 if given.quick else 1) as pool:  # a quick run's times mean nothing
        lost = sum(pool.map(lambda name: run(name, given), given.only))
    print(f"results in {given.results.name}/, {time.perf_counter() - began:.0f} s")
    return int(lost > 0)


def run(name: str, given: argparse.Namespace) -> int:
    """Run one part, say so, and return 1 when it left no figures."""
    began, lost = time.perf_counter(), 0
    if name in CASES:
        failed = runner.run_case(name, CASES[name], given.results, quick=given.quick)
        what = f"measured; {failed} figures missing, with the reason" if failed else "measured"
    else:
        lost = runner.run_part(name, runner.PARTS[name], given.results, quick=given.quick)
        what = "FAILED" if lost else "measured"
    print(f"{name:20} {what} ({time.perf_counter() - began:.0f} s)", flush=True)
    return lost


if __name__ == "__main__":
    sys.exit(main())
