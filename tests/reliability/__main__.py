"""Measures how far the library can be trusted, and writes docs/reliability.md.

    python -m tests.reliability --minutes 10

It takes a few minutes longer than the fuzzing does. Run it from the root of the repository.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxcalc
from tests.checking import catalogue, right_functions, wrong_rules
from tests.checking.right_together import TOGETHER, names
from tests.checking.wrong_rules_in_dtypes import IN_DTYPES
from tests.fuzz import __main__ as fuzz
from tests.reliability.bad_inputs import BAD, ODD
from tests.reliability.state import call_new_functions, state

PAGE = Path("docs/reliability.md")
SECTIONS = ("faults", "checks", "inputs", "leaks", "fuzzing")
LOW = ("float64", "float32", "float16", "bfloat16")
SMOOTH = {"sin": jnp.sin, "exp": jnp.exp, "tanh": jnp.tanh}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to fuzz")
    parser.add_argument("--seed", type=int, default=0, help="of the random programs")
    parser.add_argument("--calls", type=int, default=10_000, help="with new functions")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="the sections to measure anew")
    options = parser.parse_args(arguments)
    making: dict[str, Callable[[], str]] = {
        "faults": _faults,
        "checks": _checks,
        "inputs": _inputs,
        "leaks": lambda: _leaks(options.calls),
        "fuzzing": lambda: _fuzzing(options.minutes, options.seed),
    }
    chosen = options.only or SECTIONS
    new = {name: _timed(making[name]) for name in SECTIONS if name in chosen}
    # read as late as can be: another run may have written its sections meanwhile
    old = {} if options.only is None else _sections(PAGE.read_text("utf-8"))
    PAGE.write_text("\n\n".join([_head(), *(old | new).values()]) + "\n", "utf-8")
    return 0


def _sections(page: str) -> dict[str, str]:
    """The sections of the page as it is, by their names."""
    parts = page.split("\n## ")[1:]
    return {name: "## " + part.strip() for name, part in zip(SECTIONS, parts, strict=True)}


def _timed(part: Callable[[], str]) -> str:
    started = time.monotonic()
    text = part()
    print(f"{text.splitlines()[0]}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return text


def _head() -> str:
    return f"""# How far it can be trusted

Every number on this page comes from a run of

    python -m tests.reliability

here with Python {platform.python_version()}, JAX {jax.__version__}, on {platform.machine()} with the
{jax.default_backend().upper()} backend. The same cases are part of the tests, the fuzzing with a small
budget. What is promised, and what is not, is in [design.md](design.md)."""


def _faults() -> str:
    table, accused = catalogue.rows(), catalogue.accused()
    found = [row for row in table if row[1] != "not found"]
    healthy = catalogue.HEALTHY
    reported = catalogue.reported([row[0] for row in table] + list(healthy))
    return f"""## Faults that `diagnose` names

{len(found)} of {len(table)} known faults are found with the right cause and the right line, and
{len(accused)} of {len(healthy)} healthy functions have a finding. {reported} of these cases
are made after public reports, which their names tell, as jax#5798 does.

{_table(("fault", "cause that is named", "line"), table)}"""


def _checks() -> str:
    with jax.enable_x64(True):
        wrong = {
            dtype: {name: _is_caught(case, dtype) for name, case in wrong_rules.WRONG.items()}
            for dtype in ("float32", "float64")
        }
    in_dtypes = {name: _is_caught_as_given(name) for name in IN_DTYPES}
    here = sum(in_dtypes.values())
    cases = right_functions.RIGHT | TOGETHER
    right = len(right_functions.RIGHT) + len(names())
    accused = [name for name, case in cases.items() if not _passes(case)]
    with jax.enable_x64(True):
        smooth = [
            (name, *("passed" if _smooth(f, dtype) else "FAILED" for dtype in LOW))
            for name, f in SMOOTH.items()
        ]
    rows = [
        (name, *("caught" if wrong[d][name] else "MISSED" for d in ("float32", "float64")))
        for name in wrong_rules.WRONG
    ]
    caught = [sum(wrong[dtype].values()) for dtype in ("float32", "float64")]
    return f"""## Derivatives that `check` tells right from wrong

