"""Where a NaN or an infinity in the derivative of f comes from, when the value is fine there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.derivative_causes import (
    in_rule,
    is_masked,
    is_overflow,
    masked,
    why_derivative,
)
from jaxcalc.checking.doctor.forward import Forward
from jaxcalc.checking.doctor.pullback import Pullback, local_pullback
from jaxcalc.checking.doctor.refusals import refusal_findings
from jaxcalc.checking.doctor.runner import Where, run_inside
from jaxcalc.checking.doctor.sample import Sample, sample_at
from jaxcalc.checking.doctor.tape import JOIN, Event, Tape, finite, not_finite
from jaxcalc.checking.doctor.value_causes import Why
from jaxcalc.checking.doctor.values import first_maker, held_by
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.source import NOWHERE, Place

_MOST = 8  # findings of one kind
_FAR = 200  # events after an equation that are searched for the branch it is in


def derivative_findings(
    tape: Tape, pullback: Pullback, forward: Forward, names: Sequence[str]
) -> list[Finding]:
    """The first equations, in the order of the derivative, whose part in it is not finite.

    Reverse mode comes first; then what makes forward mode bad, and not reverse mode.
    """
    makers: dict[tuple[Event, int], set[str]] = {}
    for leaf, name in zip(tape.leaves, names, strict=True):
        if not_finite(pullback.of_value.get(leaf)):
            for maker in _makers(tape, pullback, leaf):
                makers.setdefault(maker, set()).add(name)
    found = []
    is_value_bad = any(tape.is_bad(i) for i in tape.outputs)
    alone = ", in reverse mode alone" if makers and forward.is_finite else ""
    for (event, slot), reached in _in_reverse(tape, makers):
        if is_value_bad and any(tape.is_bad(i) for i in (*event.inputs, *event.outputs)):
            continue  # what makes the value bad has been told
        found.append(_finding(tape, pullback, event, slot, sorted(reached), names, alone))
    told = {event for event, _ in makers}
    in_forward = [
        _finding_forward(tape, forward, event, slot, names)
        for event, slot in forward.makers()
        if event not in told
    ]
    # a chain that overflows does so in both directions, at other equations
    found += [f for f in in_forward if not (found and is_overflow(f.cause))]
    return [*_once(found)[:_MOST], *refusal_findings(tape, pullback)]


def _in_reverse(
    tape: Tape, makers: dict[tuple[Event, int], set[str]]
) -> list[tuple[tuple[Event, int], set[str]]]:
    order = {event: n for n, event in enumerate(tape.events)}
    return sorted(makers.items(), key=lambda item: -order[item[0][0]])


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each line and cause: a loop has it at every step."""
    return list({_told_once(f): f for f in reversed(findings)}.values())[::-1]


def _told_once(finding: Finding) -> tuple[Any, ...]:
    """What two findings share of which one is enough, such as the line of a branch not taken."""
    line = finding.file, finding.line
    return line if is_masked(finding.cause) else (*line, finding.operation, finding.cause)


def _makers(tape: Tape, pullback: Pullback, leaf: int) -> list[tuple[Event, int]]:
    """The events that give something bad to an operand while nothing bad arrives at their results."""
    uses = tape.uses()
    found: list[tuple[Event, int]] = []
    waiting, seen = [leaf], {leaf}
    while waiting:
        number = waiting.pop()
        for event, slot in uses.get(number, ()):
            pulled = pullback.of_operand.get(event)
            if pulled is None or not not_finite(pulled[slot]):
                continue
            before = _arrived(pullback, event, slot, pulled[slot])
            if not before:
                found.append((event, slot))
            for i in before:
                if i not in seen:
                    seen.add(i)
                    waiting.append(i)
    return found


def _arrived(pullback: Pullback, event: Event, slot: int, pulled: Any) -> list[int]:
    """The results with a bad cotangent that makes the operand's one bad."""
    if event.name == JOIN:
        return [event.outputs[slot]]
    bad = [i for i in event.outputs if not_finite(pullback.of_value.get(i))]
    where = ~finite(pulled)
    found = []
    for i in bad:
        there = ~finite(pullback.of_value[i])
        if there.shape == where.shape and event.name in _ELEMENTWISE and not (there & where).any():
            continue
        found.append(i)
    return found


_BINARY = frozenset({"mul", "div", "pow", "atan2"})
_ELEMENTWISE = frozenset(
    {"add", "sub", "mul", "div", "neg", "exp", "log", "log2", "sqrt", "rsqrt", "select_n", "pow",
     "integer_pow", "square", "tanh", "logistic", "sin", "cos", "abs", "max", "min",
     "convert_element_type"}
)  # fmt: skip


def _finding(
    tape: Tape,
    pullback: Pullback,
    event: Event,
    slot: int,
    reached: Sequence[str],
    names: Sequence[str],
    alone: str,
) -> Finding:
    bad = _bad_elements(tape, pullback, event, slot)
    sample = sample_at(tape, event, bad)
    why, place = _explained(tape, event, slot, sample, names)
    arriving = [pullback.of_value.get(i) for i in event.outputs]
    if _is_zero_at(arriving, bad, sample.index):
        branch = _branch(tape, event)
        if branch is not None:
            why = masked(why, branch)
    some = f"{', '.join(reached[:3])}{', ...' if len(reached) > 3 else ''}"
    return Finding(
        "error",
        "derivative",
        f"{why.cause} (derivative with respect to {some}{alone})",
        why.advice,
        *(place or NOWHERE),
        reached[0] if len(reached) == 1 else "",
        event.name,
        event.step,
    )


