"""What goes in and out of a body: structured tangents, traced arrays and known ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr

from jaxcalc.engine.rules.shape import padded
from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.lanes import Group, Lanes, shrink
from jaxcalc.engine.tangents.merge import merge
from jaxcalc.engine.tangents.products import on_lanes
from jaxcalc.engine.walk.linearity import NotZeroError, is_tangent_or_zero
from jaxcalc.heuristics import heuristics


@dataclass(frozen=True)
class Run:
    """Runs a body on any mix of structured tangents, traced arrays and known ones.

    Attributes:
        walk: takes a program and its operands.
        is_trusted: whether the program is known to be linear, as one that JAX made is.
    """

    walk: Callable[[ClosedJaxpr, Sequence[Any]], list[Any]]
    is_trusted: bool

    def __call__(self, body: ClosedJaxpr, operands: Sequence[Any]) -> list[Any]:
        """The results of a body."""
        return self.walk(body, operands)

    def tangent(self, x: Any, aval: Any) -> Lanes:
        """A value as a tangent; what does not depend on the tangents is zero in a linear program.

        Raises:
            NotZeroError: it is not known to be zero.
        """
        if isinstance(x, Lanes):
            return on_lanes(x, heuristics().most_of_a_body)
        if not self.is_trusted and not is_tangent_or_zero(x):
            raise NotZeroError("what it carries or returns beside tangents is not zero")
        return Lanes(tuple(aval.shape), np.dtype(aval.dtype))


def is_known(x: Any) -> bool:
    """Whether a value is known now, so that the body can be folded with it."""
    return not isinstance(x, Lanes | jax.core.Tracer | jax.ShapeDtypeStruct)


def at(x: Any, step: int) -> Any:
    """Element `step` of the leading axis of an operand."""
    if isinstance(x, Lanes):
        return _lanes_at(x, step)
    if isinstance(x, jax.core.Tracer) or jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return lax.index_in_dim(x, step, keepdims=False)
    return np.asarray(x)[step]


def _lanes_at(x: Lanes, step: int) -> Lanes:
    shape = x.shape[1:]

    def move(a: Any) -> Any:
        place = step if a.shape[1] > 1 else 0
        return a[:, place]

    groups = [Group(move(g.data), shrink(move(g.index)), g.is_clean) for g in x.groups]
    return Lanes(shape, x.dtype).with_groups(groups)


def stacked(values: Sequence[Any], aval: Any) -> Any:
    """What each step returned, along a new leading axis."""
    if not any(isinstance(x, Lanes) for x in values):
        if all(is_known(x) for x in values) and not jnp.issubdtype(aval.dtype, jax.dtypes.extended):
            return np.stack([np.asarray(x) for x in values])
        return jnp.stack(values)
    result = Lanes(tuple(aval.shape), np.dtype(aval.dtype))
    rank, groups = len(result.shape), list[Group]()
    for step, x in enumerate(values):
        if not isinstance(x, Lanes):
            continue
        axes = range(1, rank)
        wide = Lanes((1, *x.shape), x.dtype).with_groups(
            [
                Group(
                    manipulation.insert_axes(g.data, rank, axes),
                    manipulation.insert_axes(g.index, rank, axes),
                )
                for g in x.groups
            ]
        )
        outside = (step, len(values) - step - 1, 0)
        groups += padded(wide, [outside, *[(0, 0, 0)] * len(x.shape)]).groups
    return merge(result, groups)


def shapes_of(run: Callable[[Any], Sequence[Any]], shapes: Any = None) -> list[Any]:
    """The results of a walk, run for their patterns alone: nothing of it enters a program."""
    found: list[Any] = []

    def walk(arrays: Any) -> None:
        found.extend(map(_without_values, run(arrays)))

    jax.eval_shape(walk, shapes)
    return found


def _without_values(x: Any) -> Any:
    """A result whose values nobody needs, so that no tracer outlives its trace."""
    if isinstance(x, jax.core.Tracer):
        return jax.ShapeDtypeStruct(x.shape, x.dtype)
    if not isinstance(x, Lanes):
        return x
    groups = [Group(_stand_in(g.data), g.index, g.is_clean) for g in x.groups]
    kept = x.entries
    entries = None if kept is None else replace(kept, values=_stand_in(kept.values))
    return replace(x, groups=tuple(groups), entries=entries)


def _stand_in(traced: Any) -> Any:
    """Numbers of a shape that take no memory, and are no zeros or ones, which rules treat apart."""
    if not isinstance(traced, jax.core.Tracer):
        return traced
    return np.broadcast_to(np.full((), 2, traced.dtype), traced.shape)
