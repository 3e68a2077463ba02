"""A linear program as a flat list of steps: calls inlined, static values folded, dead steps dropped.

The steps fall apart into the *primal pass*, which depends on the inputs alone and computes every
coefficient once, and the *tangent pass*, which is linear in the tangents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jaxcalc.engine.jaxprs import bodies, dataflow, equations, fold, fold_indices
from jaxcalc.engine.jaxprs.fold import Static
from jaxcalc.engine.jaxprs.fold_loops import constant_outputs
from jaxcalc.engine.jaxprs.source import source_place


class Slot:
    """A value that is known when the program runs; `is_tangent` says that it depends on a tangent."""

    __slots__ = ("aval", "is_tangent")

    def __init__(self, aval: Any, *, is_tangent: bool) -> None:
        self.aval = aval
        self.is_tangent = is_tangent


Atom = Slot | Static


@dataclass(frozen=True)
class Step:
    """One equation with its operands and results; `calls` are those that it is in, outermost first."""

    eqn: JaxprEqn
    inputs: tuple[Atom, ...]
    outputs: tuple[Slot, ...]
    calls: tuple[JaxprEqn, ...] = ()

    @property
    def line(self) -> str:
        """The user's line, as `file.py:12`; empty where JAX does not know it."""
        place = None
        for eqn in (*self.calls, self.eqn):
            place = source_place(eqn, place)
        return "" if place is None else str(place)


@dataclass
class Program:
    """Steps in order; `captured` are the slots of tracers that f closes over, with their values.

    `finite` are the tangents that are taken to be finite, because an equation asks whether they are;
    None where they are not taken to be, and such an equation is one like any other.
    """

    inputs: list[Slot]
    tangents: list[Slot]
    outputs: list[Atom] = field(default_factory=list)
    primal: list[Step] = field(default_factory=list)
    tangent: list[Step] = field(default_factory=list)
    captured: list[tuple[Slot, Any]] = field(default_factory=list)
    joined: dict[Atom, tuple[Atom, ...]] = field(default_factory=dict)  # the columns of index arrays
    finite: list[Atom] | None = None
    _late: set[Slot] = field(default_factory=set)  # what the tangent pass computes

    def add(self, step: Step) -> None:
        """Append a step to the pass that it belongs to."""
        late = any(isinstance(x, Slot) and (x.is_tangent or x in self._late) for x in step.inputs)
        if late:
            self._late.update(step.outputs)
        (self.tangent if late else self.primal).append(step)

    def prune(self, needed: Sequence[Atom]) -> None:
        """Drop the steps that nothing needs, unless they have an effect."""
        self.tangent = self.live(self.tangent, needed)
        self.primal = self.live(self.primal, [*needed, *self.residuals(needed)])

    @staticmethod
    def live(steps: list[Step], needed: Sequence[Atom]) -> list[Step]:
        """The steps that `needed` takes, and those that have an effect."""
        live = {atom for atom in needed if isinstance(atom, Slot)}
        kept = []
        for step in reversed(steps):
            if step.eqn.effects or not live.isdisjoint(step.outputs):
                live.update(atom for atom in step.inputs if isinstance(atom, Slot))
                kept.append(step)
        return kept[::-1]

    def residuals(self, wanted: Sequence[Atom]) -> list[Slot]:
        """The primal values that the tangent pass reads, and those that it is wanted to return.

        A backward rule that ignores its cotangent returns such a value.
        """
        made = {slot for step in self.tangent for slot in step.outputs} | set(self.tangents)
        read = [atom for step in self.tangent for atom in step.inputs]
        slots = [atom for atom in (*read, *wanted) if isinstance(atom, Slot)]
        return [slot for slot in dict.fromkeys(slots) if slot not in made]


def flatten(closed: ClosedJaxpr, tangent_count: int) -> Program:
    """The program of a jaxpr whose last `tangent_count` inputs are tangents."""
    variables = closed.jaxpr.invars
    first_tangent = len(variables) - tangent_count
    slots = [Slot(v.aval, is_tangent=i >= first_tangent) for i, v in enumerate(variables)]
    program = Program(slots[:first_tangent], slots[first_tangent:])
    program.outputs = _inline(program, closed, slots)
    return program


def flatten_call(
    closed: ClosedJaxpr, arguments: Sequence[Atom], *, are_finite: bool = False
) -> Program:
    """The program of a jaxpr with these arguments, each static, primal or tangent.

    With `are_finite`, what asks whether a tangent is finite is told that it is.
    """
    slots = [x for x in arguments if isinstance(x, Slot)]
    program = Program([x for x in slots if not x.is_tangent], [x for x in slots if x.is_tangent])
    program.finite = [] if are_finite else None
    program.outputs = _inline(program, closed, arguments)
    program.prune([*program.outputs, *(program.finite or [])])
    return program


