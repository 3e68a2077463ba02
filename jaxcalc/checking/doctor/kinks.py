"""Kinks at this very point: where the slope from one side differs from that from the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxcalc.checking.doctor.cut_words import called
from jaxcalc.checking.doctor.forward import Forward
from jaxcalc.checking.doctor.lookups import lookup_kinks
from jaxcalc.checking.doctor.pullback import Pullback, local_pullback
from jaxcalc.checking.doctor.runner import Where, of_call, run_inside
from jaxcalc.checking.doctor.sample import shown
from jaxcalc.checking.doctor.selections import Kink, branch_kinks, is_bent_back
from jaxcalc.checking.doctor.tape import Event, Tape
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.source import NOWHERE

_COMPONENTWISE = frozenset({"abs", "max", "min", "clamp", "custom_jvp_call"})
_MOST = 20  # findings


def kink_findings(
    tape: Tape,
    pullback: Pullback,
    forward: Forward,
    seeds: Mapping[int, Any],
    program: ClosedJaxpr,
) -> list[Finding]:
    """A note for each line with kinks that are active at this point."""
    found: dict[Any, Finding] = {}
    for event in tape.events:
        key = event.place, event.name, event.calls
        arriving = [pullback.of_value.get(i) for i in event.outputs]
        if event.eqn is None or key in found or all(c is None for c in arriving):
            continue
        for kink in _kinks(tape, event, arriving, forward, seeds):
            if not np.isclose(kink.below, kink.above, rtol=1e-3, atol=1e-6):
                found[key] = _finding(event, kink)
        if len(found) == _MOST:
            break
    for event, kink in branch_kinks(tape, pullback, seeds):
        found.setdefault((event.place, event.name, event.calls), _finding(event, kink))
    told = {place for place, *_ in found}
    for event, kink in lookup_kinks(tape, pullback, seeds, program):
        if event.place not in told:
            found[event] = _finding(event, kink)
    return list(found.values())


def _finding(event: Event, kink: Kink) -> Finding:
    many = f" at {kink.elements} elements" if kink.elements > 1 else ""
    return Finding(
        "note",
        "kink",
        f"{kink.name} has a kink here{many}: the slopes on its two sides are {shown(kink.below)} and "
        f"{shown(kink.above)}, and JAX takes {shown(kink.taken)}",
        "this is no fault; use a smooth function in its place where the value in between matters.",
        *(event.place or NOWHERE),
        "",
        event.name,
        event.step,
    )


def _differ(tangents: Mapping[int, Any], event: Event) -> Any:
    """Where the two operands do not move together; there a tie between them is a kink."""
    first, second = (np.asarray(tangents.get(i, 0.0)) for i in event.inputs)
    return ~np.isclose(first.astype(float), second.astype(float), rtol=1e-3, atol=0)


def _kinks(
    tape: Tape,
    event: Event,
    arriving: Sequence[Any],
    forward: Forward,
    seeds_of_output: Mapping[int, Any],
) -> Iterator[Kink]:
    slot = next((s for s, i in enumerate(event.inputs) if tape.is_active[i]), None)
    if slot is None or np.iscomplexobj(tape.values[event.inputs[slot]]):
        return
    mask = _ties(tape, event, slot)
    if mask is None:
        return
    if event.name in {"max", "min"} and mask.any() and all(tape.is_active[i] for i in event.inputs):
        mask = mask & _differ(forward.tangents, event)
    cotangent = None if arriving[0] is None else np.asarray(arriving[0])
    if cotangent is not None and cotangent.shape == mask.shape:
        mask = mask & (cotangent != 0) & np.isfinite(cotangent.astype(complex))
    if not mask.any() or (
        event.name in {"max", "min"} and is_bent_back(tape, seeds_of_output, event, mask)
    ):
        return
    is_componentwise = event.name in _COMPONENTWISE
    first = np.zeros(mask.shape, bool)
    first.flat[int(np.argmax(mask))] = True
    # one element alone where the others decide with it what wins
    moved = mask if is_componentwise else first
    seeds = (
        [jnp.ones_like(tape.values[i]) for i in event.outputs]
        if is_componentwise or event.name.startswith("reduce")
        else list(arriving)
    )

    def slope(side: float) -> float:
        return float(_slope(tape, event, slot, moved, side, seeds)[first].item())

    below, above, taken = slope(-1), slope(1), slope(0)
    nearer = slope(0.1) - slope(-0.1)  # the slopes of |x|**1.5 meet, those of a kink stay apart
    if np.isfinite([below, above, taken]).all() and abs(nearer) > 0.5 * abs(above - below):
        yield Kink(_name(event), below, above, taken, int(mask.sum()))


def _slope(
    tape: Tape, event: Event, slot: int, moved: np.ndarray, side: float, seeds: Sequence[Any]
) -> np.ndarray:
    """The derivative of an event with respect to one operand, a little to the side of where it is."""
    values = [tape.values[i] for i in event.inputs]
    x = np.asarray(values[slot])
    h = np.sqrt(float(jnp.finfo(x.dtype).eps)) * np.maximum(1.0, np.abs(x.astype(float)))
    values[slot] = jnp.asarray(np.where(moved, x.astype(float) + side * h, x), x.dtype)
    pulled = local_pullback(tape, event, values, seeds)[slot]
    return np.broadcast_to(np.asarray(pulled, float), moved.shape)


def _ties(tape: Tape, event: Event, slot: int) -> np.ndarray | None:
    """Where an operand is at a kink, in its own shape; None for events that have none."""
    arrays = [np.asarray(tape.values[i]) for i in event.inputs if event.name in _RULED]
    match event.name:
        case "abs":
            return arrays[0] == 0
        case "max" | "min" if arrays[slot].shape == np.shape(tape.values[event.outputs[0]]):
            return np.asarray(arrays[0] == arrays[1])
        case "clamp" if slot == 1:
            return (arrays[1] == arrays[0]) | (arrays[1] == arrays[2])
        case "reduce_max" | "reduce_min":
            return _shared(arrays[0], event)
        case "sort":
            return _repeated(arrays[slot], event)
    return _inside(tape, event, slot) if event.name == "custom_jvp_call" else None


_RULED = frozenset({"abs", "max", "min", "clamp", "reduce_max", "reduce_min", "sort"})


def _shared(array: np.ndarray, event: Event) -> np.ndarray:
    """The elements that win together with others."""
    assert event.eqn is not None
    axes = equations.axes(event.eqn)
    if not array.size:
        return np.zeros(array.shape, bool)
    best = (np.max if event.name == "reduce_max" else np.min)(array, axis=axes, keepdims=True)
    wins = array == best
    return wins & (wins.sum(axis=axes, keepdims=True) > 1)


def _repeated(array: np.ndarray, event: Event) -> np.ndarray:
    """The elements that are as large as another one along the sorted axis."""
    assert event.eqn is not None
    axis = equations.dimension(event.eqn)
    order = np.argsort(array, axis=axis, kind="stable")
    ordered = np.take_along_axis(array, order, axis)
    same = np.diff(ordered, axis=axis) == 0
    pad = [(0, 0)] * array.ndim
    before, after = list(pad), list(pad)
    before[axis], after[axis] = (1, 0), (0, 1)
    found = np.zeros(array.shape, bool)
    np.put_along_axis(found, order, np.pad(same, before) | np.pad(same, after), axis)
    return found


def _inside(tape: Tape, event: Event, slot: int) -> np.ndarray | None:
    """Where a `custom_jvp` function that acts element by element has a kink inside, such as relu."""
    program = of_call(event)
    shape = np.shape(tape.values[event.inputs[slot]])
    if program is None or any(np.shape(tape.values[i]) != shape for i in event.outputs):
        return None
    values = [tape.values[i] for i in event.inputs]
    inside = run_inside(program, values, Where(event.place, event.calls, event.step))
    found = np.zeros(shape, bool)
    for inner in inside.events:
        active = next((s for s, i in enumerate(inner.inputs) if inside.is_active[i]), None)
        if (
            inner.eqn is not None
            and active is not None
            and inner.name in {"abs", "max", "min", "clamp"}
        ):
            mask = _ties(inside, inner, active)
            if mask is not None and mask.shape == shape:
                found |= mask
    return found


def _name(event: Event) -> str:
    words = {"abs": "abs at 0", "reduce_max": "max with ties", "reduce_min": "min with ties"}
    if event.name in {"max", "min"} and called(event) == event.name:
        return f"{event.name} of two equal numbers"
    return words.get(event.name, "sort with ties" if event.name == "sort" else called(event))
