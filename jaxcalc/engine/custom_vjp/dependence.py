"""Which seeds each result of a program depends on, where the program is not linear in them.

The walk of `interpret`, for patterns alone: an operation that is linear keeps its rule, an elementwise
one of any kind has the union of its operands' patterns, and whatever else there is mixes everything.
Numbers of any dtype carry a dependence here: a step size, an index or a decision may depend on a seed.

One more seed stands for the number one: a value depends on it that may be something else than zero
where all other seeds are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations, fold
from jaxcalc.engine.jaxprs.fold import Static
from jaxcalc.engine.jaxprs.traits import having
from jaxcalc.engine.rules import registry
from jaxcalc.engine.rules.operands import broadcast_to
from jaxcalc.engine.tangents.contract import masked_by, sum_along, uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.tangents.manipulation import insert_axes
from jaxcalc.engine.tangents.products import on_lanes
from jaxcalc.engine.tangents.unions import columns, union
from jaxcalc.engine.walk import entries
from jaxcalc.engine.walk.linearity import TERMS, is_linear
from jaxcalc.engine.walk.program import Atom, Slot, Step, flatten_call
from jaxcalc.heuristics import heuristics

_ELEMENTWISE = having("elementwise")
_REDUCTIONS = having("reduces")


@dataclass(frozen=True)
class DependenceWalk:
    """The walk; to be used where nothing is computed, under `jax.eval_shape`.

    Attributes:
        one: the number of the seed that stands for one, larger than those of all others.
    """

    one: int
    _known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(
        self, steps: Sequence[Step], values: Mapping[Slot, Any], wanted: Sequence[Atom]
    ) -> list[Any]:
        """The patterns of `wanted`, as `Lanes` whose data means nothing; other values as they are."""
        environment = dict(values)

        def read(atom: Atom) -> Any:
            return atom.array if isinstance(atom, Static) else environment[atom]

        for step in steps:
            outputs = self._outputs(step.eqn, [read(x) for x in step.inputs])
            environment.update(zip(step.outputs, outputs, strict=True))
        return [read(x) for x in wanted]

    def pattern(self, x: Any, aval: Any) -> Lanes:
        """The pattern of any value: one that is not known to be zero depends on one."""
        if isinstance(x, Lanes):
            return x
        everywhere = _of_columns(np.array([self.one]), aval)
        return (
            everywhere if isinstance(x, jax.core.Tracer) else masked_by(everywhere, np.asarray(x) != 0)
        )

    def _run(self, closed: ClosedJaxpr, operands: Sequence[Any]) -> list[Any]:
        """The results of a body; loops in loops ask for the same ones again and again."""
        key = (id(closed.jaxpr), *map(_identity, operands))
        if key not in self._known:
            self._known[key] = self._results(closed, operands), (closed, operands)
        return list(self._known[key][0])

    def _results(self, closed: ClosedJaxpr, operands: Sequence[Any]) -> list[Any]:
        arguments: list[Atom] = []
        values: dict[Slot, Any] = {}
        for variable, x in zip(closed.jaxpr.invars, operands, strict=True):
            if isinstance(x, Lanes | jax.core.Tracer):
                slot = Slot(variable.aval, is_tangent=isinstance(x, Lanes))
                arguments.append(slot)
                values[slot] = x
            else:
                arguments.append(fold.constant(variable.aval, x))
        program = flatten_call(closed, arguments)
        steps = [*program.primal, *program.tangent]
        return self(steps, values | dict(program.captured), program.outputs)

    def _outputs(self, eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any]:
        if not any(isinstance(x, Lanes) for x in operands):
            return equations.bind(eqn, [fold.operand(x) for x in operands])
        if all(0 in getattr(v.aval, "shape", ()) for v in eqn.outvars):
            return [_with_index(None, v.aval) for v in eqn.outvars]
        name, aval = eqn.primitive.name, equations.output(eqn)
        bodies = {
            "scan": self._scan,
            "while": self._while,
            "cond": self._cond,
            "custom_linear_solve": self._solve,
        }
        if name in bodies:
            return bodies[name](eqn, operands)
        if name in TERMS:
            avals = [v.aval for v in eqn.invars]
            terms = [self.pattern(x, a) for x, a in zip(operands, avals, strict=True)][TERMS[name]]
            operands[TERMS[name]] = terms
        rule = registry.find(name)
        if rule is not None and is_linear(eqn, operands, has_rule=True):
            most = heuristics().most_of_a_rule
            found = entries.applied(rule, eqn, operands, most)
            return [on_lanes(x, most) if isinstance(x, Lanes) else x for x in found]
        tangents = [x for x in operands if isinstance(x, Lanes)]
        if name in _REDUCTIONS:
            return [_together([sum_along(x, equations.axes(eqn)) for x in tangents], aval)]
        return self._not_linear(eqn, operands, tangents)

    def _not_linear(
        self, eqn: JaxprEqn, operands: Sequence[Any], tangents: Sequence[Lanes]
    ) -> list[Lanes]:
        if eqn.primitive.name in _ELEMENTWISE:
            aval = equations.output(eqn)
            wide = [broadcast_to(x, tuple(aval.shape)) for x in tangents]
            return [self._with_one(eqn, operands, _together(wide, aval))]
        every = columns(tangents)
        return [
            self._with_one(eqn, operands, _of_columns(every, v.aval), i)
            for i, v in enumerate(eqn.outvars)
        ]

    def _with_one(self, eqn: JaxprEqn, operands: Sequence[Any], value: Lanes, i: int = 0) -> Lanes:
        """The result of an operation that is not linear, which may not be zero where its seeds are."""
        name = eqn.primitive.name
        if name in {"mul", "div"}:  # zero where a factor is
            factors = [x for x in operands[: 1 if name == "div" else 2] if isinstance(x, Lanes)]
            masks = [self._where_one(broadcast_to(x, value.shape)) for x in factors]
            ones = masked_by(_of_columns(np.array([self.one]), value), np.logical_and.reduce(masks))
            return _together([self._without_one(value), ones], value)
        if name in {"select_n", "polynomial"}:  # its cases, or coefficients, have their ones
            cases = [broadcast_to(x, value.shape) for x in operands[1:]]
            rest = self._without_one(value)
            return _together([rest, *cases], value)
        if any(isinstance(x, jax.core.Tracer) for x in operands):
            return _together(
                [value, _of_columns(np.array([self.one]), value)], equations.output(eqn, i)
            )
        zeros = [np.zeros(x.shape, x.dtype) if isinstance(x, Lanes) else x for x in operands]
        with jax.ensure_compile_time_eval():
            at_zero = np.asarray(equations.bind(eqn, zeros)[i])
        return _together([value, self.pattern(at_zero, value)], value)

    def _where_one(self, value: Lanes) -> np.ndarray:
        """Which elements depend on one, in the value's shape."""
        mask = np.zeros(value.shape, bool)
        for group in value.groups:
            mask |= (group.index == self.one).any(axis=0)
        return mask

    def _without_one(self, value: Lanes) -> Lanes:
        groups = [
            Group(g.data, np.where(g.index == self.one, np.asarray(-1, g.index.dtype), g.index))
            for g in value.groups
        ]
        return value.with_groups(groups)

    def _decided(self, value: Any, decision: Any, aval: Any) -> Any:
        """A value that also depends on a decision, one for all of it or one for each sample."""
        if not isinstance(decision, Lanes):
            return value
        rank, lead = len(aval.shape), range(len(decision.shape))
        index = union(None, self._without_one(decision))
        parts = [] if index is None else [_with_index(insert_axes(index, rank, lead), aval)]
        return _together([*parts, self.pattern(value, aval)], aval)

    def _cond(self, eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        which, *rest = operands
        branches = [self._run(branch, rest) for branch in equations.branches(eqn)]
        results: list[Any] = []
        for i, variable in enumerate(eqn.outvars):
            found = [branch[i] for branch in branches]
            value: Any = _unknown(variable.aval)
            if any(isinstance(x, Lanes) for x in found):
                value = _together([self.pattern(x, variable.aval) for x in found], variable.aval)
            results.append(self._decided(value, which, variable.aval))
        return results

    def _while(self, eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        parts = equations.while_loop(eqn)
        first = parts.condition_consts + parts.body_consts
        tests, consts = operands[: parts.condition_consts], operands[parts.condition_consts : first]
        avals = [v.aval for v in eqn.outvars]

        def step(carry: list[Any]) -> list[Any]:
            (goes_on,) = self._run(parts.condition, [*tests, *carry])
            after = self._run(parts.body, [*consts, *carry])
            return [self._decided(x, goes_on, a) for x, a in zip(after, avals, strict=True)]

        return self._repeated(step, operands[first:], avals, operands)

    def _scan(self, eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        parts = equations.scan(eqn)
        first = parts.consts + parts.carry
        consts, xs = operands[: parts.consts], operands[first:]
        inputs = [v.aval for v in parts.body.jaxpr.invars]
        slices = [_slice(x, a) for x, a in zip(xs, inputs[first:], strict=True)]

        def step(carry: list[Any]) -> list[Any]:
            return self._run(parts.body, [*consts, *carry, *slices])[: parts.carry]

        avals: list[Any] = [v.aval for v in eqn.outvars]
        init = operands[parts.consts : first]
        carry = self._repeated(step, init, avals[: parts.carry], operands)
        results = self._run(parts.body, [*consts, *carry, *slices])[parts.carry :]
        return [*carry, *map(_stacked, results, avals[parts.carry :])]

    def _solve(self, eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
        linear = equations.linear_map(eqn)
        assert linear is not None
        if all(i in linear.operands for i, x in enumerate(operands) if isinstance(x, Lanes)):
            return self._run(linear.program, [operands[i] for i in linear.operands])
        every = columns([x for x in operands if isinstance(x, Lanes)])
        return [_of_columns(every, v.aval) for v in eqn.outvars]

    def _repeated(
        self,
        step: Callable[[list[Any]], list[Any]],
        init: Sequence[Any],
        avals: Sequence[Any],
        operands: Sequence[Any],
    ) -> list[Any]:
        """The carry of a loop after any number of steps."""
        depends = [isinstance(x, Lanes) for x in init]
        carry = list(init)
        for _ in range(heuristics().rule_rounds):
            start = [
                self.pattern(x, a) if on else _unknown(a)
                for x, a, on in zip(carry, avals, depends, strict=True)
            ]
            after = step(start)
            new = [on or isinstance(x, Lanes) for on, x in zip(depends, after, strict=True)]
            if new != depends:  # what comes to depend on a seed starts as what it was
                depends, carry = new, list(init)
                continue
            grown = [self._grown(*each) for each in zip(start, after, avals, strict=True)]
            if all(a is b for a, b in zip(grown, start, strict=True)):
                return grown
            carry = grown
        every = columns([x for x in (*operands, *carry) if isinstance(x, Lanes)])
        everything = np.union1d(every, [self.one]).astype(np.int64)
        return [_of_columns(everything, a) for a in avals]

    def _grown(self, before: Any, after: Any, aval: Any) -> Any:
        """What a value of the carry may be before the next step, and before any earlier one."""
        if not isinstance(before, Lanes):
            return before
        index = union(None, before)
        both = union(index, self.pattern(after, aval))
        return before if both is index else _with_index(both, aval)


def _identity(x: Any) -> Any:
    """What tells operands apart: a pattern by its entries, other traced values not at all."""
    if isinstance(x, Lanes):
        return x.shape, x.dtype.str, *((g.index.shape, g.index.tobytes()) for g in x.groups)
    if isinstance(x, jax.core.Tracer):
        return x.shape, str(x.dtype)
    return id(x)


def _with_index(index: np.ndarray | None, aval: Any) -> Lanes:
    value = Lanes(tuple(aval.shape), np.dtype(aval.dtype))
    if index is None or 0 in value.shape:
        return value
    return value.with_groups([Group(np.ones((1,) * index.ndim, value.dtype), index)])


def _together(values: Sequence[Lanes], aval: Any) -> Lanes:
    index = None
    for value in values:
        index = union(index, value)
    return _with_index(index, aval)


def _of_columns(every: np.ndarray, aval: Any) -> Lanes:
    """A value of which every element depends on all of these columns."""
    return _with_index(every.reshape((-1,) + (1,) * len(aval.shape)) if every.size else None, aval)


def _unknown(aval: Any) -> Any:
    """A traced value that may be anything."""
    return jax.lax.optimization_barrier(jnp.zeros(aval.shape, aval.dtype))


def _slice(x: Any, aval: Any) -> Any:
    if not isinstance(x, Lanes):
        return _unknown(aval)
    index = union(None, uniform_along(x, [0]))
    return _with_index(None if index is None else index[:, 0], aval)


def _stacked(x: Any, aval: Any) -> Any:
    if not isinstance(x, Lanes):
        return _unknown(aval)
    index = union(None, x)
    return _with_index(None if index is None else index[:, None], aval)