def _inline(
    program: Program,
    closed: ClosedJaxpr,
    arguments: Sequence[Atom],
    calls: tuple[JaxprEqn, ...] = (),
) -> list[Atom]:
    jaxpr = closed.jaxpr
    environment: dict[Any, Atom] = dict(zip(jaxpr.invars, arguments, strict=True))
    for v, value in zip(jaxpr.constvars, closed.consts, strict=True):
        environment[v] = _captured(program, v.aval, value)

    def read(v: Any) -> Atom:
        return fold.constant(v.aval, v.val) if isinstance(v, Literal) else environment[v]

    for eqn in jaxpr.eqns:
        for part in _separated(eqn, [read(v) for v in eqn.invars]):
            results = _equation(program, part, [read(v) for v in part.invars], calls)
            environment.update(zip(part.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _separated(eqn: JaxprEqn, inputs: Sequence[Atom]) -> list[JaxprEqn]:
    """An equation, or one for each operand where one that is no tangent would pass for one."""
    tangents = sum(isinstance(atom, Slot) and atom.is_tangent for atom in inputs)
    return bodies.one_by_one(eqn) if 0 < tangents < len(inputs) else [eqn]


def _captured(program: Program, aval: Any, value: Any) -> Atom:
    """A closed-over constant is static, unless an outer transformation traces it."""
    if not isinstance(value, jax.core.Tracer):
        return fold.constant(aval, value)
    for slot, known in program.captured:
        if known is value:
            return slot
    slot = Slot(aval, is_tangent=False)
    program.captured.append((slot, value))
    return slot


def _equation(
    program: Program, eqn: JaxprEqn, inputs: list[Atom], calls: tuple[JaxprEqn, ...]
) -> Sequence[Atom]:
    inside = (*calls, eqn)
    depends = [isinstance(atom, Slot) and atom.is_tangent for atom in inputs]
    inner = equations.called(eqn)
    if inner is not None:
        return _inline(program, inner, inputs, inside)
    if eqn.primitive.name == "cond" and isinstance(inputs[0], Static):  # the branch is known
        branches = equations.branches(eqn)
        taken = int(np.clip(np.asarray(inputs[0].array), 0, len(branches) - 1))
        return _inline(program, branches[taken], inputs[1:], inside)
    decided = _decided(program, eqn, inputs)
    if decided is not None:
        return decided
    is_solve = eqn.primitive.name == "custom_linear_solve"
    linear = equations.linear_map(eqn) if any(depends) and not is_solve else None
    if linear is not None:
        return _inline(program, linear.program, [inputs[i] for i in linear.operands], inside)
    if any(depends) and inputs[1:2] and inputs[1] in program.joined:
        split = fold_indices.by_row(eqn, program.joined[inputs[1]])
        if split is not None:
            columns = [x for x in program.joined[inputs[1]] if x is not split.counted]
            return _inline(program, split.program, [inputs[0], *columns, *inputs[2:]], inside)
    flags = outputs_depend(eqn, depends) if any(depends) else [False] * len(eqn.outvars)
    slots = [Slot(v.aval, is_tangent=on) for v, on in zip(eqn.outvars, flags, strict=True)]
    program.add(Step(eqn, tuple(inputs), tuple(slots), calls))
    if fold_indices.joins_columns(eqn):
        program.joined[slots[0]] = tuple(inputs)
    known = constant_outputs(eqn, inputs)
    return [known.get(i, slot) for i, slot in enumerate(slots)]


def _decided(program: Program, eqn: JaxprEqn, inputs: list[Atom]) -> list[Static] | None:
    """The outputs of an equation where they are known now."""
    known = [atom for atom in inputs if isinstance(atom, Static)]
    if len(known) == len(inputs):
        return None if eqn.effects else fold.outputs(eqn, known)
    if eqn.primitive.name != "is_finite" or program.finite is None:
        return None
    (asked,) = inputs
    if not (isinstance(asked, Slot) and asked.is_tangent):
        return None
    program.finite.append(asked)
    aval = equations.output(eqn)
    return [fold.constant(aval, np.broadcast_to(np.True_, aval.shape))]


def outputs_depend(eqn: JaxprEqn, inputs: Sequence[bool]) -> list[bool]:
    """Which outputs of an equation depend on the inputs that are marked."""
    bodies: dict[str, Callable[[JaxprEqn, Sequence[bool]], list[bool]]] = {
        "scan": _scan_depends,
        "while": _while_depends,
        "cond": _cond_depends,
    }
    if eqn.primitive.name in bodies:
        return bodies[eqn.primitive.name](eqn, inputs)
    return [any(inputs) and equations.is_inexact(v.aval) for v in eqn.outvars]


def jaxpr_depends(jaxpr: Jaxpr, inputs: Sequence[bool]) -> list[bool]:
    """Which outputs of a program depend on the inputs that are marked."""

    def of_equation(eqn: JaxprEqn, flags: list[bool]) -> list[bool]:
        inner = equations.called(eqn)
        return outputs_depend(eqn, flags) if inner is None else jaxpr_depends(inner.jaxpr, flags)

    return dataflow.forward(jaxpr, inputs, of_equation)


def _scan_depends(eqn: JaxprEqn, inputs: Sequence[bool]) -> list[bool]:
    scan = equations.scan(eqn)
    carry = slice(scan.consts, scan.consts + scan.carry)
    return dataflow.repeated(partial(jaxpr_depends, scan.body.jaxpr), inputs, carry)


def _while_depends(eqn: JaxprEqn, inputs: Sequence[bool]) -> list[bool]:
    loop = equations.while_loop(eqn)
    inside = inputs[loop.condition_consts :]
    carry = slice(loop.body_consts, len(inside))
    return dataflow.repeated(partial(jaxpr_depends, loop.body.jaxpr), inside, carry)


def _cond_depends(eqn: JaxprEqn, inputs: Sequence[bool]) -> list[bool]:
    return dataflow.any_of(
        jaxpr_depends(branch.jaxpr, inputs[1:]) for branch in equations.branches(eqn)
    )
