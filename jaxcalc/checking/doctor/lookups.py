"""Kinks of tables and branches: where a number that decides what is looked up is just at its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxcalc.checking.doctor.pullback import Pullback
from jaxcalc.checking.doctor.selections import Kink, direction_of
from jaxcalc.checking.doctor.tape import JOIN, Event, Tape, is_inexact

_LOOKUPS = frozenset({"gather", "dynamic_slice", "dynamic_update_slice", "scatter", "scatter-add"})
_COMPARISONS = frozenset({"lt", "le", "gt", "ge", "lt_to", "le_to"})  # an eq parts no two sides
_SEARCH = "call_hi_primitive"  # searchsorted from JAX 0.12 on, before that a loop of comparisons
_JUMPS = _COMPARISONS | {"floor", "ceil", "round", "convert_element_type", _SEARCH}
_MOST = 12  # elements that are looked at


class _Tie(NamedTuple):
    event: Event
    number: int  # what decides
    tied: np.ndarray


def lookup_kinks(
    tape: Tape, pullback: Pullback, seeds: Mapping[int, Any], program: ClosedJaxpr
) -> Iterator[tuple[Event, Kink]]:
    """The kinks of what is looked up by an index that jumps here, or by a branch that changes here.

    f is differentiated a little to both sides of the limit. Where its value jumps it is no kink.
    """
    ties = list(_ties(tape))
    if not ties or pullback.refused:
        return
    f = jaxpr_as_fun(program)
    budget, told = _MOST, set[Any]()
    for tie in ties:
        for place in np.flatnonzero(tie.tied):
            if budget == 0 or _key(tie.event) in told:
                break
            budget -= 1
            first = np.zeros(tie.tied.shape, bool)
            first.flat[int(place)] = True
            kink = _kink(f, tape, pullback, seeds, tie, first)
            if kink is not None:
                told.add(_key(tie.event))
                yield replace(tie.event, step=""), kink  # of a loop inside of JAX, perhaps


def _key(event: Event) -> Any:
    return event.place, event.calls


def _ties(tape: Tape) -> Iterator[_Tie]:
    """The events at a jump of what they make, with the number that decides."""
    found = []
    for event in tape.events:
        if event.name not in _JUMPS:
            continue
        active = next((i for i in event.inputs if tape.is_active[i]), None)
        if active is None or np.iscomplexobj(tape.values[active]):
            continue
        tied = _at_limit(tape, event, active)
        if tied is not None and tied.shape == np.shape(tape.values[active]) and tied.any():
            found.append(_Tie(event, active, tied))
    if not found:
        return
    deciding = _deciding(tape)
    yield from (tie for tie in found if not deciding.isdisjoint(tie.event.outputs))


def _at_limit(tape: Tape, event: Event, active: int) -> np.ndarray | None:
    if event.name in _COMPARISONS:
        first, second = (tape.array(i) for i in event.inputs)
        return np.asarray(first == second)
    x = tape.array(active)
    match event.name:
        case name if name == _SEARCH and "searchsorted" in event.calls:
            return np.isin(x, next(tape.array(i) for i in event.inputs if i != active))
        case "floor" | "ceil":
            return np.asarray(x == np.floor(x))
        case "round":
            return np.asarray(x - np.floor(x) == 0.5)
        case "convert_element_type" if not is_inexact(tape.values[event.outputs[0]]):
            return np.asarray(x == np.floor(x))
    return None


def _deciding(tape: Tape) -> set[int]:
    """The values without a derivative that decide what is looked up, or which branch is taken."""
    found: set[int] = set()
    for event in reversed(tape.events):
        if event.name == JOIN:
            found.update(event.inputs[len(event.outputs) :])
            found.update(i for i, j in zip(event.inputs, event.outputs, strict=False) if j in found)
        elif event.name in _LOOKUPS:
            found.update(i for i in event.inputs if not is_inexact(tape.values[i]))
        elif not found.isdisjoint(event.outputs):
            found.update(event.inputs)
    return found


def _kink(
    f: Callable[..., Any],
    tape: Tape,
    pullback: Pullback,
    seeds: Mapping[int, Any],
    tie: _Tie,
    first: np.ndarray,
) -> Kink | None:
    along = direction_of(tape, tie.number, first)
    if along is None:
        return None
    leaves = [tape.values[i] for i in tape.leaves]
    moves = [along.get(i, jnp.zeros_like(x)) for i, x in zip(tape.leaves, leaves, strict=True)]
    x = float(tape.array(tie.number)[first].item())
    h = float(np.sqrt(float(jnp.finfo(jnp.result_type(tape.values[tie.number])).eps))) * max(
        1.0, abs(x)
    )
    weights = [seeds.get(i) for i in tape.outputs]
    (below, low), (above, high) = (_slope(f, leaves, moves, s * h, weights) for s in (-1, 1))
    if abs(high - low) > 4 * h * (abs(below) + abs(above)) + 1e-3 * h:
        return None  # a jump
    nearer = [_slope(f, leaves, moves, s * h / 10, weights)[0] for s in (-1, 1)]
    taken = sum(
        float(np.sum(np.asarray(g, float) * np.asarray(m, float)))
        for i, m in zip(tape.leaves, moves, strict=True)
        if (g := pullback.of_value.get(i)) is not None
    )
    is_kink = abs(above - below) > 1e-3 * max(abs(below), abs(above), abs(taken), 1e-3)
    stays = abs(nearer[1] - nearer[0]) > 0.5 * abs(above - below)
    is_known = bool(np.isfinite([below, above, taken]).all())
    return Kink(_name(tie.event), below, above, taken, 1) if is_known and is_kink and stays else None


def _slope(
    f: Callable[..., Any], leaves: Sequence[Any], moves: Sequence[Any], h: float, weights: Sequence[Any]
) -> tuple[float, float]:
    """The derivative of the output along a direction, some way along it, and the output there."""
    moved = [x + jnp.asarray(h, jnp.result_type(x)) * m for x, m in zip(leaves, moves, strict=True)]
    try:
        values, tangents = jax.jvp(f, moved, list(moves))
    except (TypeError, ValueError, NotImplementedError):  # a custom_vjp function has no forward mode
        values, back = jax.vjp(f, *moved)
        given = [jnp.zeros_like(y) if c is None else c for y, c in zip(values, weights, strict=True)]
        slope = _along(back(given), moves)
    else:
        slope = _along(tangents, weights)
    return slope, _along(values, weights)


def _along(xs: Sequence[Any], weights: Sequence[Any]) -> float:
    pairs = [(x, c) for x, c in zip(xs, weights, strict=True) if c is not None]
    return sum(float(np.sum(np.asarray(x, float) * np.asarray(c, float))) for x, c in pairs)


_TABLES = ("interp", "map_coordinates", "searchsorted", "digitize")


def _name(event: Event) -> str:
    known = [name for name in event.calls if name in _TABLES]
    if known:
        return f"{known[0]} at a grid point"
    if event.name in _COMPARISONS:
        return "a branch that a comparison of equal numbers decides"
    return f"a lookup at a grid point ({event.name})"
