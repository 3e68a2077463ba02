"""f evaluated equation by equation, into calls, loops and the branches that are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

from jaxcalc.checking.doctor import refs
from jaxcalc.checking.doctor.tape import GATHER_STEPS, JOIN, SPLIT, Event, Tape, is_key
from jaxcalc.engine.jaxprs import bodies, equations
from jaxcalc.engine.jaxprs.source import Place, source_place
from jaxcalc.heuristics import heuristics


@dataclass(frozen=True)
class Where:
    """Where an equation is: in whose call, and at which step of a loop."""

    place: Place | None = None
    calls: tuple[str, ...] = ()
    step: str = ""


@dataclass
class Runner:
    """Evaluates programs on a tape.

    Attributes:
        tape: what is written.
        budget: how many more equations of loops may be run one by one.
        contents: for each mutable array, by its number, the number of what it holds.
    """

    tape: Tape = field(default_factory=Tape)
    budget: int = field(default_factory=lambda: heuristics().most_diagnosed_equations)
    contents: dict[int, int] = field(default_factory=dict)
    _pure: dict[int, JaxprEqn] = field(default_factory=dict)  # by the id of the equation

    def start(self, closed: ClosedJaxpr, leaves: Sequence[Any]) -> Tape:
        """Evaluate a program whose inputs are the leaves to differentiate with respect to."""
        tape = self.tape
        tape.leaves = [tape.add(x, active=True) for x in leaves]
        tape.outputs = self.run(closed, tape.leaves, Where())
        return tape

    def run(self, closed: ClosedJaxpr, operands: Sequence[int], where: Where) -> list[int]:
        """The numbers of the results of a program, for the numbers of its operands."""
        jaxpr = closed.jaxpr
        known = [self._constant(x) for x in closed.consts]
        numbers: dict[Any, int] = dict(zip(jaxpr.constvars, known, strict=True))
        numbers.update(zip(jaxpr.invars, operands, strict=True))

        def number(v: Any) -> int:
            return self.tape.constant(v.val) if isinstance(v, Literal) else numbers[v]

        for eqn in jaxpr.eqns:
            results = self._equation(eqn, [number(v) for v in eqn.invars], where)
            numbers.update(zip(eqn.outvars, results, strict=True))
        return [number(v) for v in jaxpr.outvars]

    def _equation(self, eqn: JaxprEqn, operands: list[int], where: Where) -> Sequence[int]:
        place = source_place(eqn, where.place)
        here = Where(place, where.calls, where.step)
        called = equations.called(eqn)
        if called is not None:
            name = bodies.name(eqn).lstrip("_")
            return self.run(called, operands, Where(place, (*where.calls, name), where.step))
        match eqn.primitive.name:
            case "scan" if self._affords(eqn, equations.scan(eqn).options["length"]):
                return self._scan(eqn, operands, here)
            case "while" if self.budget > 0:
                return self._while(eqn, operands, here)
            case "cond":
                return self._cond(eqn, operands, here)
        event = Event(eqn.primitive.name, eqn, tuple(operands), (), place, where.calls, where.step)
        if event.name in {"scan", "while"}:
            self.tape.cut_short.append(event)
        if event.name in {refs.MAKES, refs.HANDS_OUT, refs.ENDS} or any(
            i in self.contents for i in operands
        ):
            return self._mutable(event, eqn)
        values = [self.tape.values[i] for i in operands]
        return self.tape.record(event, equations.bind(eqn, values))

    def _constant(self, x: Any) -> int:
        if not isinstance(x, jax.ref.Ref):
            return self.tape.constant(x)
        return self._holder(self.tape.constant(x[...]))

    def _holder(self, content: int) -> int:
        """The number of a mutable array that holds a value."""
        number = self.tape.constant(np.zeros(0, bool))
        self.contents[number] = content
        return number

    def _mutable(self, event: Event, eqn: JaxprEqn) -> Sequence[int]:
        """An equation with mutable arrays: an event that reads and makes what these hold."""
        held = [i for i in event.inputs if i in self.contents]
        if event.name == refs.MAKES:
            return [self._holder(event.inputs[0])]
        if event.name == refs.HANDS_OUT:
            return [self.contents[event.inputs[0]]]
        if event.name == refs.ENDS:
            return []
        mutable = [i in self.contents for i in event.inputs]
        event.inputs = tuple(self.contents.get(i, i) for i in event.inputs)
        values = [self.tape.values[i] for i in event.inputs]
        if id(eqn) not in self._pure:
            self._pure[id(eqn)] = refs.pure(eqn, values, mutable)
        event.eqn = self._pure[id(eqn)]
        results = self.tape.record(event, equations.bind(event.eqn, values))
        self.contents.update(zip(held, results[len(eqn.outvars) :], strict=True))
        return results[: len(eqn.outvars)]

    def _affords(self, eqn: JaxprEqn, steps: int) -> bool:
        return steps * equations.count(equations.scan(eqn).body.jaxpr) <= self.budget

    def _join(self, inputs: Sequence[int], results: Sequence[int], where: Where) -> Sequence[int]:
        """The end of a loop or branch: hands on `results`; `inputs` decided how long or which."""
        event = Event(JOIN, None, (*results, *inputs), (), where.place, where.calls, where.step)
        return self.tape.record(event, [self.tape.values[i] for i in results])

    def _scan(self, eqn: JaxprEqn, operands: list[int], where: Where) -> Sequence[int]:
        parts = equations.scan(eqn)
        first = parts.consts + parts.carry
        length, backward = parts.options["length"], parts.options["reverse"]
        self.budget -= length * equations.count(parts.body.jaxpr)
        consts, carry = operands[: parts.consts], list(operands[parts.consts : first])
        slices = [self._split(i, length, backward, where) for i in operands[first:]]
        results: list[list[int]] = []
        for n in range(length):
            inside = Where(where.place, where.calls, _nested(where.step, n, "scan"))
            outputs = self.run(parts.body, [*consts, *carry, *(s[n] for s in slices)], inside)
            outputs = list(self._join([], outputs, inside))  # as a scan does, step by step
            carry = outputs[: parts.carry]
            results.append(outputs[parts.carry :])
        stacked = [
            self._stack([step[k] for step in results], variable.aval, backward, where)
            for k, variable in enumerate(eqn.outvars[parts.carry :])
        ]
        return self._join([], [*carry, *stacked], where)

    def _split(self, number: int, length: int, backward: bool, where: Where) -> tuple[int, ...]:
        value = self.tape.values[number]
        array = value if is_key(value) else np.asarray(value)
        steps = range(length - 1, -1, -1) if backward else range(length)
        event = Event(SPLIT, None, (number,), (), where.place, where.calls, where.step, backward)
        return self.tape.record(event, [array[n] for n in steps])

    def _stack(self, numbers: Sequence[int], aval: Any, backward: bool, where: Where) -> int:
        values = [self.tape.values[i] for i in (reversed(numbers) if backward else numbers)]
        if values and is_key(values[0]):
            whole = jnp.stack(values)
        else:
            whole = jnp.asarray(np.stack(values) if values else np.zeros(aval.shape, aval.dtype))
        event = Event(
            GATHER_STEPS, None, tuple(numbers), (), where.place, where.calls, where.step, backward
        )
        return self.tape.record(event, [whole])[0]

    def _while(self, eqn: JaxprEqn, operands: list[int], where: Where) -> Sequence[int]:
        parts = equations.while_loop(eqn)
        first = parts.condition_consts + parts.body_consts
        tests, consts = operands[: parts.condition_consts], operands[parts.condition_consts : first]
        carry, n, decided = list(operands[first:]), 0, []
        cost = equations.count(parts.condition.jaxpr) + equations.count(parts.body.jaxpr)
        while True:
            inside = Where(where.place, where.calls, _nested(where.step, n, "while loop"))
            (goes_on,) = self.run(parts.condition, [*tests, *carry], inside)
            decided.append(goes_on)
            if not bool(self.tape.values[goes_on]):
                break
            if self.budget <= 0:  # the rest of the loop as one event
                event = Event("while", eqn, (*operands[:first], *carry), (), where.place, where.calls)
                self.tape.cut_short.append(event)
                values = [self.tape.values[i] for i in event.inputs]
                return self._join(decided, self.tape.record(event, equations.bind(eqn, values)), where)
            carry = self.run(parts.body, [*consts, *carry], inside)
            self.budget -= cost
            n += 1
        return self._join(decided, carry, where)

    def _cond(self, eqn: JaxprEqn, operands: list[int], where: Where) -> Sequence[int]:
        which, *rest = operands
        branches = equations.branches(eqn)
        taken = min(max(int(self.tape.values[which]), 0), len(branches) - 1)
        return self._join([which], self.run(branches[taken], rest, where), where)


def _nested(outer: str, n: int, kind: str) -> str:
    inner = f"step {n} of the {kind}"
    return f"{outer}, {inner}" if outer else inner


def run_inside(closed: ClosedJaxpr, values: Sequence[Any], where: Where) -> Tape:
    """A tape of what a call such as a `custom_jvp` function does inside, for values."""
    runner = Runner()
    tape = runner.tape
    tape.leaves = [tape.add(x, active=True) for x in values]
    tape.outputs = runner.run(closed, tape.leaves, where)
    return tape


def of_call(event: Event) -> ClosedJaxpr | None:
    """The program of a `custom_jvp` or `custom_vmap` function and its kin; None for other events."""
    if event.eqn is None:
        return None
    if event.name == "custom_vmap_call":
        return ClosedJaxpr(equations.programs(event.eqn)[0], ())
    inner = equations.linear_map(event.eqn)
    return None if inner is None or len(inner.operands) != len(event.inputs) else inner.program
