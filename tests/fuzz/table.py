"""The table of operations that random programs are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.fuzz.scope import Scope

Build = Callable[[Scope], str | None]


class Operation(NamedTuple):
    """A step of a program.

    Attributes:
        build: writes the step as an expression; None where no value fits.
        is_tight: whether its pattern must be exact.
    """

    name: str
    family: str
    build: Build
    is_tight: bool


TABLE: dict[str, Operation] = {}
# how often a step comes from each family
SHARES = {
    "pointwise": 27,
    "moves": 20,
    "reductions": 13,
    "places": 14,
    "contractions": 8,
    "nesting": 10,
    "algebra": 8,
    "literals": 12,
    "outside": 12,
}


def operation(family: str, *, tight: bool = False) -> Callable[[Build], Build]:
    """Add an operation to the table, under the name of its function."""

    def add(build: Build) -> Build:
        name = build.__name__.strip("_")
        TABLE[name] = Operation(name, family, build, tight)
        return build

    return add


def templates(family: str, texts: str, *, tight: bool = False) -> None:
    """Add an operation for each line, `name: expression in v`, v being any value."""
    for line in texts.strip().splitlines():
        name, text = line.strip().split(": ", 1)

        def build(s: Scope, text: str = text) -> str | None:
            v = s.value()
            return None if v is None else text.format(v=v.name)

        TABLE[name] = Operation(name, family, build, tight)
