"""The carry of a loop: which inputs it may depend on at any step, and its coefficients as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from jaxcalc.engine.control_flow.operands import Run, shapes_of
from jaxcalc.formats.lanes import Group, Lanes
from jaxcalc.formats.unions import coefficients_on, columns, union, widened

_ROUNDS = 100  # steps that a pattern is followed for before it is widened
_WIDENED_ROUNDS = 8

Pattern = list[Any]  # for each value of the carry an index, or None: no tangent, or a zero one


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
        """A carry as the arrays that a JAX loop carries: coefficients on the pattern's lanes."""
        arrays = []
        for x, index, on in zip(self.as_carry(values), pattern, self.is_tangent, strict=True):
            if not on:
                arrays.append(x)
            elif index is not None:
                arrays.append(coefficients_on(index, x))
        return arrays

    def joined(self, pattern: Pattern, arrays: Sequence[Any]) -> list[Any]:
        """The inverse of `split`."""
        left, carry = iter(arrays), []
        for aval, index, on in zip(self.avals, pattern, self.is_tangent, strict=True):
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
    pattern: Pattern = [None] * len(loop.init)
    for i, x in enumerate(loop.as_carry(loop.init)):
        if isinstance(x, Lanes):
            pattern[i] = union(None, x)
    rounds = _ROUNDS if steps is None else min(steps, _ROUNDS)
    pattern, is_done = _grown(loop, pattern, slices, rounds)
    if is_done or rounds == steps:
        return pattern
    for axes in _axes_to_try(pattern):
        wider = [index if index is None else _widened(index, axes) for index in pattern]
        wider, is_done = _grown(loop, wider, slices, _WIDENED_ROUNDS)
        if is_done:
            return wider
    return _everything(loop, slices)


def _grown(loop: Loop, pattern: Pattern, slices: Sequence[Any], rounds: int) -> tuple[Pattern, bool]:
    for _ in range(rounds):
        after = _after_a_step(loop, pattern, slices)
        if all(a is b for a, b in zip(after, pattern, strict=True)):
            return pattern, True
        pattern = after
    return pattern, False


def _after_a_step(loop: Loop, pattern: Pattern, slices: Sequence[Any]) -> Pattern:
    shapes = [
        jax.ShapeDtypeStruct((index.shape[0], *aval.shape) if on else aval.shape, aval.dtype)
        for aval, index, on in zip(loop.avals, pattern, loop.is_tangent, strict=True)
        if not on or index is not None
    ]
    after = shapes_of(lambda arrays: loop.step(loop.joined(pattern, arrays), slices)[0], shapes)
    return [
        union(index, out) if on else None
        for index, out, on in zip(pattern, after, loop.is_tangent, strict=True)
    ]


def _everything(loop: Loop, slices: Sequence[Any]) -> Pattern:
    """Every input that any operand depends on, for every element of the carry."""
    tangents = [x for x in (*loop.init, *loop.consts, *slices) if isinstance(x, Lanes)]
    every = columns(tangents)
    return [
        every.reshape((-1,) + (1,) * len(aval.shape)) if on and every.size else None
        for aval, on in zip(loop.avals, loop.is_tangent, strict=True)
    ]


def _axes_to_try(pattern: Pattern) -> list[Sequence[int] | None]:
    """One axis after the other, counted from the last, and then all of them."""
    rank = max((index.ndim - 1 for index in pattern if index is not None), default=0)
    return [*((-1 - a,) for a in range(rank)), None]


def _widened(index: np.ndarray, axes: Sequence[int] | None) -> np.ndarray:
    rank = index.ndim - 1
    chosen = range(rank) if axes is None else [rank + a for a in axes if -a <= rank]
    return widened(index, list(chosen))
