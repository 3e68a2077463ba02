"""The derivative of f in forward mode, which may be NaN where that of reverse mode is finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.pullback import Pullback, direction, push_forward
from jaxcalc.checking.doctor.tape import JOIN, Event, Tape, is_inexact, magnitude, not_finite
from jaxcalc.checking.doctor.values import responsible


@dataclass
class Forward:
    """What every value does as the arguments move in one direction without symmetries.

    Attributes:
        tape: the evaluation.
        pullback: its cotangents.
        refused: the events that JAX has no forward mode of, known once `tangents` were asked for.
    """

    tape: Tape
    pullback: Pullback
    refused: list[Event] = field(default_factory=list)

    @cached_property
    def tangents(self) -> Mapping[int, Any]:
        """The tangents of all values, by number."""
        seeds = {i: direction(self.tape.values[i], i) for i in self.tape.leaves}
        return push_forward(self.tape, seeds, refused=self.refused)

    @cached_property
    def is_finite(self) -> bool | None:
        """Whether the derivative of each finite output is finite; None without a forward mode."""
        if not self._is_suspect:
            return True
        tangents = self.tangents
        return None if self.refused else not any(not_finite(tangents.get(i)) for i in self._sound)

    def makers(self) -> list[tuple[Event, int]]:
        """The events, with an operand, that make a bad tangent of finite ones, in their order."""
        if self.is_finite is not False:
            return []
        tape, tangents = self.tape, self.tangents
        waiting = [i for i in self._sound if not_finite(tangents.get(i))]
        found: dict[Event, int] = {}
        seen = set(waiting)
        while waiting:
            number = waiting.pop()
            event = tape.made_by[number]
            if event is None:
                continue
            if event.name == JOIN:
                before = [event.inputs[event.outputs.index(number)]]
            else:
                before = responsible(tape, event, number, tangents.get)
            if not before:
                found[event] = next(s for s, i in enumerate(event.inputs) if i in tangents)
            waiting.extend(i for i in before if i not in seen)
            seen.update(before)
        return sorted(found.items(), key=lambda item: tape.events.index(item[0]))

    @property
    def _sound(self) -> list[int]:
        return [i for i in self.tape.outputs if not self.tape.is_bad(i)]

    @cached_property
    def _is_suspect(self) -> bool:
        """Whether the cotangents leave it open that tangents are not finite.

        An equation without a finite derivative makes bad cotangents, though they may not reach an
        argument. A tangent overflows where its product with the cotangent, which is a part of the
        gradient, does not, if that cotangent is far smaller than those of the arguments.
        """
        given = self.pullback.of_value
        cotangents = [np.asarray(c) for c in given.values() if c is not None and is_inexact(c)]
        if self.pullback.refused or not all(np.isfinite(c).all() for c in cotangents):
            return True
        largest = max((magnitude(given.get(i)) for i in self.tape.leaves), default=0.0)
        return any(largest > _smallest(c) * float(jnp.finfo(c.dtype).max) ** 0.75 for c in cotangents)


def _smallest(c: np.ndarray) -> float:
    """The smallest of the numbers that are not zero."""
    return float(np.min(np.abs(c[c != 0]), initial=np.inf)) if c.size else np.inf
