"""Programs from plain random numbers, and their shrinking, for long runs.

Hypothesis repeats and mutates its examples, which finds little that is new in a long run, and shrinks
for minutes. Here a program is a list of integers, replayed with zeros where it ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Recorded:
    """Integers drawn at random, or replayed from a list, and written down."""

    def __init__(self, rng: random.Random | None = None, replay: list[int] | None = None) -> None:
        self._rng = rng
        self._replay = replay or []
        self.drawn: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """An integer of low to high, both included."""
        if self._rng is not None:
            value = self._rng.randint(low, high)
        else:
            place = len(self.drawn)
            value = min(max(low, self._replay[place] + low), high) if place < len(self._replay) else low
        self.drawn.append(value - low)
        return value


def shrunk(
    choices: list[int], make: Callable[[Recorded], T], fails: Callable[[T], bool], trials: int
) -> tuple[T, int]:
    """The simplest program found in so many trials that still fails, and the trials spent."""
    spent, best = 0, make(Recorded(replay=choices))
    seen = {repr(best)}
    progress = True
    while progress and spent < trials:
        progress = False
        for candidate in _simpler(choices):
            recorded = Recorded(replay=candidate)
            program = make(recorded)
            if _weight(recorded.drawn) >= _weight(choices) or repr(program) in seen:
                continue
            seen.add(repr(program))
            spent += 1
            if fails(program):
                choices, best, progress = recorded.drawn, program, True
                break
            if spent >= trials:
                break
    return best, spent


def _weight(choices: list[int]) -> tuple[int, int]:
    return len(choices), sum(choices)


def _simpler(choices: list[int]) -> Iterator[list[int]]:
    """Parts left out, long ones first; then each number smaller."""
    length = len(choices)
    size = max(1, length // 2)
    while size:
        for start in range(0, length - size + 1, max(1, size // 2)):
            yield choices[:start] + choices[start + size :]
        size //= 2
    for place, value in enumerate(choices):
        for smaller in sorted({0, value // 2, value - 1} - {value, -1}):
            yield [*choices[:place], smaller, *choices[place + 1 :]]
            if smaller < value:  # a count that is smaller often leaves what it counted too many
                for gone in (1, 2, 3):
                    yield [*choices[:place], smaller, *choices[place + 1 + gone :]]
