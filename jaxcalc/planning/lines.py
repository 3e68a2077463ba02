"""What each line of the source costs, and what its loops hold: an observer of the walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Jaxpr

from jaxcalc.engine.jaxprs import cost, equations
from jaxcalc.engine.jaxprs.branches import Branch, branches
from jaxcalc.engine.tangents.lanes import Lanes
from jaxcalc.engine.walk.program import Step
from jaxcalc.planning.findings import Line

_MARK = "jaxcalc step "


class LineCosts:
    """An observer of the walk that adds up its steps by the line that they come from.

    It marks the program that the walk makes after each step, so that what the step became is found.

    Attributes:
        most: the most lanes of any value.
    """

    def __init__(self) -> None:
        self.most = 0
        self._lines: dict[str, Line] = {}
        self._widest = ""  # the line that is the first one with the most lanes
        self._places: list[str] = []

    def __call__(self, step: Step, outputs: Sequence[Any]) -> None:
        """Add one step."""
        made = [x for x in outputs if isinstance(x, Lanes)]
        lanes = max((x.lanes for x in made), default=0)
        place = step.line
        before = self._lines.get(place, Line(place, (), 0, 0, 0.0))
        name = step.eqn.primitive.name
        self._lines[place] = Line(
            place,
            before.operations if name in before.operations else (*before.operations, name),
            max(before.lanes, lanes),
            max(before.entries, *(x.stored for x in made), 0),
            before.work + cost.equation_work(step.eqn, max(1, lanes)),
        )
        if lanes > self.most:
            self.most, self._widest = lanes, place
        self._mark(place, outputs)

    def lines(self, seeds: int) -> list[Line]:
        """One for each line of the source, in the order in which they were first met.

        `seeds` is how many lanes a value carries that depends on everything.
        """
        note = "becomes dense here" if self.most == seeds else "most lanes from here"
        return [
            replace(line, note=note) if self.most > 1 and place == self._widest else line
            for place, line in self._lines.items()
        ]

    def branches(self, program: Jaxpr) -> list[Branch]:
        """The branches and bodies of the program that the walk made, by the line they come from."""
        found: list[Branch] = []
        first = 0
        for end, eqn in enumerate(program.eqns):
            if eqn.primitive.name == "name" and equations.label(eqn).startswith(_MARK):
                place = self._places[int(equations.label(eqn).removeprefix(_MARK))]
                found += branches(program.eqns[first:end], place, computes="tangents")
                first = end
        return list(dict.fromkeys(found))

    def _mark(self, place: str, outputs: Sequence[Any]) -> None:
        arrays = [a for x in outputs for a in (_arrays(x) if isinstance(x, Lanes) else [x])]
        traced = next((a for a in arrays if isinstance(a, jax.core.Tracer)), None)
        if traced is not None:  # else nothing was added to the program
            checkpoint_name(traced, f"{_MARK}{len(self._places)}")
            self._places.append(place)


def _arrays(value: Lanes) -> list[Any]:
    irregular = [] if value.entries is None else [value.entries.values]
    return [*(group.data for group in value.groups), *irregular]
