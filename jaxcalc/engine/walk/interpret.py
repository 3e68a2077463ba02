"""The walk: the tangent pass of a linear program, run on structured tangents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxcalc.engine.jaxprs import equations, fold
from jaxcalc.engine.jaxprs.fold import Static
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.rules import implementation, registry
from jaxcalc.engine.rules.registry import Context
from jaxcalc.engine.tangents.entries import TooDenseError
from jaxcalc.engine.tangents.lanes import Lanes, seed
from jaxcalc.engine.tangents.products import on_lanes
from jaxcalc.engine.walk import entries
from jaxcalc.engine.walk.control_flow import HANDLERS, Run
from jaxcalc.engine.walk.fallback import dense_fallback
from jaxcalc.engine.walk.linearity import (
    NotLinearError,
    NotZeroError,
    is_tangent_or_zero,
    require_linear,
)
from jaxcalc.engine.walk.program import Atom, Slot, Step, flatten_call

__all__ = ["TooDenseError", "run_primal", "walk"]


def run_primal(steps: Sequence[Step], values: Mapping[Slot, Any], wanted: Sequence[Atom]) -> list[Any]:
    """Evaluate the primal pass; each value is dropped after its last use."""
    environment = dict(values)
    uses = _uses(steps, wanted)
    for step in steps:
        outputs = equations.bind(step.eqn, [fold.operand(_read(environment, x)) for x in step.inputs])
        environment.update(zip(step.outputs, outputs, strict=True))
        _release(environment, step, uses)
    return [_read(environment, x) for x in wanted]


def walk(
    context: Context,
    steps: Sequence[Step],
    values: Mapping[Slot, Any],
    wanted: Sequence[Atom],
    observe: Callable[[Step, Sequence[Any]], None] | None = None,
) -> list[Lanes]:
    """Run the tangent pass on `values`, residuals and structured tangents, and return `wanted`.

    `observe` is shown each step and its results.
    """
    found = _evaluate(context, steps, values, wanted, observe)
    for x in found:
        if not (context.is_trusted or is_tangent_or_zero(x)):
            raise NotLinearError("one of the results does not depend on the tangents")
    return [_as_lanes(x, atom) for x, atom in zip(found, wanted, strict=True)]


def identity(tangents: Sequence[Slot]) -> dict[Slot, Lanes]:
    """A seed for each tangent, its elements numbered on from those before."""
    total = sum(prod(slot.aval.shape) for slot in tangents)
    index_dtype = np.int32 if total < 2**31 else np.int64
    seeds, offset = {}, 0
    for slot in tangents:
        seeds[slot] = seed(tuple(slot.aval.shape), slot.aval.dtype, offset, index_dtype)
        offset += seeds[slot].size
    return seeds


def apply(context: Context, closed: ClosedJaxpr, operands: Sequence[Any]) -> list[Any]:
    """Run a program on structured tangents, traced arrays and known ones: the body of a loop, say."""
    return _apply(context, closed, operands, are_finite=False)[0]


def _apply(
    context: Context, closed: ClosedJaxpr, operands: Sequence[Any], *, are_finite: bool
) -> tuple[list[Any], list[tuple[Any, Any]]]:
    """What a program returns, and the tangents that have to be finite for that, with their types."""
    arguments: list[Atom] = []
    values: dict[Slot, Any] = {}
    for variable, x in zip(closed.jaxpr.invars, operands, strict=True):
        is_tangent = isinstance(x, Lanes)
        if is_tangent or isinstance(x, jax.core.Tracer):
            slot = Slot(variable.aval, is_tangent=is_tangent)
            arguments.append(slot)
            values[slot] = x
        else:
            arguments.append(fold.constant(variable.aval, x))
    program = flatten_call(closed, arguments, are_finite=are_finite)
    values |= dict(program.captured)
    finite = list(dict.fromkeys(program.finite or []))
    steps = [*program.primal, *program.tangent]
    found = _evaluate(context, steps, values, [*program.outputs, *finite], None)
    count = len(program.outputs)
    return found[:count], [(x, atom.aval) for x, atom in zip(found[count:], finite, strict=True)]


def _evaluate(
    context: Context,
    steps: Sequence[Step],
    values: Mapping[Slot, Any],
    wanted: Sequence[Atom],
    observe: Callable[[Step, Sequence[Any]], None] | None,
) -> list[Any]:
    environment = dict(values)
    uses = _uses(steps, wanted)
    for step in steps:
        outputs = _step(context, step, [_read(environment, x) for x in step.inputs])
        if observe is not None:
            observe(step, outputs)
        environment.update(zip(step.outputs, outputs, strict=True))
        _release(environment, step, uses)
    return [_read(environment, x) for x in wanted]


def _step(context: Context, step: Step, operands: list[Any]) -> Sequence[Any]:
    tangents = [x for x in operands if isinstance(x, Lanes)]
    if not tangents:
        return equations.bind(step.eqn, [fold.operand(x) for x in operands])
    name = step.eqn.primitive.name
    handler, rule = HANDLERS.get(name), registry.find(name)
    has_rule = handler is not None or rule is not None
    followed = None if has_rule else _implementation(context, step, operands)
    if followed is not None:
        return followed
    require_linear(step.eqn, operands, has_rule=has_rule, is_trusted=context.is_trusted)
    if all(x.is_zero for x in tangents) and all(s.is_tangent for s in step.outputs):
        return [_zero(slot) for slot in step.outputs]
    if all(s.is_tangent and 0 in s.aval.shape for s in step.outputs):
        return [_zero(slot) for slot in step.outputs]
    limit = context.entry_limit
    try:
        if rule is not None:
            outputs: Sequence[Any] = entries.applied(rule, step.eqn, operands, limit)
        else:
            regular = [on_lanes(x, limit) if isinstance(x, Lanes) else x for x in operands]
            if handler is None:
                return dense_fallback(context, step, regular)
            outputs = handler(Run(partial(apply, context), context.is_trusted), step, regular)
    except NotZeroError as error:
        raise NotLinearError(f"{named_with_line(step.eqn)} is not linear: {error}") from None
    except TooDenseError as error:
        raise TooDenseError(f"{named_with_line(step.eqn)} makes a value with {error}") from None
    if any(x.stored > limit for x in outputs if isinstance(x, Lanes)):
        raise TooDenseError(f"{named_with_line(step.eqn)} makes a value with more than {limit} entries")
    return outputs


def _implementation(context: Context, step: Step, operands: Sequence[Any]) -> list[Any] | None:
    """The results of what a primitive is defined by; None where that cannot be followed."""
    program = implementation.program(context, step.eqn)
    if program is None:
        return None
    inner = context.inside_of(step.eqn.primitive)
    run = Run(partial(apply, inner), inner.is_trusted)
    try:
        found, asked = _apply(inner, program, operands, are_finite=True)
        results = [
            run.tangent(x, slot.aval) if slot.is_tangent else x
            for x, slot in zip(found, step.outputs, strict=True)
        ]
        finite = [run.tangent(x, aval) for x, aval in asked]
    except NotLinearError:
        return None
    context.fallbacks.extend(inner.fallbacks)
    return implementation.where_finite(step.eqn, operands, finite, results)


def _read(environment: Mapping[Slot, Any], atom: Atom) -> Any:
    return atom.array if isinstance(atom, Static) else environment[atom]


def _as_lanes(value: Any, atom: Atom) -> Lanes:
    # what does not depend on the tangents is zero in a linear program
    return value if isinstance(value, Lanes) else _zero(atom)


def _zero(atom: Atom) -> Lanes:
    return Lanes(atom.aval.shape, np.dtype(atom.aval.dtype))


def _uses(steps: Sequence[Step], wanted: Sequence[Atom]) -> Counter[Atom]:
    return Counter([*(x for step in steps for x in step.inputs), *wanted])


def _release(environment: dict[Slot, Any], step: Step, uses: Counter[Atom]) -> None:
    for atom in step.inputs:
        uses[atom] -= 1
    for atom in (*step.inputs, *step.outputs):
        if isinstance(atom, Slot) and not uses[atom]:
            environment.pop(atom, None)
