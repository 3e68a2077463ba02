"""jaxcalc against plain JAX and other tools, over sizes: time, set-up, compilation, memory, accuracy.

    python -m benchmarks                    everything but `suite`, in some ten minutes
    python -m benchmarks --only suite       one part, by name
    python -m benchmarks --quick            the smallest sizes, for a check; kept in build/
    python -m benchmarks report             docs/benchmarks.md and its pictures, from the results

Each part is kept as one JSON file in benchmarks/results, written when the part is done.
"""

from __future__ import annotations

import argparse
import sys
import time
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
    lost, began = 0, time.perf_counter()
    for name in given.only:
        start = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True)
        if name in CASES:
            failed = runner.run_case(name, CASES[name], given.results, quick=given.quick)
            what = f"{failed} without figures, which say why" if failed else "all measured"
        else:
            failed = runner.run_part(name, runner.PARTS[name], given.results, quick=given.quick)
            what = "failed" if failed else "measured"
            lost += failed
        print(f"{what} ({time.perf_counter() - start:.0f} s)", flush=True)
    print(f"results in {given.results.name}/, {time.perf_counter() - began:.0f} s")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
