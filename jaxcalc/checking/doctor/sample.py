"""One element of an equation, to tell by its numbers what happened there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxcalc.checking.doctor.tape import Event, Tape, is_key


@dataclass(frozen=True)
class Sample:
    """The operands and results of an event at one element.

    Attributes:
        index: which element, of the array that was looked at.
        operands: a number for each operand that has this element or is a scalar; None for others.
        results: the same for the results.
    """

    index: tuple[int, ...]
    operands: tuple[Any, ...]
    results: tuple[Any, ...]

    def operand(self, i: int = 0) -> Any:
        """An operand's number; NaN, which compares with nothing, where it is not known."""
        found = self.operands[i] if i < len(self.operands) else None
        return np.nan if found is None else found


def sample_at(tape: Tape, event: Event, mask: np.ndarray) -> Sample:
    """The first element of `mask`, an array of truth values in the shape of an operand or result."""
    flat = int(np.argmax(mask)) if mask.size else 0
    index = tuple(int(i) for i in np.unravel_index(flat, mask.shape)) if mask.size else ()
    return Sample(
        index,
        tuple(_element(tape, i, mask.shape, index) for i in event.inputs),
        tuple(_element(tape, i, mask.shape, index) for i in event.outputs),
    )


def _element(tape: Tape, number: int, shape: tuple[int, ...], index: tuple[int, ...]) -> Any:
    value = tape.values[number]
    if is_key(value):
        return None
    array = np.asarray(value)
    if array.shape == ():
        return array[()]
    if (
        not array.size
        or array.ndim != len(shape)
        or any(n not in {1, m} for n, m in zip(array.shape, shape, strict=True))
    ):
        return None
    return array[tuple(0 if n == 1 else i for n, i in zip(array.shape, index, strict=True))]


def shown(x: Any) -> str:
    """A number for a message, with as many digits as one reads."""
    if isinstance(x, complex | np.complexfloating):
        return f"{complex(x):.3g}"
    return f"{float(x) + 0.0:.3g}"  # without the sign of -0.0
