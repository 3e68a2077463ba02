"""Values of f near x: one vector of real numbers for each point, many points at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.flatten import FlatMap, require_differentiable_output
from jaxcalc.heuristics import heuristics
from jaxcalc.numerical.columns import Column, Kernel, Row, limits_of_samples


@dataclass(frozen=True)
class Part:
    """Where an output leaf lies in the vector of f's values; a complex one has two sets of columns."""

    shape: tuple[int, ...]
    dtype: Any
    columns: tuple[slice, ...]


@dataclass(frozen=True)
class Group:
    """The input leaves of one dtype, as one flat vector of elements.

    Attributes:
        members: for each of these leaves, its place among all leaves and that of its first element.
        elements: their elements, `[count]`.
        first: the place of the first of these elements among those of all groups.
    """

    members: tuple[tuple[int, int], ...]
    elements: Any
    first: int

    @property
    def count(self) -> int:
        """The number of elements."""
        return int(self.elements.shape[0])

    @property
    def dtype(self) -> Any:
        """The dtype that they share."""
        return self.elements.dtype

    def displaced(self, leaves: Sequence[Any], element: Any, step: Any) -> list[Any]:
        """All leaves, with one element of this group moved by `step`."""
        moved = list(leaves)
        for place, start in self.members:
            leaf = moved[place]
            flat = leaf.reshape(-1)
            here = lax.iota(np.int32, flat.size) == element - start
            moved[place] = jnp.where(here, flat + step, flat).reshape(leaf.shape)
        return moved


Move = Callable[[tuple[Any, ...], Any], list[Any]]  # places and offsets to inputs


