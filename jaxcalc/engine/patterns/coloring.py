"""The entries of a derivative from products with few vectors, some at a time, as its pattern is known.

Two seeds of which no element has both an entry may share a product (Curtis, Powell and Reid, 1974). It
takes longer than to follow all lanes at once, and holds a few of them at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.engine.patterns.column_colors import column_colors
from jaxcalc.engine.tangents.entries import look_up

Product = Callable[[Any], Any]


@dataclass(frozen=True)
class Coloring:
    """Which seeds share a product.

    Attributes:
        elements: `[nnz]` the element of the result of each entry.
        seeds: `[nnz]` its seed.
        count: how many seeds there are.
        grid: the shape of the array whose elements are the seeds, where it is one array.
    """

    elements: np.ndarray
    seeds: np.ndarray
    count: int
    grid: tuple[int, ...] | None = None

    @cached_property
    def colors(self) -> np.ndarray:
        """`[count]` a number for each seed, different for any two that an element has both of."""
        shape = int(self.elements.max(initial=-1)) + 1, self.count
        return column_colors(self.elements, self.seeds, shape, self.grid)

    @property
    def products(self) -> int:
        """How many products it takes."""
        return int(self.colors.max(initial=-1)) + 1

    def places(self, size: int) -> np.ndarray:
        """`[nnz]` where each entry is in the results, a row of `size` for each product."""
        return self.colors[self.seeds].astype(np.int64) * size + self.elements

    def entries(self, product: Product, size: int, block: int) -> Any:
        """`[nnz]` the entries, by products with `block` vectors `[count]` of zeros and ones at a time.

        `product` returns a vector `[size]`.
        """
        turns = max(1, -(-self.products // block))
        numbers = np.arange(turns * block).reshape(turns, block)  # products over the end are zero
        of_seeds = jnp.asarray(self.colors)

        def one(number: Any) -> Any:
            return product(of_seeds == number)

        def step(_: None, some: Any) -> tuple[None, Any]:
            return None, jax.vmap(one)(some)

        if turns == 1:
            results = jax.vmap(one)(jnp.asarray(numbers[0]))
        else:
            _, results = lax.scan(step, None, jnp.asarray(numbers))
        return look_up(results.reshape(-1), self.places(size))


def one_product(
    run: Callable[[Mapping[Any, Any]], Sequence[Any]],
    values: Mapping[Any, Any],
    tangents: Sequence[Any],
    dtype: Any,
) -> Product:
    """A linear program as a function of which seeds are set, whose results are one vector.

    Args:
        run: evaluates it, given the values of its slots.
        values: the residuals.
        tangents: its seeds, as slots.
        dtype: of the vector.
    """
    cuts = np.cumsum([int(np.prod(slot.aval.shape)) for slot in tangents])

    def product(chosen: Any) -> Any:
        parts = jnp.split(chosen, cuts[:-1]) if len(tangents) else []
        given = dict(values) | {
            slot: part.reshape(slot.aval.shape).astype(slot.aval.dtype)
            for slot, part in zip(tangents, parts, strict=True)
        }
        results = [jnp.ravel(x).astype(dtype) for x in run(given)]
        return jnp.concatenate(results) if results else jnp.zeros(0, dtype)

    return product