Of {len(rows)} wrong rules and derivatives, {caught[0]} are caught in float32 and {caught[1]} in
float64. Of {len(in_dtypes)} more, in every dtype and at many scales, {here} are caught.
Of {right} right functions, kinks and all dtypes among them, {_those(accused)} accused.

{_table(("wrong", "float32", "float64"), rows)}

{_table(("wrong", "in its dtype"), [(x, "caught" if ok else "MISSED") for x, ok in in_dtypes.items()])}

{_table(("right", *LOW), smooth)}"""


def _those(accused: Sequence[str]) -> str:
    """How many are accused, and which."""
    return f"{len(accused)} are" + (f" ({', '.join(accused)})" if accused else "")


def _is_caught_as_given(name: str) -> bool:
    with jax.enable_x64("float64" in name):
        case = IN_DTYPES[name]
        return not jaxcalc.check(case.f, *case.args, **case.options).passed


def _is_caught(case: Any, dtype: str) -> bool:
    args = wrong_rules.in_dtype(case.args, dtype)
    return not jaxcalc.check(case.f, *args, **case.options).passed


def _passes(case: Any) -> bool:
    return jaxcalc.check(case.f, *case.args, **case.options).passed


def _smooth(f: Callable[[Any], Any], dtype: str) -> bool:
    return jaxcalc.check(f, jnp.linspace(-1.0, 1.0, 5, dtype=dtype)).passed


def _inputs() -> str:
    right, rows = 0, []
    for name, bad in BAD.items():
        try:
            bad.call()
        except bad.error as error:
            text = "\n".join([str(error), *getattr(error, "__notes__", [])])
            fits = re.search(bad.text, text, re.DOTALL | re.MULTILINE) is not None
            line = next(
                (x for x in text.splitlines() if x.startswith("jaxcalc.")), text.splitlines()[0]
            )
            right += fits
            line = re.sub(r" at 0x[0-9a-f]+", "", line)
            rows.append((name, type(error).__name__, line if fits else f"NOT CLEAR: {line}"))
        else:
            rows.append((name, "none", "NO ERROR"))
    return f"""## Bad inputs

{right} of {len(BAD)} bad inputs give the error that they must, and {len(ODD)} odd ones their answer.
Where f raises, its own error comes through.

{_table(("input", "error", "what it says"), rows)}"""


def _leaks(calls: int) -> str:
    call_new_functions(100, sparse=False)
    before = state()
    call_new_functions(calls, sparse=False)
    call_new_functions(calls // 20, sparse=True)
    after = state()
    return f"""## What is left behind

After {calls:,} calls of `jacobian` and `gradient` with new functions, and {calls // 20:,} in a sparse
format, the caches hold {after.functions - before.functions} entries more than before, and
{after.objects - before.objects} more objects of Python are alive, JAX's own among them."""


def _fuzzing(minutes: float, seed: int) -> str:
    limits = ["--programs", str(10**9), "--minutes", str(minutes), "--seed", str(seed)]
    tally, seconds = fuzz.run(fuzz.options_parser().parse_args(limits))
    compared = ", ".join(f"{way} ({count:,})" for way, count in sorted(tally.ways.items()))
    skipped = ", ".join(f"{why} ({count:,})" for why, count in sorted(tally.skipped.items())) or "none"
    stored, nonzero = tally.stored["all"], tally.nonzero["all"]
    return f"""## Random programs

Programs are drawn from {len(fuzz.TABLE)} operations, nested in loops, branches, calls, batches and
custom rules, of shapes from 0 upwards and in several dtypes. Each derivative is compared with dense
JAX, value by value and pattern by pattern.

| | |
|---|---|
| programs | {tally.programs:,} in {seconds / 60:.1f} minutes, seed {seed} |
| derivatives that differ from JAX's | {len(tally.failures)} |
| compared | {compared} |
| not compared | {skipped} |
| entries stored that are always zero | {1 - nonzero / max(1, stored):.1%} |

A longer run is `python -m tests.fuzz --programs 100000 --minutes 60 --seed 1`. What fails is shrunk to
a few lines and printed."""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (re.sub(r"[|*]", r"\\\g<0>", " ".join(cell.split())) for cell in cells)
        return "| " + " | ".join(escaped) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *map(line, rows)])


if __name__ == "__main__":
    sys.exit(main())
