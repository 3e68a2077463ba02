"""What each line of the source costs: an observer of the walk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcalc.engine import cost
from jaxcalc.engine.program import Step
from jaxcalc.engine.source import source_line
from jaxcalc.formats.lanes import Lanes
from jaxcalc.planning.explanation import Line


class LineCosts:
    """An observer of the walk that adds up its steps by the line that they come from."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def __call__(self, step: Step, outputs: Sequence[Any]) -> None:
        """Add one step."""
        made = [x for x in outputs if isinstance(x, Lanes)]
        lanes = max((x.lanes for x in made), default=0)
        place = source_line(step.eqn)
        before = self._lines.get(place, Line(place, (), 0, 0, 0.0))
        name = step.eqn.primitive.name
        self._lines[place] = Line(
            place,
            before.operations if name in before.operations else (*before.operations, name),
            max(before.lanes, lanes),
            max(before.entries, *(x.stored for x in made), 0),
            before.work + cost.equation_work(step.eqn) * max(1, lanes),
        )

    @property
    def lines(self) -> list[Line]:
        """One for each line of the source, in the order in which they were first met."""
        return list(self._lines.values())
