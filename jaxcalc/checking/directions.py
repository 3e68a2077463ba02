"""Which directions a derivative is checked along: random ones, one leaf at a time, and unit vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcalc.checking.reals import Place, RealMap, flattened, unflattened

_MOST_GROUPS = 12
_TINY = 2.0**10  # times smaller than 1: such a number has a scale of its own


@dataclass(frozen=True)
class Directions:
    """Directions in which x is moved, and what the steps along them have to know.

    Attributes:
        rows: `[d, n]`, in float64; each can be represented in the dtypes of x.
        sizes: `[d]`, how large the elements that move are.
        dtypes: for each direction the coarsest dtype of what moves.
        elements: for each direction the one element that moves, by 1, or -1 where several do.
    """

    rows: np.ndarray
    sizes: np.ndarray
    dtypes: tuple[Any, ...]
    elements: np.ndarray

    def __len__(self) -> int:
        return len(self.dtypes)

    def only(self, places: np.ndarray) -> Directions:
        """Some of them."""
        dtypes = tuple(self.dtypes[i] for i in places)
        return Directions(self.rows[places], self.sizes[places], dtypes, self.elements[places])


def point(f: RealMap) -> np.ndarray:
    """x as one vector, `[n]`."""
    return flattened([jnp.expand_dims(leaf, 0) for leaf in f.leaves], 1)[0]


def random_directions(f: RealMap, rng: np.random.Generator, each: int) -> Directions:
    """Random directions, `each` for each input array, or for each of a dozen groups of many.

    An element is moved in proportion to its own scale, as steps are chosen as well. Where one
    element moves alone there is one direction, the unit vector: others are multiples of it.
    """
    rows = []
    for mask in _groups(f):
        if mask.sum() == 1:
            rows.append(mask.astype(np.float64))
        elif mask.any():
            rows += [np.where(mask, signs(rng, mask.size), 0.0) for _ in range(each)]
    return scaled(f, np.stack(rows) if rows else np.zeros((0, f.size)))


def with_unit_directions(f: RealMap, random: Directions) -> Directions:
    """The random directions that move several elements, and each element in turn, which come last."""
    several = random.only(np.flatnonzero(random.elements < 0))
    return joined(several, scaled(f, np.eye(f.size)))


def scales(f: RealMap) -> np.ndarray:
    """By how much each element is moved, relative to the others, `[n]`.

    As much as it is large, or 1 where it is a little less; a tiny one has a scale of its own, and a
    zero that of its neighbors.
    """
    x = np.abs(point(f))
    x = np.where(np.isfinite(x), x, 0.0)
    own = np.maximum(x, np.minimum(1.0, _TINY * x))
    start = 0
    for place in f.inputs:
        part = own[start : start + place.size]
        known = part[part > 0]
        part[part == 0] = np.median(known) if known.size else 1.0
        start += place.size
    return own


def scaled(f: RealMap, rows: np.ndarray) -> Directions:
    """Directions from the relative movement of each element, `[d, n]`; one alone moves by 1."""
    x, scale = np.abs(point(f)), scales(f)
    x = np.where(np.isfinite(x), x, 0.0)
    moves = rows != 0
    counts = np.maximum(moves.sum(axis=1), 1)
    typical = np.sqrt(((scale**2) * moves).sum(axis=1) / counts)
    digits = np.max(np.where(moves, x / scale, 0.0), axis=1, initial=0.0)  # of x, in terms of steps
    sizes = np.where(typical > 1, typical, digits)
    rows = rows * scale / np.maximum(typical, 1.0)[:, None]
    single = moves.sum(axis=1) == 1
    elements = np.where(single, moves.argmax(axis=1) if f.size else 0, -1)
    rows = np.where(single[:, None], np.sign(rows), rows)
    if f.size:
        sizes = np.where(single, x[elements], sizes)
    exact = flattened(unflattened(rows, f.inputs), len(rows))  # as the dtypes of x can hold it
    return Directions(exact, sizes, tuple(_coarsest(f, row) for row in moves), elements)


def unit_directions(f: RealMap, at_once: int) -> Iterator[Directions]:
    """Each element in turn, in batches."""
    for start in range(0, f.size, at_once):
        numbers = np.arange(start, min(start + at_once, f.size))
        rows = np.zeros((len(numbers), f.size))
        rows[np.arange(len(numbers)), numbers] = 1.0
        yield scaled(f, rows)


def signs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random numbers of both signs, none of them small."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.0, shape)


def _groups(f: RealMap) -> list[np.ndarray]:
    starts = np.cumsum([0, *(place.size for place in f.inputs)])
    by_dtype: dict[Any, list[int]] = {}
    for i, place in enumerate(f.inputs):
        by_dtype.setdefault(np.dtype(place.dtype), []).append(i)
    masks = []
    for members in by_dtype.values():
        for group in np.array_split(members, min(len(members), _MOST_GROUPS)):
            mask = np.zeros(f.size, bool)
            for i in group:
                mask[starts[i] : starts[i + 1]] = True
            masks.append(mask)
    return masks


def _coarsest(f: RealMap, moves: np.ndarray) -> Any:
    found: list[Place] = []
    start = 0
    for place in f.inputs:
        if moves[start : start + place.size].any():
            found.append(place)
        start += place.size
    return max((np.dtype(p.dtype) for p in found), key=lambda d: float(jnp.finfo(d).eps), default=None)


def joined(one: Directions, other: Directions) -> Directions:
    """The directions of both, in this order."""
    return Directions(
        np.concatenate([one.rows, other.rows]),
        np.concatenate([one.sizes, other.sizes]),
        one.dtypes + other.dtypes,
        np.concatenate([one.elements, other.elements]),
    )
