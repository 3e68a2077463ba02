"""The carry of a loop: which inputs it may depend on at any step, and its coefficients as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxcalc.engine.jaxprs.varying import as_typed
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.tangents.unions import coefficients_on, columns, kept_on, union, widened
from jaxcalc.engine.walk.operands import Run, shapes_of
from jaxcalc.heuristics import heuristics

Indices = list[Any]  # for each value of the carry an index, or None: no tangent, or a zero one


@dataclass(frozen=True)
class Pattern:
    """Which inputs each value of a carry may depend on, before and after every step.

    Attributes:
        indices: one for each value of the carry.
        is_closed: whether a step from any carry on this pattern stays on it. Where all steps that
            there are were followed, it need not: what it leads to beside the pattern then belongs to a
            later step, and is zero at every step that runs.
    """

    indices: Indices
    is_closed: bool = True


@dataclass(frozen=True)
class Loop:
    """A body and what it starts with.

    Attributes:
        run: runs a program on any mix of operands.
        body: takes constants, carry and the slices of a step; returns carry and results.
        consts: the operands that stay.
        init: the carry before the first step.
        is_tangent: which values of the carry are tangents, at any step.
    """

    run: Run
    body: ClosedJaxpr
    consts: Sequence[Any]
    init: Sequence[Any]
    is_tangent: Sequence[bool]

    @property
    def avals(self) -> list[Any]:
        """Shapes and dtypes of the carry."""
        start = len(self.consts)
        return [v.aval for v in self.body.jaxpr.invars[start : start + len(self.init)]]

    def step(self, carry: Sequence[Any], slices: Sequence[Any] = ()) -> tuple[list[Any], list[Any]]:
        """One step: the next carry, and the results."""
        outputs = self.run(self.body, [*self.consts, *carry, *slices])
        count = len(self.init)
        return self.as_carry(outputs[:count]), outputs[count:]

    def as_carry(self, values: Sequence[Any]) -> list[Any]:
        """Values of the carry, the tangents among them as such."""
        return [
            self.run.tangent(x, aval) if on else x
            for x, aval, on in zip(values, self.avals, self.is_tangent, strict=True)
        ]

    def split(self, pattern: Pattern, values: Sequence[Any]) -> list[Any]:
        """A carry as the arrays that a JAX loop carries: coefficients on the pattern's lanes.

        Raises:
            AssertionError: it has entries that a closed pattern lacks.
        """
        arrays = []
        carry = zip(self.as_carry(values), self.avals, pattern.indices, self.is_tangent, strict=True)
        for x, aval, index, on in carry:
            if not on:
                arrays.append(as_typed(aval, x))
            elif index is not None:
                kept = x if pattern.is_closed else kept_on(index, x)
                arrays.append(as_typed(aval, coefficients_on(index, kept)))
            elif pattern.is_closed and x.groups:
                raise AssertionError("a carry that holds no entry at any step has some")
        return arrays

    def joined(self, pattern: Pattern, arrays: Sequence[Any]) -> list[Any]:
        """The inverse of `split`."""
        left, carry = iter(arrays), []
        for aval, index, on in zip(self.avals, pattern.indices, self.is_tangent, strict=True):
            if not on:
                carry.append(next(left))
                continue
            value = Lanes(tuple(aval.shape), np.dtype(aval.dtype))
            groups = [] if index is None else [Group(next(left), index, is_clean=True)]
            carry.append(value.with_groups(groups))
        return carry


def carried_pattern(loop: Loop, slices: Sequence[Any], steps: int | None) -> Pattern:
    """A pattern that holds the carry's at every step.

    It grows from the first step on, until it stops growing, or for as many steps as there are. Where
    it would grow for too long, it is made uniform along an axis (the first that makes it stop), or
    else along all.

    Args:
        loop: the loop.
        slices: operands like those of one step, of any step.
        steps: how many there will be, if that is known.
    """
    indices: Indices = [None] * len(loop.init)
    for i, x in enumerate(loop.as_carry(loop.init)):
        if isinstance(x, Lanes):
            indices[i] = union(None, x)
    rounds = heuristics().carry_rounds if steps is None else min(steps, heuristics().carry_rounds)
    pattern = _grown(loop, indices, slices, rounds)
    if pattern.is_closed or rounds == steps:
        return pattern
    for axes in _axes_to_try(pattern.indices):
        wider = [index if index is None else _widened(index, axes) for index in pattern.indices]
        found = _grown(loop, wider, slices, heuristics().widened_rounds)
        if found.is_closed:
            return found
    return Pattern(_everything(loop, slices))


def _grown(loop: Loop, indices: Indices, slices: Sequence[Any], rounds: int) -> Pattern:
    for _ in range(rounds):
        after = _after_a_step(loop, indices, slices)
        if all(a is b for a, b in zip(after, indices, strict=True)):
            return Pattern(indices)
        indices = after
    return Pattern(indices, is_closed=False)


def _after_a_step(loop: Loop, indices: Indices, slices: Sequence[Any]) -> Indices:
    shapes = [
        jax.ShapeDtypeStruct((index.shape[0], *aval.shape) if on else aval.shape, aval.dtype)
        for aval, index, on in zip(loop.avals, indices, loop.is_tangent, strict=True)
        if not on or index is not None
    ]
    before = Pattern(indices)
    after = shapes_of(lambda arrays: loop.step(loop.joined(before, arrays), slices)[0], shapes)
    return [
        union(index, out) if on else None
        for index, out, on in zip(indices, after, loop.is_tangent, strict=True)
    ]


def _everything(loop: Loop, slices: Sequence[Any]) -> Indices:
    """Every input that any operand depends on, for every element of the carry."""
    tangents = [x for x in (*loop.init, *loop.consts, *slices) if isinstance(x, Lanes)]
    every = columns(tangents)
    return [
        every.reshape((-1,) + (1,) * len(aval.shape)) if on and every.size else None
        for aval, on in zip(loop.avals, loop.is_tangent, strict=True)
    ]


def _axes_to_try(indices: Indices) -> list[Sequence[int] | None]:
    """One axis after the other, counted from the last, and then all of them."""
    rank = max((index.ndim - 1 for index in indices if index is not None), default=0)
    return [*((-1 - a,) for a in range(rank)), None]


def _widened(index: np.ndarray, axes: Sequence[int] | None) -> np.ndarray:
    rank = index.ndim - 1
    chosen = range(rank) if axes is None else [rank + a for a in axes if -a <= rank]
    return widened(index, list(chosen))
