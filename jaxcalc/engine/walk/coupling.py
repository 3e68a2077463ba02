"""Where in the user's code two inputs come to meet in one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxcalc.engine.tangents.lanes import Lanes
from jaxcalc.engine.walk.program import Step

Observer = Callable[[Step, Sequence[Any]], None]


class Meeting:
    """An observer of the walk: the first step with a result that depends on both inputs in one place.

    Attributes:
        place: its source line, once it is found.
    """

    def __init__(self, first: int, second: int) -> None:
        self._inputs = first, second
        self.place: str | None = None

    def __call__(self, step: Step, outputs: Sequence[Any]) -> None:
        """Look at the results of one step."""
        if self.place is not None:
            return
        for value in outputs:
            if isinstance(value, Lanes) and self._meet(value):
                self.place = step.line or None

    def _meet(self, value: Lanes) -> bool:
        first, second = (self._elements(value, number) for number in self._inputs)
        return bool((first & second).any())

    @staticmethod
    def _elements(value: Lanes, number: int) -> np.ndarray:
        """Which elements depend on an input, broadcast no further than their indices are."""
        found: np.ndarray = np.zeros((1,) * len(value.shape), bool)
        for group in value.groups:
            found = found | (group.index == number).any(axis=0)
        if value.entries is not None:
            rest = np.zeros(value.size, bool)
            rest[value.entries.elements[value.entries.inputs == number]] = True
            found = found | rest.reshape(value.shape)
        return found
