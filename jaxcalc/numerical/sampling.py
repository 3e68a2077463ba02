"""Values of f near x: one vector of real numbers for each point, many points at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.arguments import dtype_of
from jaxcalc.engine.dense import UNTRACEABLE
from jaxcalc.flat import FlatMap, require_differentiable_output
from jaxcalc.numerical.extrapolation import Quotients, extrapolate

_WORKSPACE = 2**26  # bytes of sampled inputs and outputs that are held at a time


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

    def resolution(self, *groups: Group) -> Any:
        """For each output element, the spacing of floats near 1 in the coarsest dtype involved: `[m]`.

        It is that of the output or of the inputs, whichever is coarser: f(x) may be computed in the
        dtype of x and converted.
        """
        inputs = max(float(jnp.finfo(group.dtype).eps) for group in groups)
        filled = np.zeros(self.center.shape, self.dtype)
        for part in self.parts:
            for columns in part.columns:
                filled[columns] = max(inputs, float(jnp.finfo(part.dtype).eps))
        return jnp.asarray(filled)

    def smallest(self) -> Any:
        """For each output element, the size below which its dtype rounds to zero: `[m]`."""
        filled = np.zeros(self.center.shape, self.dtype)
        for part in self.parts:
            for columns in part.columns:
                filled[columns] = float(jnp.finfo(part.dtype).tiny)
        return jnp.asarray(filled)

    def each(
        self, one: Callable[[Sampler, Any], Quotients], places: Sequence[np.ndarray], points: int
    ) -> tuple[Any, Any]:
        """The limit of `one(sample, places)` for each of the places, and its error: `[places, m]` each.

        `sample(move, steps)` gives f at `move(step)` for each step, vectorised where f can be traced.
        `points` is how many points `one` samples: as many are done at a time as the workspace holds.
        """
        count = len(places[0])
        if not count:
            nothing = jnp.zeros((0, self.center.size), self.dtype)
            return nothing, nothing
        values = sum(leaf.size for leaf in self.leaves) + 20 * self.center.size
        batch = max(1, _WORKSPACE // (self.dtype.itemsize * points * values + 1))
        try:
            arrays = tuple(jnp.asarray(place) for place in places)
            if count <= batch:
                return _extrapolate(jax.vmap(lambda place: one(self._together, place))(arrays))
            return lax.map(
                lambda place: extrapolate(one(self._together, place)), arrays, batch_size=batch
            )
        except UNTRACEABLE:
            results = [one(self._in_turn, place) for place in zip(*places, strict=True)]
            return _extrapolate(jax.tree.map(lambda *leaves: jnp.stack(leaves), *results))

    def _together(self, move: Callable[..., list[Any]], steps: Any) -> Any:
        return jax.vmap(lambda step: self(move(step)))(steps)

    def _in_turn(self, move: Callable[..., list[Any]], steps: Any) -> Any:
        leaves, treedef = jax.tree.flatten(steps)
        each = [jax.tree.unflatten(treedef, step) for step in zip(*leaves, strict=True)]
        return jnp.stack([self(move(step)) for step in each])


_extrapolate = jax.jit(jax.vmap(extrapolate))
Sampler = Callable[[Callable[..., list[Any]], Any], Any]


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