def _bad_elements(tape: Tape, pullback: Pullback, event: Event, slot: int) -> np.ndarray:
    """Where the cotangent for an operand is not finite; of a number beside an array, its parts."""
    shape = np.shape(tape.values[event.outputs[0]])
    if event.name in _BINARY and shape != np.shape(tape.values[event.inputs[slot]]):
        values = [jnp.broadcast_to(tape.values[i], shape) for i in event.inputs]
        arriving = [pullback.of_value.get(i) for i in event.outputs]
        parts = ~finite(local_pullback(tape, event, values, arriving)[slot])
        if parts.any():
            return parts
    return ~finite(pullback.of_operand[event][slot])


def _finding_forward(
    tape: Tape, forward: Forward, event: Event, slot: int, names: Sequence[str]
) -> Finding:
    """The finding for an event whose tangent is bad, while its cotangent reaches no argument."""
    tangents = forward.tangents
    number = next(i for i in event.outputs if not_finite(tangents.get(i)))
    sample = sample_at(tape, event, ~finite(tangents[number]))
    why, place = _explained(tape, event, slot, sample, names)
    zero = ", and times a tangent of zero it is NaN" if _is_nan(tangents[number]) else ""
    return Finding(
        "error",
        "derivative",
        f"{why.cause}{zero} (in forward mode alone; no cotangent carries it back to an argument)",
        f"{why.advice.rstrip('.')}; or differentiate in reverse, as jaxcalc.gradient does.",
        *(place or NOWHERE),
        "",
        event.name,
        event.step,
    )


def _is_nan(x: Any) -> bool:
    return bool(np.isnan(np.asarray(x)).any())


def _explained(
    tape: Tape, event: Event, slot: int, sample: Sample, names: Sequence[str]
) -> tuple[Why, Place | None]:
    """Why the derivative of an event is not finite at an element, and where."""
    if not any(tape.is_bad(i) for i in tape.outputs):
        origin = _origin(tape, event, names)
        if origin is not None:
            return origin
    if event.name in {"custom_jvp_call", "custom_vjp_call"}:
        inside = _inside_rule(tape, event)
        if inside is not None:
            return in_rule(event, inside[0]), inside[1]
    return why_derivative(tape, event, slot, sample), event.place


def _origin(tape: Tape, event: Event, names: Sequence[str]) -> tuple[Why, Place | None] | None:
    """What made the operands of an event bad before, though the output is finite."""
    bad = [i for i in event.inputs if tape.is_bad(i)]
    data = held_by(tape, bad, names)
    if data is not None:
        return data, event.place
    made = first_maker(tape, bad)
    if made is None:
        return None
    why, place = made
    return Why(f"{why.cause}, and then {event.name} has no finite derivative", why.advice), place


def _is_zero_at(cotangents: Sequence[Any], bad: np.ndarray, index: tuple[int, ...]) -> bool:
    """Whether the cotangent that arrives is zero at an element: only a branch not taken reads it."""
    for c in cotangents:
        if c is None:
            continue
        array = np.asarray(c)
        if array.shape == bad.shape and array[index] == 0:
            return True
        if array.shape != bad.shape and not array.any():
            return True
    return False


def _branch(tape: Tape, event: Event) -> str | None:
    """The selection that what an event makes goes into, such as "`where` (model.py:4)"."""
    start = tape.events.index(event)
    reached = set(event.outputs)
    for later in tape.events[start + 1 : start + 1 + _FAR]:
        if reached.isdisjoint(later.inputs):
            continue
        if later.name == "select_n":
            return f"where ({later.place})" if later.place else "where"
        reached.update(later.outputs)
    return None


def _inside_rule(tape: Tape, event: Event) -> tuple[Why, Place | None] | None:
    """The equation in a custom rule that makes the NaN, where one does so by its values."""
    if event.eqn is None:
        return None
    values = [tape.values[i] for i in event.inputs]
    active = [s for s, i in enumerate(event.inputs) if tape.is_active[i]]

    def rule(*xs: Any) -> Any:
        def call(*chosen: Any) -> Any:
            operands = list(values)
            for s, x in zip(active, chosen, strict=True):
                operands[s] = x
            return equations.bind(event.eqn, operands)  # type: ignore[arg-type]

        if event.name == "custom_jvp_call":
            return jax.jvp(call, xs, tuple(jnp.ones_like(x) for x in xs))
        outputs, back = jax.vjp(call, *xs)
        return back([jnp.ones_like(y) for y in outputs])

    chosen = [values[s] for s in active]
    inside = run_inside(
        jax.make_jaxpr(rule)(*chosen), chosen, Where(event.place, event.calls, event.step)
    )
    return first_maker(inside, inside.outputs)
