"""Why a gradient is exactly zero: where each path from the argument to the output ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.doctor.cut_words import Cut, ends_at
from jaxcalc.checking.doctor.pullback import Pullback, direction, local_pullback, push_forward
from jaxcalc.checking.doctor.tape import CONSTANT, JOIN, Event, Tape, is_zero, magnitude
from jaxcalc.checking.findings import Finding, Severity
from jaxcalc.engine.jaxprs.source import NOWHERE

_NAMED = 3  # cuts that one finding names


def zero_findings(tape: Tape, pullback: Pullback, names: Sequence[str]) -> list[Finding]:
    """A finding for each argument whose gradient is zero in every element."""
    if pullback.refused:
        return []  # what an event without a derivative would give is not known
    found = []
    reaching: set[int] | None = None
    for leaf, name in zip(tape.leaves, names, strict=True):
        if not np.size(tape.values[leaf]) or not is_zero(pullback.of_value.get(leaf)):
            continue
        reaching = tape.reaching() if reaching is None else reaching
        finding = _finding(tape, pullback, leaf, name, reaching)
        found += [] if finding is None else [finding]
    return found


def _finding(
    tape: Tape, pullback: Pullback, leaf: int, name: str, reaching: set[int]
) -> Finding | None:
    if leaf not in reaching:
        used = any(leaf in event.inputs for event in tape.events)
        why = "it is used, but nothing made of it reaches the output" if used else "it is not used"
        return Finding(
            "warning",
            "zero gradient",
            f"the output does not depend on {name}: {why}",
            "use it, or do not differentiate with respect to it.",
            argument=name,
        )
    tangents = push_forward(tape, {leaf: direction(tape.values[leaf])})
    alive = {leaf}
    ends = list(_ends(tape, pullback, alive, tangents, reaching))
    if any(tape.is_bad(event.inputs[slot]) for event, moving in ends for slot in moving):
        return None  # flat at an infinity: what made that is told
    cuts = list(dict.fromkeys(_cut(tape, event, moving, reaching) for event, moving in ends))
    cuts = [cut for cut in cuts if not cut.is_shift] or cuts
    if not cuts or _cancels(pullback, alive):
        return _underflow(tape, pullback, name, tangents) or Finding(
            "note",
            "zero gradient",
            f"the gradient with respect to {name} is zero: the parts that it is the sum of cancel",
            "this is a stationary point, or the output is the same for all values of the argument.",
            argument=name,
        )
    return _of_cuts(name, cuts)


def _cancels(pullback: Pullback, alive: set[int]) -> bool:
    """Whether cotangents that are not zero meet in one of some values, and their sum is zero."""
    return any(
        i in alive and is_zero(pullback.of_value.get(i)) and not is_zero(pulled)
        for event, each in pullback.of_operand.items()
        for i, pulled in zip(event.inputs, each, strict=True)
    )


def _underflow(
    tape: Tape, pullback: Pullback, name: str, tangents: Mapping[int, Any]
) -> Finding | None:
    """The finding where a cotangent becomes zero that would not be zero for a larger loss."""
    for event in reversed(tape.events):
        pulled = pullback.of_operand.get(event)
        if event.eqn is None or pulled is None:
            continue
        moving = [slot for slot, i in enumerate(event.inputs) if not is_zero(tangents.get(i))]
        ends = [slot for slot in moving if is_zero(pulled[slot])]
        arriving = [pullback.of_value.get(i) for i in event.outputs]
        size = max(map(magnitude, arriving), default=0.0)
        if not ends or not size:
            continue
        values = [tape.values[i] for i in event.inputs]
        larger = [None if c is None else c / jnp.asarray(size, jnp.result_type(c)) for c in arriving]
        again = local_pullback(tape, event, values, larger)
        slot = next((slot for slot in ends if not is_zero(again[slot])), None)
        if slot is not None:
            return _too_small(name, event, size, jnp.result_type(pulled[slot]))
    return None


def _too_small(name: str, event: Event, size: float, dtype: Any) -> Finding:
    return Finding(
        "warning",
        "zero gradient",
        f"the gradient with respect to {name} underflows in {event.name}: {size:.1e} arrives there, "
        f"and what it hands on is too small for {dtype}",
        "multiply the loss by a large number and divide the gradient by it (loss scaling), or use a "
        f"dtype of a wider range than {dtype}.",
        *(event.place or NOWHERE),
        name,
        event.name,
        event.step,
    )


def _of_cuts(name: str, cuts: Sequence[Cut]) -> Finding:
    """The finding for an argument whose every path ends."""
    # the condition of a dead where is no path of its own: what happens is told by the where
    is_condition = any(cut.is_flat_choice for cut in cuts)
    telling = [cut for cut in cuts if not (is_condition and cut.is_comparison)]
    worst = next((cut for cut in telling if cut.severity == "warning"), telling[0])
    severity: Severity = worst.severity
    texts = list(dict.fromkeys(cut.text for cut in (worst, *telling)))
    ends = " and ".join(texts[:_NAMED])
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    if all(cut.is_structural for cut in cuts):
        cause = f"no differentiable path from {name}: cut at {ends}{more}"
    else:
        cause = f"the gradient with respect to {name} is zero at this point: {ends}{more}"
    return Finding(
        severity,
        "zero gradient",
        cause,
        worst.advice,
        *(worst.place or NOWHERE),
        name,
        worst.operation,
        worst.step,
    )


def _cut(tape: Tape, event: Event, moving: Sequence[int], reaching: set[int]) -> Cut:
    outputs = [i for i in event.outputs if i in reaching]
    structural = event.name in CONSTANT or not any(tape.is_active[i] for i in outputs)
    return ends_at(tape, event, moving, structural=structural)


def _ends(
    tape: Tape, pullback: Pullback, alive: set[int], tangents: Mapping[int, Any], reaching: set[int]
) -> Iterator[tuple[Event, Sequence[int]]]:
    """The events at which what depends on the argument stops to change with it, by which operands.

    `alive` is the argument, to which all values are added that change with it.
    """
    for event in tape.events:
        moving = [slot for slot, i in enumerate(event.inputs) if i in alive]
        outputs = [i for i in event.outputs if i in reaching]
        if not moving or not outputs:
            continue
        if event.name == JOIN:  # an operand that decides how long or which was cut before
            moving = [slot for slot in moving if slot < len(event.outputs)]
            if not moving:
                continue
        live = [i for i in outputs if not is_zero(tangents.get(i))]
        if event.name == "custom_vjp_call" and _gives_zero(pullback, event, moving):
            live = []  # it has no tangents, but its rule is known
        alive.update(live)
        if not live and not _passes_on(event, moving, outputs):
            yield event, moving


def _gives_zero(pullback: Pullback, event: Event, moving: Sequence[int]) -> bool:
    pulled = pullback.of_operand.get(event)
    return (
        pulled is not None
        and all(is_zero(pulled[slot]) for slot in moving)
        and not all(is_zero(pullback.of_value.get(i)) for i in event.outputs)
    )


def _passes_on(event: Event, moving: Sequence[int], outputs: Sequence[int]) -> bool:
    """Whether a join's results that move are not among those that matter."""
    return event.name == JOIN and not any(event.outputs[slot] in outputs for slot in moving)
