"""The kinds of random cases: how each is drawn, and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from tests.fuzz import branches, integers, loops, objects, rules
from tests.fuzz.choices import Recorded
from tests.fuzz.compare import Report, compare
from tests.fuzz.direct import compare_calls
from tests.fuzz.programs import MIXED, Program, program
from tests.fuzz.table import TABLE

_TIGHT = 15  # of a hundred programs
_BESIDE = ("pointwise", "moves")  # what a family of its own is mixed with


class Kind(NamedTuple):
    """A kind of random cases.

    Attributes:
        share: of a hundred cases, so many are of this kind.
        draw: makes a case from random numbers, given how many steps it may have.
        compare: compares it with JAX.
    """

    share: int
    draw: Callable[[Recorded, int], Any]
    compare: Callable[..., Report]


def _drawn(recorded: Recorded, longest: int, allowed: Sequence[str] = MIXED) -> Program:
    tight = recorded.integer(0, 99) >= 100 - _TIGHT
    return program(recorded.integer, longest, tight=tight, allowed=allowed)


def of_operations(allowed: Sequence[str]) -> Kind:
    """Programs of these operations alone."""
    return Kind(100, partial(_drawn, allowed=allowed), compare)


def _family(family: str) -> Callable[[Recorded, int], Program]:
    """Programs of the operations of a family, and of simple ones beside them."""
    names = [n for n, o in TABLE.items() if o.family == family or o.family in _BESIDE]

    def draw(recorded: Recorded, longest: int) -> Program:
        return program(recorded.integer, min(longest, 6), allowed=names)

    return draw


KINDS: dict[str, Kind] = {
    "steps": Kind(58, _drawn, compare),
    "loops": Kind(6, loops.draw, compare),
    "rules": Kind(7, rules.draw, compare),
    "branches": Kind(5, branches.draw, compare_calls),
    "objects": Kind(7, objects.draw, compare_calls),
    "integers": Kind(5, integers.draw, compare_calls),
    "literals": Kind(6, _family("literals"), compare),
    "outside": Kind(6, _family("outside"), compare),
}
