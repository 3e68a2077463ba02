"""`scan` and `while_loop`: the loop runs once, on coefficients whose pattern is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.tangents.contract import uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, spread_lanes
from jaxcalc.engine.tangents.unions import restricted
from jaxcalc.engine.walk import operands as of
from jaxcalc.engine.walk.carry import Loop, Pattern, carried_pattern
from jaxcalc.engine.walk.mapped import mapped
from jaxcalc.engine.walk.operands import Run
from jaxcalc.engine.walk.program import Step
from jaxcalc.heuristics import heuristics


def scan(run: Run, step: Step, operands: Sequence[Any]) -> Sequence[Any]:
    """The carry's pattern is iterated to a fixpoint, then the loop runs once on its coefficients.

    A loop over samples stays block diagonal. A short one is followed step by step, which knows every
    counter, and so keeps a band narrow; it is written out where that takes less work. A scan without
    a tangent in its carry is a map, and its steps do not mix.
    """
    parts = equations.scan(step.eqn)
    first_slice = parts.consts + parts.carry
    consts, init = operands[: parts.consts], operands[parts.consts : first_slice]
    xs, length = operands[first_slice:], parts.options["length"]
    is_tangent = [slot.is_tangent for slot in step.outputs[: parts.carry]]
    loop = Loop(run, parts.body, consts, init, is_tangent)
    if length == 0:
        empty = [np.zeros(s.aval.shape, s.aval.dtype) for s in step.outputs[parts.carry :]]
        return _as_outputs(run, [*init, *empty], step)
    if not any(is_tangent):
        return _as_outputs(run, mapped(run, step.eqn, operands), step)
    scanned = cache(lambda: _Scanned.of(xs))  # a loop that is written out does without

    def in_a_loop(pattern: Pattern) -> list[Any]:
        return _run_scan(loop, scanned(), pattern, parts.options)

    order = range(length)[::-1] if parts.options["reverse"] else range(length)
    return _repeated(loop, xs, order, step, lambda: scanned().example(), in_a_loop)


def while_loop(run: Run, step: Step, operands: Sequence[Any]) -> Sequence[Any]:
    """As `scan`; the number of steps is known where a counter alone decides it."""
    parts = equations.while_loop(step.eqn)
    first = parts.condition_consts + parts.body_consts
    tests, consts = operands[: parts.condition_consts], operands[parts.condition_consts : first]
    is_tangent = [slot.is_tangent for slot in step.outputs]
    loop = Loop(run, parts.body, consts, operands[first:], is_tangent)

    def goes_on(carry: Sequence[Any]) -> Any:
        return run(parts.condition, [*tests, *carry])[0]

    steps = _known_steps(loop, goes_on)
    order = None if steps is None else range(steps)
    return _repeated(loop, (), order, step, list, lambda pattern: _run_while(loop, goes_on, pattern))


def _repeated(
    loop: Loop,
    xs: Sequence[Any],
    order: Sequence[int] | None,
    step: Step,
    example: Callable[[], list[Any]],
    in_a_loop: Callable[[Pattern], list[Any]],
) -> list[Any]:
    """A loop written out, or run as one; `order` is None where it takes nobody knows how many steps.

    Args:
        loop: the loop.
        xs: what it takes a slice of at every step.
        order: the numbers of its steps.
        step: the equation.
        example: makes operands like the slices of one step.
        in_a_loop: runs it as a loop whose carry has the given pattern.
    """
    if order is None:
        return _as_outputs(loop.run, in_a_loop(carried_pattern(loop, example(), None)), step)
    work = len(order) * equations.count(loop.body.jaxpr)
    if work <= heuristics().unrolled_equations:
        return _as_outputs(loop.run, _steps(loop, xs, order), step)
    is_short = work <= heuristics().followed_equations or len(order) == 1
    followed = _followed(loop, xs, order) if is_short else None
    pattern = carried_pattern(loop, example(), len(order))
    if followed is None:
        return _as_outputs(loop.run, in_a_loop(pattern), step)
    # a band that grows at each step carries half: written out it runs no faster, and compiles longer
    if followed.coefficients <= heuristics().unrolled_saves * len(order) * _coefficients(loop, pattern):
        return _as_outputs(loop.run, _steps(loop, xs, order), step)
    return followed.restrict(loop.run, _as_outputs(loop.run, in_a_loop(pattern), step), step)


def _known_steps(loop: Loop, goes_on: Callable[[Any], Any]) -> int | None:
    """How many steps a `while_loop` takes; None where values decide, or it takes too many to follow."""
    most = max(1, heuristics().followed_equations // max(1, equations.count(loop.body.jaxpr)))
    taken: list[int] = []

    def run(_: Any) -> list[Any]:
        carry: Sequence[Any] = loop.init
        for count in range(most + 1):
            on = goes_on(carry)
            if not of.is_known(on) or np.ndim(on):
                break
            if not on:
                taken.append(count)
                break
            carry = loop.step(carry)[0]
        return []

    of.shapes_of(run)
    return taken[0] if taken else None


@dataclass(frozen=True)
class _Followed:
    """The patterns of a loop that was followed step by step.

    Attributes:
        outputs: carry and results, of which the patterns count.
        coefficients: how many coefficients the carry had, all steps together.
    """

    outputs: Sequence[Any]
    coefficients: int

    def restrict(self, run: Run, outputs: Sequence[Any], step: Step) -> list[Any]:
        """The outputs of the loop, without the entries that no step makes."""
        return [
            restricted(x, run.tangent(pattern, slot.aval)) if slot.is_tangent else x
            for x, pattern, slot in zip(outputs, self.outputs, step.outputs, strict=True)
        ]


def _followed(loop: Loop, xs: Sequence[Any], order: Sequence[int]) -> _Followed:
    total: list[int] = []

    def count(carry: Sequence[Any]) -> None:
        total.append(sum(x.lanes * x.size for x in carry if isinstance(x, Lanes)))

    outputs = of.shapes_of(lambda _: _steps(loop, xs, order, count))
    return _Followed(outputs, sum(total))


def _steps(
    loop: Loop,
    xs: Sequence[Any],
    order: Sequence[int],
    observe: Callable[[Sequence[Any]], None] = lambda _: None,
) -> list[Any]:
    """One step after the other, with whatever is known at each."""
    carry: list[Any] = loop.as_carry(loop.init)
    result_avals: list[Any] = [v.aval for v in loop.body.jaxpr.outvars[len(loop.init) :]]
    results: list[list[Any]] = [[None] * len(order) for _ in result_avals]
    for number in order:
        carry, found = loop.step(carry, [of.at(x, number) for x in xs])
        observe(carry)
        for line, x in zip(results, found, strict=True):
            line[number] = x
    stacks = []
    for line, aval in zip(results, result_avals, strict=True):
        whole = jax.ShapeDtypeStruct((len(order), *aval.shape), aval.dtype)
        stacks.append(of.stacked(line, whole))
    return [*carry, *stacks]


def _coefficients(loop: Loop, pattern: Pattern) -> int:
    """How many coefficients a loop carries from step to step."""
    return sum(
        index.shape[0] * int(np.prod(aval.shape))
        for index, aval in zip(pattern.indices, loop.avals, strict=True)
        if index is not None
    )


def _as_outputs(run: Run, values: Sequence[Any], step: Step) -> list[Any]:
    return [
        run.tangent(x, slot.aval) if slot.is_tangent else x
        for x, slot in zip(values, step.outputs, strict=True)
    ]


@dataclass(frozen=True)
class _Scanned:
    """What a scan takes slices of: arrays whose leading axis is the steps.

    Attributes:
        arrays: other operands, and the coefficients of tangents.
        slices: puts the slices of one step together again.
    """

    arrays: list[Any]
    slices: Callable[[Sequence[Any]], list[Any]]

    @classmethod
    def of(cls, xs: Sequence[Any]) -> _Scanned:
        """A tangent is made uniform along the steps, so that every slice has the same index."""
        even = [uniform_along(x, [0]) if isinstance(x, Lanes) else x for x in xs]
        arrays: list[Any] = []
        for x in even:
            if isinstance(x, Lanes):
                arrays += [_steps_first(g, x.shape[0]) for g in x.groups]
            else:
                arrays.append(x)

        def slices(left: Sequence[Any]) -> list[Any]:
            given = iter(left)
            return [_slice_of(x, given) if isinstance(x, Lanes) else next(given) for x in even]

        return cls(arrays, slices)

    def example(self) -> list[Any]:
        """Operands like those of one step."""
        return self.slices([of.at(jnp.asarray(x), 0) for x in self.arrays])


def _steps_first(group: Group, length: int) -> Any:
    data = spread_lanes(group.data, group.lanes)
    data = jnp.broadcast_to(data, (data.shape[0], length, *data.shape[2:]))
    return jnp.moveaxis(data, 1, 0)


def _slice_of(x: Lanes, arrays: Any) -> Lanes:
    groups = [Group(next(arrays), g.index[:, 0], g.is_clean) for g in x.groups]
    return Lanes(x.shape[1:], x.dtype).with_groups(groups)


def _run_scan(loop: Loop, scanned: _Scanned, pattern: Pattern, options: dict[str, Any]) -> list[Any]:
    results: list[Any] = []

    def body(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        after, found = loop.step(loop.joined(pattern, carry), scanned.slices(slices))
        results[:] = found
        arrays = [[g.data for g in x.groups] if isinstance(x, Lanes) else x for x in found]
        return loop.split(pattern, after), arrays

    init = [jnp.asarray(x) for x in loop.split(pattern, loop.init)]
    final, stacks = lax.scan(body, init, scanned.arrays, **options)
    return [*loop.joined(pattern, final), *map(_stack_of, results, stacks)]


def _run_while(loop: Loop, goes_on: Callable[[Any], Any], pattern: Pattern) -> list[Any]:
    carried = zip(loop.is_tangent, pattern.indices, strict=True)
    has_lanes = [flag for flag, index in carried if not flag or index is not None]

    def any_goes_on(arrays: Sequence[Any]) -> Any:
        return jnp.any(goes_on(loop.joined(pattern, arrays)))

    def body(arrays: Sequence[Any]) -> list[Any]:
        carry = loop.joined(pattern, arrays)
        after = loop.split(pattern, loop.step(carry)[0])
        on = goes_on(carry)
        if not np.ndim(on):
            return after
        # a loop under vmap: the samples that have ended keep what they have
        return [
            jnp.where(_beside(on, new, lanes), new, old)
            for new, old, lanes in zip(after, arrays, has_lanes, strict=True)
        ]

    init = [jnp.asarray(x) for x in loop.split(pattern, loop.init)]
    return loop.joined(pattern, lax.while_loop(any_goes_on, body, init))


def _beside(on: Any, array: Any, lanes: bool) -> Any:
    """A condition for each sample, with axes of size 1 for the lanes and the axes of a sample."""
    lead = (1, *on.shape) if lanes else on.shape
    return on.reshape(lead + (1,) * (array.ndim - len(lead)))


def _stack_of(one: Any, stack: Any) -> Any:
    """The results of all steps, like the result of one; their index does not vary along the steps."""
    if not isinstance(one, Lanes):
        return stack
    groups = [
        Group(jnp.moveaxis(data, 0, 1), g.index[:, None], g.is_clean)
        for data, g in zip(stack, one.groups, strict=True)
    ]
    length = stack[0].shape[0] if stack else 0
    return Lanes((length, *one.shape), one.dtype).with_groups(groups)
