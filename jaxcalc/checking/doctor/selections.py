"""The kinks of `where` whose condition compares two equal numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.pullback import Pullback, pull_back, push_forward
from jaxcalc.checking.doctor.tape import MOVES, Event, Tape, is_inexact

_ABOVE = {"gt": True, "ge": True, "lt": False, "le": False}  # the condition where the first is larger
_MOST = 20  # compared numbers that are looked at


class Kink(NamedTuple):
    """One kink: the slopes below and above it, the one that JAX takes, and at how many elements."""

    name: str
    below: float
    above: float
    taken: float
    elements: int


class _Selection(NamedTuple):
    event: Event
    above: int  # the operand that is selected where the compared number is a little larger
    tied: np.ndarray

    @property
    def below(self) -> int:
        """The operand that is selected where the compared number is a little smaller."""
        return (3 if self.event.name == "select_n" else 1) - self.above


def branch_kinks(
    tape: Tape, pullback: Pullback, seeds: Mapping[int, Any]
) -> Iterator[tuple[Event, Kink]]:
    """The selections that bend the output, as the number that their condition compares grows.

    Those of the same number are looked at together: what one of them bends, another may straighten.
    Where the two values differ it is no kink but a jump, or one of them was made a safe operand.
    """
    groups: dict[int, list[_Selection]] = {}
    for event in tape.events:
        if event.name == "select_n" and len(event.inputs) == 3:
            found = _tied(tape, event)
            if found is not None:
                groups.setdefault(found[0], []).append(found[1])
    for number, group in list(groups.items())[:_MOST]:
        kink = _kink(tape, pullback, seeds, number, group)
        if kink is not None:
            yield kink


def _tied(tape: Tape, event: Event) -> tuple[int, _Selection] | None:
    """The compared number, and what a selection does around the elements where it is at the limit."""
    comparison = _comparison(tape, event.inputs[0])
    if comparison is None:
        return None
    first, second = comparison.inputs
    if not is_inexact(tape.values[event.outputs[0]]):
        return None
    number = first if tape.is_active[first] else second
    tied = tape.array(first) == tape.array(second)
    shapes = {np.shape(tape.values[i]) for i in (number, *event.inputs, *event.outputs)}
    if not tape.is_active[number] or len(shapes) > 1 or not tied.any():
        return None
    is_yes_above = _ABOVE[comparison.name] == (number == first)
    return number, _Selection(event, 2 if is_yes_above else 1, tied)


def _comparison(tape: Tape, number: int) -> Event | None:
    event = tape.made_by[number]
    while event is not None and event.name in MOVES:
        event = tape.made_by[event.inputs[0]]
    return event if event is not None and event.name in _ABOVE else None


def _kink(
    tape: Tape,
    pullback: Pullback,
    seeds: Mapping[int, Any],
    number: int,
    group: Sequence[_Selection],
) -> tuple[Event, Kink] | None:
    tied = np.logical_or.reduce([s.tied & _matters(pullback, s.event) for s in group])
    if not tied.any():
        return None
    first = np.zeros(tied.shape, bool)
    first.flat[int(np.argmax(tied))] = True
    for s in group:
        no, yes = (tape.array(i) for i in s.event.inputs[1:])
        if not np.array_equal(no[first], yes[first]):
            return None
    sides = _sides(tape, number, group, first)
    if sides is None or _is_straight(seeds, sides):
        return None
    last = group[-1]
    slopes = [_element(t, last.event.outputs[0], first) for t in sides]
    is_above_taken = int(tape.array(last.event.inputs[0])[first].item()) == last.above - 1
    if not np.isfinite(slopes).all():
        return None
    taken = slopes[is_above_taken]
    return last.event, Kink("where", slopes[0], slopes[1], taken, int(tied.sum()))


def is_bent_back(tape: Tape, seeds: Mapping[int, Any], event: Event, ties: np.ndarray) -> bool:
    """Whether a tie of `max` or `min` bends nothing, since others of the same number do the opposite.

    `max(x, 0) + min(x, 0)` has no kink, and so has `jax.nn.celu`.
    """
    number = next(i for i in event.inputs if tape.is_active[i])
    group = [
        _Selection(e, _winner_above(e, number), ties)
        for e in tape.events
        if e.name in {"max", "min"} and number in e.inputs and _is_tied_there(tape, e, ties)
    ]
    first = np.zeros(ties.shape, bool)
    first.flat[int(np.argmax(ties))] = True
    sides = _sides(tape, number, group, first) if len(group) > 1 else None
    return sides is not None and _is_straight(seeds, sides)


def _winner_above(event: Event, number: int) -> int:
    """The operand that wins where a number among them is a little larger."""
    slot = event.inputs.index(number)
    return slot if event.name == "max" else 1 - slot


def _is_tied_there(tape: Tape, event: Event, ties: np.ndarray) -> bool:
    same = np.asarray(tape.array(event.inputs[0]) == tape.array(event.inputs[1]))
    return same.shape == ties.shape and bool(same.flat[int(np.argmax(ties))])


def _sides(
    tape: Tape, number: int, group: Sequence[_Selection], first: np.ndarray
) -> tuple[dict[int, Any], dict[int, Any]] | None:
    """All tangents below and above the tie of a number; None where it cannot be moved alone."""
    direction = direction_of(tape, number, first)
    if direction is None:
        return None
    return (
        push_forward(tape, direction, {s.event: (first, s.below) for s in group}),
        push_forward(tape, direction, {s.event: (first, s.above) for s in group}),
    )


def _is_straight(seeds: Mapping[int, Any], sides: tuple[dict[int, Any], dict[int, Any]]) -> bool:
    below, above = (_slope(seeds, tangents) for tangents in sides)
    return bool(np.isclose(below, above, rtol=1e-4, atol=1e-7))


def _matters(pullback: Pullback, event: Event) -> np.ndarray:
    cotangent = pullback.of_value.get(event.outputs[0])
    return np.asarray(False) if cotangent is None else np.asarray(cotangent) != 0


def direction_of(tape: Tape, number: int, first: np.ndarray) -> dict[int, Any] | None:
    """Tangents of the arguments along which the compared number grows by one at an element."""
    seed = jnp.asarray(first, jnp.result_type(tape.values[number]))
    pullback = pull_back(tape, {number: seed})
    gradients = {i: pullback.of_value[i] for i in tape.leaves if i in pullback.of_value}
    length = sum(float(np.sum(np.square(np.asarray(g, float)))) for g in gradients.values())
    if not length or not np.isfinite(length):
        return None
    return {i: g / np.asarray(length, g.dtype) for i, g in gradients.items()}


def _slope(seeds: Mapping[int, Any], tangents: Mapping[int, Any]) -> float:
    """How the output changes."""
    with np.errstate(invalid="ignore"):
        parts = [
            np.sum(np.asarray(c, float) * np.asarray(tangents.get(i, 0.0))) for i, c in seeds.items()
        ]
    return float(np.sum(parts))


def _element(tangents: Mapping[int, Any], number: int, first: np.ndarray) -> float:
    found = tangents.get(number)
    return 0.0 if found is None else float(np.asarray(found, float)[first].item())