@dataclass
class Samples:
    """f as a function from displaced inputs to one real vector, evaluated at x when this is made.

    Attributes:
        flat: f on the leaves of its chosen arguments.
        leaves: those leaves, as arrays.
        groups: the leaves by dtype; elements of groups are numbered on from group to group.
        parts: where each output leaf lies in the vector.
        dtype: float32 or float64: the dtype of the vector, and of all arithmetic on it.
        center: f(x), `[m]`.
        aux: what f returned beside its output.
    """

    flat: FlatMap
    leaves: list[Any] = field(init=False)
    groups: list[Group] = field(init=False)
    parts: list[Part] = field(init=False)
    dtype: Any = field(init=False)
    center: Any = field(init=False)
    aux: Any = field(init=False)

    def __post_init__(self) -> None:
        self.leaves = [jnp.asarray(leaf) for leaf in self.flat.leaves]
        self.groups = _grouped(self.leaves)
        output, self.aux = self.flat(self.leaves)
        api = self.flat.chosen.api
        require_differentiable_output(api, output, self.flat.treedef, holomorphic=False)
        self.parts = _parts(output)
        dtypes = [part.dtype for part in self.parts] + [leaf.dtype for leaf in self.leaves]
        wide = any(jnp.finfo(dtype).nmant > jnp.finfo(np.float32).nmant for dtype in dtypes)
        self.dtype = np.dtype(np.float64 if wide else np.float32)
        self.center = self._vector(output)

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """The values of f, real parts before imaginary ones, leaf by leaf: `[m]`."""
        return self._vector(self.flat(leaves)[0])

    def _vector(self, output: Sequence[Any]) -> Any:
        pieces = [jnp.zeros(0, self.dtype)]
        for part, leaf in zip(self.parts, output, strict=True):
            y = jnp.asarray(leaf)
            real = [y] if len(part.columns) == 1 else [jnp.real(y), jnp.imag(y)]
            pieces += [piece.reshape(-1).astype(self.dtype) for piece in real]
        return jnp.concatenate(pieces)

    def columns(self, *groups: Group, bits: int | None = None) -> Column:
        """What is known of each output, for derivatives with respect to elements of these groups.

        `bits` are those of mantissa that f carries, where it is known to round to fewer than it takes.
        """
        inputs = max(float(jnp.finfo(group.dtype).eps) for group in groups)
        inputs = inputs if bits is None else max(inputs, 2.0**-bits)
        epsilon, floor = (np.zeros(self.center.shape, self.dtype) for _ in range(2))
        for part in self.parts:
            for columns in part.columns:
                # f(x) may be computed in the dtype of x and converted
                epsilon[columns] = max(inputs, float(jnp.finfo(part.dtype).eps))
                floor[columns] = float(jnp.finfo(part.dtype).tiny)
        return Column(self.center, epsilon, floor)

    def limits(
        self, kernel: Kernel, move: Move, places: tuple[np.ndarray, ...], row: Row, columns: Column
    ) -> Any:
        """What the kernel finds at each of n places, of each output element: `[n, m]` each.

        f is sampled at `move(place, offset)` for each offset of the place's row, vectorized where it
        can be traced, and as many places at a time as the workspace holds.
        """
        count, points = jax.tree.leaves(row.offsets)[0].shape
        if not count:
            return self._empty, self._empty
        batch = max(1, self._at_once // points)

        def limit(one: tuple[tuple[Any, ...], Row]) -> Any:
            values = self._together(move, one[0], one[1].offsets)
            over_outputs = jax.vmap(kernel, in_axes=(1, None, Column(0, 0, 0)))
            return over_outputs(values, one[1], columns)

        everything = tuple(jnp.asarray(place) for place in places), row
        turns = -(-count // batch)
        if turns > (1 if self._is_traced else heuristics().sampled_turns):
            try:
                return lax.map(limit, everything, batch_size=batch)
            except (*PERHAPS_UNTRACEABLE, NotImplementedError):  # or a primitive has no batching rule
                turns = 1
        found = [
            limits_of_samples(kernel, self.sampled(move, some, part.offsets), part, columns)
            for some, part in _split(everything, count, turns)
        ]
        return found[0] if turns == 1 else jax.tree.map(lambda *each: jnp.concatenate(each), *found)

    def fit(self, count: int, points: int) -> bool:
        """Whether the workspace holds the values of f at so many places, and so many points of each."""
        return count * points <= self._at_once

    def sampled(self, move: Move, places: tuple[Any, ...], offsets: Any) -> Any:
        """f at `move(place, offset)`, for each offset of each of n places: `[n, points, m]`."""
        try:
            return jax.vmap(partial(self._together, move))(places, offsets)
        except (*PERHAPS_UNTRACEABLE, NotImplementedError):  # or a primitive has no batching rule
            if self._is_traced:
                return lax.map(lambda one: self._in_turn(move, *one), (places, offsets))
            return self._one_by_one(move, places, offsets)

    def _together(self, move: Move, place: Any, offsets: Any) -> Any:
        points = jax.tree.leaves(offsets)[0].shape[0]
        if points > self._at_once:
            return self._in_turn(move, place, offsets)
        return jax.vmap(lambda offset: self(move(place, offset)))(offsets)

    def _in_turn(self, move: Move, place: Any, offsets: Any) -> Any:
        return lax.map(lambda offset: self(move(place, offset)), offsets)

    @property
    def _at_once(self) -> int:
        """How many points the workspace holds."""
        values = sum(leaf.size for leaf in self.leaves) + 20 * self.center.size
        return max(1, heuristics().sampled_bytes // (self.dtype.itemsize * values + 1))

    @property
    def _is_traced(self) -> bool:
        return isinstance(self.center, jax.core.Tracer)

    def _one_by_one(self, move: Move, places: tuple[np.ndarray, ...], offsets: Any) -> Any:
        """f at each place and offset: `[n, points, m]`."""
        each = zip(zip(*places, strict=True), _unstacked(offsets), strict=True)
        return jnp.stack(
            [jnp.stack([self(move(place, by)) for by in _unstacked(line)]) for place, line in each]
        )

    @property
    def _empty(self) -> Any:
        return jnp.zeros((0, self.center.size), self.dtype)


def _split(tree: Any, count: int, turns: int) -> list[Any]:
    """A pytree of arrays with `count` rows, in so many parts of nearly equal length."""
    if turns == 1:
        return [tree]
    ends = [count * turn // turns for turn in range(turns + 1)]
    return [jax.tree.map(lambda a, i=i, j=j: a[i:j], tree) for i, j in pairwise(ends)]


def _unstacked(tree: Any) -> list[Any]:
    """A pytree of arrays as the pytrees of their rows."""
    leaves, treedef = jax.tree.flatten(tree)
    return [jax.tree.unflatten(treedef, row) for row in zip(*leaves, strict=True)]


def _grouped(leaves: Sequence[Any]) -> list[Group]:
    members: dict[Any, list[int]] = {}
    for place, leaf in enumerate(leaves):
        members.setdefault((leaf.dtype, leaf.weak_type), []).append(place)
    groups, first = [], 0
    for places in members.values():
        starts = np.cumsum([0, *(leaves[place].size for place in places)])
        flat = [leaves[place].reshape(-1) for place in places]
        elements = flat[0] if len(flat) == 1 else jnp.concatenate(flat)
        group = Group(tuple(zip(places, starts.tolist(), strict=False)), elements, first)
        groups.append(group)
        first += group.count
    return groups


def _parts(output: Sequence[Any]) -> list[Part]:
    parts, start = [], 0
    for leaf in output:
        shape, dtype = jnp.shape(leaf), dtype_of(leaf)
        columns = []
        for _ in range(2 if jnp.issubdtype(dtype, jnp.complexfloating) else 1):
            columns.append(slice(start, start + prod(shape)))
            start += prod(shape)
        parts.append(Part(shape, dtype, tuple(columns)))
    return parts
