"""What is recorded: the benchmarks' suite, golden explanations, odd functions, random ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

import jax

from benchmarks.suite_cases import CASES
from tests.fuzz.choices import Recorded
from tests.fuzz.compare import compare
from tests.fuzz.kinds import KINDS
from tests.net.odd import ODD
from tests.net.record import Case
from tests.transforms.golden.functions import GOLDEN

_LONGEST = 10  # steps of a random program


def cases(group: str, programs: int) -> Iterator[tuple[str, Case]]:
    """The cases of a group, by their names; so many programs, where they are random."""
    match group:
        case "suite":
            return _suite()
        case "golden":
            return _golden()
        case "odd":
            return iter(ODD.items())
        case "fuzz":
            return _random(programs)
    raise ValueError(f"no group {group!r}")


def _suite() -> Iterator[tuple[str, Case]]:
    for name, case in CASES.items():
        problem = case.make()
        yield name, Case(problem.f, problem.args, problem.order)


def _golden() -> Iterator[tuple[str, Case]]:
    for name, (f, args, options) in GOLDEN.items():
        rest = {k: v for k, v in options.items() if k != "order"}
        yield name, Case(f, args, options.get("order", 1), rest)


def _random(programs: int) -> Iterator[tuple[str, Case]]:
    kinds = {name: kind for name, kind in KINDS.items() if kind.compare is compare}
    for number in range(programs):
        rng = random.Random(f"net {number}")
        name = rng.choices(list(kinds), [kind.share for kind in kinds.values()])[0]
        with jax.enable_x64(True):
            program = kinds[name].draw(Recorded(rng), _LONGEST)
            case = Case(program.function, (program.points(1)[0],), x64=True)
        yield f"{name} {number}", case
