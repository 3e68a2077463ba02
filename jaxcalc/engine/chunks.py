"""Dense Jacobians a block of basis vectors at a time, so that the workspace stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Push = Callable[[list[Any]], list[Any]]


def products_with_basis(
    linear: Push, like: Sequence[Any], chosen: np.ndarray | None = None, *, block: int
) -> list[Any]:
    """A linear map applied to basis vectors: for each output leaf an array `[n, *leaf]`.

    Args:
        linear: a map of lists of arrays.
        like: arrays (or shapes) like those it takes, N elements in all.
        chosen: which basis vectors, by their flat number; all N if it is left out.
        block: how many are done at once; the last block may be smaller.
    """
    sizes = [prod(x.shape) for x in like]
    starts = [0, *accumulate(sizes)][:-1]
    numbers = np.arange(sum(sizes)) if chosen is None else chosen

    def one(number: Any) -> list[Any]:
        vectors = [
            (jnp.arange(start, start + size) == number).astype(x.dtype).reshape(x.shape)
            for start, size, x in zip(starts, sizes, like, strict=True)
        ]
        return list(linear(vectors))

    if block >= len(numbers):
        return list(jax.vmap(one)(jnp.asarray(numbers)))
    return list(lax.map(one, jnp.asarray(numbers), batch_size=block))
