"""Where a NaN or an infinity in the value of f comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxcalc.checking.doctor.runner import Where, of_call, run_inside
from jaxcalc.checking.doctor.sample import sample_at
from jaxcalc.checking.doctor.tape import MOVES, Event, Tape, finite, not_finite
from jaxcalc.checking.doctor.value_causes import Why, why_constant, why_value
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs.source import NOWHERE, Place

_MOST = 8  # findings of one kind


def value_findings(tape: Tape, names: Sequence[str]) -> list[Finding]:
    """The first equations on the way to each part of the output that is not finite."""
    return _origins(tape, tape.outputs).findings(names)


@dataclass
class _Origins:
    """Goes back from values that are not finite to what made them."""

    tape: Tape
    makers: list[Event] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    constants: list[int] = field(default_factory=list)
    turned: list[Event] = field(default_factory=list)  # infinity into NaN
    readers: dict[int, Event] = field(default_factory=dict)  # of constants that are not finite
    _seen: set[int] = field(default_factory=set)

    def follow(self, number: int) -> None:
        """Go back from one value."""
        waiting = [number]
        while waiting:
            current = waiting.pop()
            if current in self._seen:
                continue
            self._seen.add(current)
            event = self.tape.made_by[current]
            if event is None:
                (self.leaves if current in self.tape.leaves else self.constants).append(current)
                continue
            bad = responsible(self.tape, event, current, self.tape.values.__getitem__)
            if not bad and event not in self.makers:
                self.makers.append(event)
            elif bad and _has_nan(self.tape, current) and not any(_has_nan(self.tape, i) for i in bad):
                self.turned.append(event)
            for i in bad:
                self.readers.setdefault(i, event)
            waiting.extend(bad)

    def findings(self, names: Sequence[str]) -> list[Finding]:
        """One for each origin."""
        tape = self.tape
        found = []
        for number in self.leaves:
            name = names[tape.leaves.index(number)]
            what = "NaN" if _has_nan(tape, number) else "an infinity"
            found.append(
                Finding(
                    "error",
                    "value",
                    f"the argument {name} holds {what}, which reaches the output",
                    "look at where this argument is made.",
                    argument=name,
                )
            )
        order = {event: n for n, event in enumerate(tape.events)}
        makers = sorted(self.makers, key=order.__getitem__)
        if not makers and not self.leaves:
            makers = sorted(self.turned, key=order.__getitem__)[:1]
        found += [_finding(tape, event) for event in makers[:_MOST]]
        if not found and (constant := self.constant()) is not None:
            why, place = constant
            found = [Finding("error", "value", why.cause, why.advice, *(place or NOWHERE))]
        return found

    def maker(self) -> tuple[Why, Place | None] | None:
        """Why and where the first equation makes something bad; None where none does."""
        makers = sorted(self.makers or self.turned, key=self.tape.events.index)
        return explained(self.tape, makers[0]) if makers else None

    def constant(self) -> tuple[Why, Place | None] | None:
        """Why and where a constant comes through; None where something else is bad, or nothing is."""
        if not self.constants or self.leaves or self.makers or self.turned:
            return None
        reader = self.readers.get(self.constants[0])
        last = reader
        while last is not None and last.name in MOVES | {"convert_element_type"}:
            last = self.readers.get(last.outputs[0])
        if last is not None and last.name.startswith("scatter"):
            reader = last
        why = why_constant(reader, _has_nan(self.tape, self.constants[0]))
        return why, None if reader is None else reader.place


def _origins(tape: Tape, numbers: Sequence[int]) -> _Origins:
    """What made those of some values that are bad."""
    origins = _Origins(tape)
    for number in numbers:
        if tape.is_bad(number):
            origins.follow(number)
    return origins


def responsible(tape: Tape, event: Event, result: int, read: Callable[[int], Any]) -> list[int]:
    """The operands that hold what makes a result bad, element by element where that can be told.

    `read` gives what stands for the value of a number: the value itself, or its tangent.
    """
    where = ~finite(read(result))
    taken = tape.array(event.inputs[0]) if event.name == "select_n" else None
    found = []
    for slot, number in enumerate(event.inputs):
        held = read(number)
        if held is None or not not_finite(held):
            continue
        there = ~finite(held)
        if taken is not None:
            there = there & (taken.astype(int) == slot - 1)
        if there.shape in {where.shape, ()} and not (there & where).any():
            continue
        found.append(number)
    return found


def _has_nan(tape: Tape, number: int) -> bool:
    return bool(np.isnan(tape.array(number)).any())


def _finding(tape: Tape, event: Event) -> Finding:
    why, place = explained(tape, event)
    return Finding(
        "error", "value", why.cause, why.advice, *(place or NOWHERE), "", event.name, event.step
    )


def explained(tape: Tape, event: Event) -> tuple[Why, Place | None]:
    """Why an event makes NaN or an infinity, and where: inside of a `custom_jvp` function, its line."""
    inner = of_call(event)
    if inner is not None:
        where = Where(event.place, event.calls, event.step)
        inside = run_inside(inner, [tape.values[i] for i in event.inputs], where)
        origins = _origins(inside, inside.outputs)
        found = origins.maker() or origins.constant()
        if found is not None:
            return found
    bad = next(i for i in event.outputs if tape.is_bad(i))
    return why_value(tape, event, sample_at(tape, event, ~finite(tape.values[bad]))), event.place


def first_maker(tape: Tape, numbers: Sequence[int]) -> tuple[Why, Place | None] | None:
    """The first equation that makes one of these values bad; None where none does."""
    return _origins(tape, numbers).maker()


def held_by(tape: Tape, numbers: Sequence[int], names: Sequence[str]) -> Why | None:
    """The argument or constant that is not finite in these values; None where an equation makes it."""
    origins = _origins(tape, numbers)
    held = [*origins.leaves, *origins.constants]
    if origins.makers or origins.turned or not held:
        return None
    number = next((i for i in held if _has_nan(tape, i)), held[0])
    is_leaf = number in tape.leaves
    owner = f"the argument {names[tape.leaves.index(number)]}" if is_leaf else "an array held constant"
    what, test = ("NaN", "isnan") if _has_nan(tape, number) else ("an infinity", "isinf")
    return Why(
        f"{owner} holds {what}",
        f"put a number in the place of {what} before computing, as in y = jnp.where(jnp.{test}(y), 0, "
        f"y), and mask the result: zero times {what} is NaN in the derivative.",
    )
