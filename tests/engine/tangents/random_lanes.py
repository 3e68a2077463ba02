"""Structured tangents drawn at random, and the dense arrays that they stand for."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from jaxcalc.engine.tangents.lanes import Group, Lanes
from tests.in_numpy import in_numpy

INPUTS = 5  # the number of inputs that indices count


def dense(value: Lanes, inputs: int = INPUTS) -> np.ndarray:
    """`[inputs, *shape]`, entry by entry; what stands where the index is -1 is not read."""
    total = np.zeros((inputs, *value.shape))
    for group in value.groups:
        full = (group.lanes, *value.shape)
        index = np.broadcast_to(group.index, full)
        data = np.broadcast_to(np.asarray(group.data), full)
        for place in np.ndindex(full):
            if index[place] >= 0:
                total[(index[place], *place[1:])] += data[place]
    return total


def assert_distinct(value: Lanes) -> None:
    """No element has the same input twice."""
    for place in np.ndindex(value.shape):
        found: list[int] = []
        for group in value.groups:
            lanes = np.broadcast_to(group.index, (group.lanes, *value.shape))[(slice(None), *place)]
            found += [i for i in lanes if i >= 0]
        assert len(found) == len(set(found)), place


def group_of(rng: np.random.Generator, shape: tuple[int, ...], lanes: int, holes: float) -> Group:
    """Lanes with distinct inputs; coefficients are small integers, and NaN where there is no entry."""
    inner = tuple(n if rng.random() < 0.7 else 1 for n in shape)
    order = rng.random((INPUTS, *inner)).argsort(axis=0)
    index = order[:lanes].astype(np.int32)
    index[rng.random(index.shape) < holes] = -1
    full = np.broadcast_to(index, (lanes, *shape))
    data_shape = [n if m > 1 or rng.random() < 0.5 else 1 for n, m in zip(shape, inner, strict=True)]
    data = rng.integers(-4, 5, (lanes, *data_shape)).astype(np.float32)
    hollow = (full < 0).all(
        axis=tuple(1 + a for a, n in enumerate(data_shape) if n == 1), keepdims=True
    )
    data = np.where(hollow, np.float32(np.nan), data)
    if rng.random() < 0.2:  # all lanes share their coefficients
        data = rng.integers(1, 5, (1, *data_shape)).astype(np.float32)
    return Group(np.asarray(data), index) if rng.random() < 0.3 else Group(_traced(data), index)


def _traced(data: np.ndarray) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(data)


@st.composite
def lanes(draw: Any, shape: tuple[int, ...], groups: int = 3) -> list[Group]:
    """Up to so many groups of a value of `shape`, that may share inputs between them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, groups))
    sizes = [draw(st.integers(1, INPUTS)) for _ in range(count)]
    holes = draw(st.sampled_from([0.0, 0.3, 0.8]))
    return [group_of(rng, shape, size, holes) for size in sizes]


def worked_out(make: Callable[[list[Group]], Lanes], groups: list[Group]) -> Lanes:
    """What `make` makes of groups, computed in numpy: XLA would compile each operation on its own.

    Coefficients that are known stay so, the others are traced.
    """
    made: list[Lanes] = []

    def run(arrays: list[Any]) -> list[Any]:
        rest = iter(arrays)
        given = [g if _is_known(g) else Group(next(rest), g.index) for g in groups]
        made.append(make(given))
        return [group.data for group in made[-1].groups]

    data = in_numpy(run)([g.data for g in groups if not _is_known(g)])
    new = zip(data, made[-1].groups, strict=True)
    return Lanes(made[-1].shape, made[-1].dtype).with_groups([Group(d, g.index) for d, g in new])


def _is_known(group: Group) -> bool:
    return isinstance(group.data, np.ndarray)


def value_of(shape: tuple[int, ...], groups: list[Group]) -> Lanes:
    """A value that holds groups as they are; its entries are the sum of theirs."""
    return Lanes(shape, np.dtype(np.float32)).with_groups(groups)
