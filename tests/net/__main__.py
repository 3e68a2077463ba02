"""`python -m tests.net` compares what is decided with what was recorded; `--write` records it anew.

For changes that move code and decide nothing: write before, compare after, with the same JAX. Every
difference is printed, and wants a reason. What is recorded stays on this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from tests.net.cases import cases
from tests.net.record import Record, record

FOLDER = Path(".cache") / "net"
GROUPS = ("golden", "odd", "suite", "fuzz")
_KEPT = 50  # cases, after which JAX's caches are emptied


def main(arguments: Sequence[str] | None = None) -> int:
    """How many cases differ, at most 1; 0 where they are written."""
    parser = argparse.ArgumentParser(prog="python -m tests.net", description=__doc__)
    parser.add_argument("groups", nargs="*", default=GROUPS, metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--write", action="store_true", help="record, rather than compare")
    parser.add_argument("--programs", type=int, default=500, help="how many random ones")
    options = parser.parse_args(arguments)
    differ = 0
    for group in options.groups:
        found = recorded_now(group, options.programs)
        if options.write:
            FOLDER.mkdir(parents=True, exist_ok=True)
            lines = (f"{json.dumps(name)}: {json.dumps(line)}" for name, line in found.items())
            (FOLDER / f"{group}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
            continue
        for text in differences(group, found):
            differ += 1
            print(text)
    return min(1, differ)


def recorded_now(group: str, programs: int) -> dict[str, Record]:
    """What is decided for the cases of a group, as it is written to a file."""
    found = {}
    for number, (name, case) in enumerate(cases(group, programs)):
        if number % _KEPT == _KEPT - 1:
            jax.clear_caches()
        found[name] = json.loads(json.dumps(record(case)))
    return found


def differences(group: str, found: dict[str, Record]) -> list[str]:
    """Where a group is not as it was recorded, in words."""
    before = json.loads((FOLDER / f"{group}.json").read_text("utf-8"))
    texts = [f"{group}: {name} is new" for name in found.keys() - before.keys()]
    texts += [f"{group}: {name} is gone" for name in before.keys() - found.keys()]
    for name in before.keys() & found.keys():
        for form in before[name].keys() | found[name].keys():
            was, is_now = before[name].get(form, {}), found[name].get(form, {})
            texts += [
                f"{group}: {name}, {form}, {key}: {was.get(key)} -> {is_now.get(key)}"
                for key in sorted(was.keys() | is_now.keys())
                if was.get(key) != is_now.get(key)
            ]
    return sorted(texts)


if __name__ == "__main__":
    sys.exit(main())
