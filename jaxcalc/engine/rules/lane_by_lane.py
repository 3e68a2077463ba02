"""Operations of which only the axes that they mix are known: applied to every lane as to a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn
from jax.interpreters import batching

from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.rules.operands import zeros_like_value
from jaxcalc.engine.tangents.contract import uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, spread, spread_lanes
from jaxcalc.engine.tangents.manipulation import insert_axes
from jaxcalc.engine.tangents.merge import merge

Axes = Sequence[int] | None  # None for all axes


class MixedAxesError(ValueError):
    """Axes that an operation is said to mix do not fit its operands; the message names both."""


def lane_by_lane(eqn: JaxprEqn, operands: Sequence[Any], mixed: Axes) -> list[Any]:
    """Apply a linear operation to every lane of its tangents, made uniform along the axes it mixes.

    Along every other axis the structure stays: element i of the result depends on element i of the
    tangents alone. Such an axis keeps its place and its size; a result may also leave out all of the
    mixed axes, as a sum does.

    Args:
        eqn: an operation that is linear in its tangent operands taken together.
        operands: `Lanes` for tangents, arrays for the others.
        mixed: axes of the tangents, counted from the end of each where negative; None for all.

    Returns:
        A value for each output: `Lanes`, or the output itself where it is no real or complex array.

    Raises:
        MixedAxesError: the axes do not exist, or those that are left do not fit the results.
    """
    buckets: dict[Any, _Bucket] = {}
    for place, value in enumerate(operands):
        if isinstance(value, Lanes):
            chosen = _mixed_axes(eqn, value.shape, mixed)
            for group in uniform_along(value, chosen).groups:
                _put(buckets, place, group, value, chosen)
    results: list[list[Group]] = [[] for _ in eqn.outvars]
    for bucket in buckets.values():
        for i, data in enumerate(_apply(eqn, operands, bucket)):
            if equations.is_inexact(equations.output(eqn, i)):
                results[i].append(Group(data, _index_of_output(eqn, i, bucket)))
    is_tangent = [equations.is_inexact(equations.output(eqn, i)) for i in range(len(results))]
    rest = [] if all(is_tangent) else _bound(eqn, operands, {})  # what does not depend on tangents
    return [
        merge(zeros_like_value(eqn, i), results[i]) if on else rest[i]
        for i, on in enumerate(is_tangent)
    ]


@dataclass
class _Bucket:
    """Groups of one index.

    Attributes:
        index: `[k, *kept sizes or 1s]`, without the mixed axes.
        kept: the axes that are not mixed, with their sizes.
        rank: of the tangents.
        data: `[k, *shape]` for each tangent operand that has such a group, by its place.
    """

    index: np.ndarray
    kept: tuple[tuple[int, int], ...]
    rank: int
    data: dict[int, Any] = field(default_factory=dict)


def _put(
    buckets: dict[Any, _Bucket], place: int, group: Group, value: Lanes, mixed: Sequence[int]
) -> None:
    rank = len(value.shape)
    kept = tuple((a, n) for a, n in enumerate(value.shape) if a not in mixed)
    index = group.index.reshape([group.lanes, *(group.index.shape[1 + a] for a, _ in kept)])
    key = (kept, rank, index.shape, index.tobytes()) if kept else (index.shape, index.tobytes())
    bucket = buckets.setdefault(key, _Bucket(index, kept, rank))
    data = spread_lanes(spread(group.data, range(rank), value.shape), group.lanes)
    bucket.data[place] = bucket.data[place] + data if place in bucket.data else data


def _apply(eqn: JaxprEqn, operands: Sequence[Any], bucket: _Bucket) -> list[Any]:
    """The outputs for every lane, along a leading axis."""

    def one_lane(tangents: dict[int, Any]) -> list[Any]:
        return _bound(eqn, operands, tangents)

    return (jax.vmap(one_lane) if _is_batched(eqn) else partial(lax.map, one_lane))(bucket.data)


def _bound(eqn: JaxprEqn, operands: Sequence[Any], tangents: dict[int, Any]) -> list[Any]:
    """The equation evaluated with these tangents, by the place of their operand; others are zero."""
    filled = [
        tangents.get(i, jnp.zeros(x.shape, x.dtype)) if isinstance(x, Lanes) else x
        for i, x in enumerate(operands)
    ]
    return equations.bind(eqn, filled)


def _is_batched(eqn: JaxprEqn) -> bool:
    """Whether JAX can apply an operation to many lanes at once, rather than to one after another."""
    # `primitive_batchers` writes through to this table, and cannot be asked itself
    return eqn.primitive in batching.fancy_primitive_batchers and not indexing.lacks_vmap_method(eqn)


def _mixed_axes(eqn: JaxprEqn, shape: Sequence[int], mixed: Axes) -> list[int]:
    rank = len(shape)
    if mixed is None:
        return list(range(rank))
    wrong = [a for a in mixed if not -rank <= a < rank]
    if wrong:
        there_are = f"the axes {-rank} to {rank - 1}" if rank else "no axes"
        raise MixedAxesError(
            f"{named_with_line(eqn)} is said to mix axis {wrong[0]}, and a tangent operand of it has "
            f"the shape {tuple(shape)}, with {there_are}"
        )
    return sorted({a % rank for a in mixed})


def _index_of_output(eqn: JaxprEqn, i: int, bucket: _Bucket) -> np.ndarray:
    """An index without mixed axes as one of output i, uniform along all others."""
    shape = tuple(equations.output(eqn, i).shape)
    kept = [axis for axis, _ in bucket.kept]
    if kept and len(shape) == len(kept) < bucket.rank:
        kept = list(range(len(kept)))  # the mixed axes are gone
    elif kept and len(shape) != bucket.rank:
        raise _misfit(eqn, i, shape, bucket)
    if any(shape[axis] != n for axis, (_, n) in zip(kept, bucket.kept, strict=True)):
        raise _misfit(eqn, i, shape, bucket)
    return insert_axes(bucket.index, len(shape), kept)


def _misfit(eqn: JaxprEqn, i: int, shape: Sequence[int], bucket: _Bucket) -> MixedAxesError:
    kept = ", ".join(f"{axis} (of size {n})" for axis, n in bucket.kept)
    return MixedAxesError(
        f"{named_with_line(eqn)} is said not to mix the axes {kept} of a tangent of rank "
        f"{bucket.rank}, and output {i} has the shape {tuple(shape)}, where they are not in their "
        "places. Name all axes that it mixes, or give a rule that says where each axis goes"
    )
