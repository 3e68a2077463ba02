"""From a random direction in which a derivative is wrong to one entry that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxcalc.checking.comparison import Measured, measure
from jaxcalc.checking.directions import Directions, scaled
from jaxcalc.checking.reals import RealMap

_PARTS = 16


class Entry(NamedTuple):
    """An entry of a derivative: its output and input element; an element is -1 if none stands out."""

    output: int
    input: int


def narrowed(ratio: Callable[[np.ndarray], np.ndarray], elements: np.ndarray) -> int:
    """The one of `elements` that makes a disagreement; -1 when it is spread over several.

    `ratio(masks)` says for each of several sets of elements, `[s, len(elements)]`, how large the
    disagreement is when these alone are looked at; above 1 it is one.
    """
    while len(elements) > 1:
        parts = np.array_split(np.arange(len(elements)), min(_PARTS, len(elements)))
        ratios = ratio(np.stack([elements[part] for part in _padded(parts)]))[: len(parts)]
        worst = int(np.argmax(ratios))
        if not ratios[worst] > 1:
            return -1
        elements = elements[parts[worst]]
    return int(elements[0])


def _padded(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Parts of one length: shorter ones have an element twice."""
    longest = max(map(len, parts))
    return [np.resize(part, longest) for part in parts]


def narrowed_input(f: RealMap, direction: np.ndarray, output: int, tolerance: float) -> int:
    """The input element whose part of J v is wrong at an output element.

    Cost: 16 directions for each factor of 16 in the number of elements.
    """

    def ratio(sets: np.ndarray) -> np.ndarray:
        found = measure(f, restricted(f, direction, sets), tolerance, output)
        return np.zeros(len(sets)) if found is None else found.times[:, 0]

    return narrowed(ratio, np.flatnonzero(direction))


def restricted(f: RealMap, direction: np.ndarray, sets: np.ndarray) -> Directions:
    """A direction with all but a set of elements left where they are, for each of the sets."""
    rows = np.zeros((len(sets), f.size))
    for row, elements in zip(rows, sets, strict=True):
        row[elements] = np.sign(direction[elements]) if len(set(elements)) > 1 else 1.0
    return scaled(f, rows)


def at_entry(f: RealMap, entry: Entry, tolerance: float) -> Measured | None:
    """Both values of one entry."""
    row = np.zeros((1, f.size))
    row[0, entry.input] = 1.0
    return measure(f, scaled(f, row), tolerance, entry.output)
