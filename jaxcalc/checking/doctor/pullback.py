"""The derivative of f, event by event: cotangents backward, tangents forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor import refs
from jaxcalc.checking.doctor.tape import CONSTANT, GATHER_STEPS, JOIN, SPLIT, Event, Tape
from jaxcalc.engine.jaxprs import equations

_REFUSING = frozenset({"io_callback"})  # these are not differentiated even if nothing is read of them
_OFTEN = 8  # runs of an equation from which on its derivative is compiled


@dataclass
class Pullback:
    """Every cotangent of one evaluation.

    Attributes:
        of_value: the cotangent of each value, by number; None where none arrived.
        of_operand: for each event, the cotangent that it gives each operand, None where it gives none.
        refused: events that JAX has no derivative for, with what it says.
    """

    of_value: dict[int, Any] = field(default_factory=dict)
    of_operand: dict[Event, Sequence[Any]] = field(default_factory=dict)
    refused: dict[Event, str] = field(default_factory=dict)


def pull_back(tape: Tape, seeds: Mapping[int, Any]) -> Pullback:
    """The cotangents of all values, for those of the outputs.

    As in JAX, what no cotangent arrives at stays without one, and an event without cotangents is
    skipped; loops and branches put zeros in the place of those that are missing.
    """
    found = Pullback(dict(seeds))
    often = Counter(id(event.eqn) for event in tape.events if event.eqn is not None)
    compiled: dict[Any, Callable[..., Any]] = {}
    for event in reversed(tape.events):
        if event.name in _REFUSING and any(tape.is_active[i] for i in event.inputs):
            found.refused[event] = (
                f"{event.name} is a call out of JAX, whether its result is used or not"
            )
            continue
        cotangents = [found.of_value.get(i) for i in event.outputs]
        if all(c is None for c in cotangents) or not any(tape.is_active[i] for i in event.outputs):
            continue
        try:
            pulled = _pulled(tape, event, cotangents, often, compiled)
        except (TypeError, ValueError, NotImplementedError) as error:
            found.refused[event] = str(error).split("\n", maxsplit=1)[0]
            continue
        except RuntimeError as error:  # an operation of a package that refuses what arrives
            if any(c is not None and np.any(c) for c in cotangents):
                found.refused[event] = str(error).split("\n", maxsplit=1)[0]
            continue
        except AttributeError:  # JAX up to 0.12: a constant written into an array that has a cotangent
            if event.name not in refs.WRITES:
                raise
            found.refused[event] = refs.REFUSED
            continue
        found.of_operand[event] = pulled
        for number, cotangent in zip(event.inputs, pulled, strict=True):
            if cotangent is not None:
                before = found.of_value.get(number)
                found.of_value[number] = cotangent if before is None else before + cotangent
    return found


def _pulled(
    tape: Tape,
    event: Event,
    cotangents: Sequence[Any],
    often: Counter[int],
    compiled: dict[Any, Callable[..., Any]],
) -> Sequence[Any]:
    """What one event gives its operands."""
    if event.name == JOIN:
        results = zip(event.outputs, cotangents, strict=True)
        deciding = len(event.inputs) - len(event.outputs)
        return [*(_filled(tape, i, c) for i, c in results), *[None] * deciding]
    if event.name == SPLIT:
        parts = [
            np.asarray(_filled(tape, i, c)) for i, c in zip(event.outputs, cotangents, strict=True)
        ]
        return [jnp.asarray(np.stack(parts[::-1] if event.axis_reversed else parts))]
    if event.name == GATHER_STEPS:
        parts = list(np.asarray(cotangents[0]))
        return parts[::-1] if event.axis_reversed else parts
    assert event.eqn is not None
    active = tuple(slot for slot, i in enumerate(event.inputs) if tape.is_active[i])
    used = tuple(k for k, c in enumerate(cotangents) if c is not None)
    values = [tape.values[i] for i in event.inputs]
    key = id(event.eqn), active, used
    if key not in compiled:
        function = _local(event, active, used)
        compiled[key] = jax.jit(function) if often[id(event.eqn)] >= _OFTEN else function
    results = iter(compiled[key](values, [cotangents[k] for k in used]))
    return [next(results) if slot in active else None for slot in range(len(event.inputs))]


def _filled(tape: Tape, number: int, cotangent: Any) -> Any:
    if cotangent is not None or not tape.is_active[number]:
        return cotangent
    return jnp.zeros_like(tape.values[number])


def _local(event: Event, active: Sequence[int], used: Sequence[int]) -> Callable[..., list[Any]]:
    """The derivative of one equation: (operands, cotangents of `used`) to cotangents of `active`."""

    def pull(values: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        function = _function(event, values, active, used)
        outputs, back = jax.vjp(function, *(values[slot] for slot in active))
        return list(back([jnp.asarray(c, y.dtype) for c, y in zip(cotangents, outputs, strict=True)]))

    return pull


def _function(
    event: Event, values: Sequence[Any], active: Sequence[int], used: Sequence[int]
) -> Callable[..., list[Any]]:
    """One equation as a function of its active operands, to the outputs that count."""

    def call(*chosen: Any) -> list[Any]:
        operands = list(values)
        for slot, value in zip(active, chosen, strict=True):
            operands[slot] = value
        assert event.eqn is not None
        outputs = equations.bind(event.eqn, operands)
        return [outputs[k] for k in used]

    return call


def local_pullback(
    tape: Tape, event: Event, values: Sequence[Any], cotangents: Sequence[Any]
) -> Sequence[Any]:
    """What an event would give its active operands at other values; None for the other operands."""
    active = tuple(slot for slot, i in enumerate(event.inputs) if tape.is_active[i])
    used = tuple(k for k, c in enumerate(cotangents) if c is not None)
    pulled = iter(_local(event, active, used)(values, [cotangents[k] for k in used]))
    return [next(pulled) if slot in active else None for slot in range(len(event.inputs))]


def push_forward(
    tape: Tape,
    seeds: Mapping[int, Any],
    chosen: Mapping[Event, tuple[np.ndarray, int]] | None = None,
    refused: list[Event] | None = None,
) -> dict[int, Any]:
    """The tangents of all values that depend on `seeds`, by number.

    `chosen` has selections take another operand at some elements than the one that they take. Events
    without a forward mode are put into `refused`; their tangents are ones.
    """
    found = dict(seeds)
    for event in tape.events:
        if not any(i in found for i in event.inputs) or event.name in CONSTANT:
            continue
        if not any(tape.is_active[i] for i in event.outputs):
            continue
        try:
            pushed = _pushed(tape, event, found)
        except (TypeError, ValueError, NotImplementedError):  # no forward mode
            if refused is not None:
                refused.append(event)
            pushed = [jnp.ones_like(tape.values[i]) for i in event.outputs]
        if chosen is not None and event in chosen:
            mask, slot = chosen[event]
            other = _tangent(tape, event.inputs[slot], found)
            pushed = [jnp.where(mask, jnp.asarray(other), pushed[0])]
        found.update({i: t for i, t in zip(event.outputs, pushed, strict=True) if tape.is_active[i]})
    return found


def direction(value: Any, seed: int = 0) -> Any:
    """A tangent for a value without symmetries, so that nothing cancels by accident."""
    drawn = np.random.default_rng(seed).uniform(0.5, 1.5, np.shape(value))
    return jnp.asarray(drawn, jnp.result_type(value))


def _pushed(tape: Tape, event: Event, tangents: Mapping[int, Any]) -> Sequence[Any]:
    if event.name == JOIN:
        inputs = event.inputs[: len(event.outputs)]
        return [_tangent(tape, i, tangents) for i in inputs]
    if event.name == SPLIT:
        parts = list(np.asarray(tangents[event.inputs[0]]))
        return parts[::-1] if event.axis_reversed else parts
    if event.name == GATHER_STEPS:
        parts = [np.asarray(_tangent(tape, i, tangents)) for i in event.inputs]
        return [jnp.asarray(np.stack(parts[::-1] if event.axis_reversed else parts))]
    active = [s for s, i in enumerate(event.inputs) if i in tangents]
    values = [tape.values[i] for i in event.inputs]
    function = _function(event, values, active, range(len(event.outputs)))
    primals = [values[s] for s in active]
    given = [jnp.asarray(tangents[event.inputs[s]], jnp.result_type(values[s])) for s in active]
    return list(jax.jvp(function, tuple(primals), tuple(given))[1])


def _tangent(tape: Tape, number: int, tangents: Mapping[int, Any]) -> Any:
    value = tape.values[number]
    return tangents[number] if number in tangents else jnp.zeros_like(value)
