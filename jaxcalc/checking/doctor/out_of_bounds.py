"""Reads at indices that are out of bounds, where JAX gives the nearest element without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxcalc.checking.doctor.pullback import Pullback
from jaxcalc.checking.doctor.tape import Event, Tape
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs import indexing
from jaxcalc.engine.jaxprs.source import NOWHERE


def bounds_findings(tape: Tape, pullback: Pullback) -> list[Finding]:
    """A warning for each line that reads out of bounds what the derivative of the output depends on.

    What a mask keeps from the output is no finding, and neither is a mode that was asked for.
    """
    found: dict[Any, Finding] = {}
    for event in tape.events:
        if event.name not in {"gather", "dynamic_slice"} or event.place in found:
            continue
        cotangent = pullback.of_value.get(event.outputs[0])
        if cotangent is None:
            continue
        outside = next(_outside(tape, event, np.asarray(cotangent) != 0), None)
        if outside is not None:
            found[event.place] = _finding(event, *outside)
    return list(found.values())


def _outside(tape: Tape, event: Event, is_read: np.ndarray) -> Iterator[tuple[int, int]]:
    """An index that is out of bounds, and how many elements there are."""
    assert event.eqn is not None
    shape, sizes = np.shape(tape.values[event.inputs[0]]), indexing.window_sizes(event.eqn)
    if event.name == "dynamic_slice":
        starts = [int(tape.values[i]) for i in event.inputs[1:]] if is_read.any() else []
        for start, length, size in zip(starts, shape, sizes, strict=False):
            if size == 1 and not 0 <= start < length:  # x[i]; a longer slice may be moved on purpose
                yield start, length
        return
    if not indexing.promises(event.eqn):
        return
    places = indexing.places(event.eqn)
    indices = tape.array(event.inputs[1])
    matters = is_read.any(axis=places.window)
    for column, axis in enumerate(places.mapped):
        along = indices[..., column]
        outside = ((along < 0) | (along > shape[axis] - sizes[axis])) & matters
        if outside.any():
            yield int(along[outside][0]), shape[axis]


def _finding(event: Event, index: int, length: int) -> Finding:
    nearest = 0 if index < 0 else length - 1
    return Finding(
        "warning",
        "value",
        f"an index is out of bounds: of {length} elements JAX reads number {nearest} for {index}, and "
        "says nothing",
        "look at the indices, or choose what stands there with x.at[i].get(mode='fill', fill_value=0).",
        *(event.place or NOWHERE),
        "",
        event.name,
        event.step,
    )
