"""A numerical derivative with its error, and how both are packed into the structure of f."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.display.tables import Table, as_html
from jaxcalc.numerical.sampling import Part, Samples


class Estimate(NamedTuple):
    """A numerical derivative, and how far from the true one it may be; a pytree.

    Attributes:
        value: the derivative, of the structure, shapes and dtypes of the exact one. NaN where f gave
            nothing to go by: f(x) is not finite, or f is not finite on both sides of x.
        error: the same structure of real numbers: the true derivative is within `error` of `value`,
            as far as the values of f can tell. Infinite where `value` is NaN, and where f is not
            smooth at the scale of the smallest steps: it jumps there or oscillates faster. At a kink
            it covers the slopes on both sides.
    """

    value: Any
    error: Any

    def _repr_html_(self) -> str | None:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(self)):
            return None
        rows = [
            [keystr(path), _shortened(value, 7), _shortened(error, 2)]
            for (path, value), error in zip(
                tree_flatten_with_path(self.value)[0], jax.tree.leaves(self.error), strict=True
            )
        ]
        return as_html(Table("", ("", "value", "error, at most"), rows))


def _shortened(numbers: Any, digits: int) -> str:
    shown = np.asarray(numbers)
    if shown.ndim == 0:
        return f"{shown.item():.{digits}g}"
    return np.array2string(
        shown, threshold=12, edgeitems=2, formatter={"all": lambda number: f"{number:.{digits}g}"}
    )


def pack(value: Any, error: Any, part: Part, dtype: Any) -> Estimate:
    """The estimate for one output leaf, from the columns that belong to it, in `dtype`.

    `value` and `error` have f's output elements on their last axis; the results have them first, in
    the shape of the output.
    """
    real = jnp.finfo(dtype).dtype
    values, errors = (
        [
            jnp.moveaxis(table[..., columns], -1, 0).reshape(part.shape + table.shape[:-1])
            for columns in part.columns
        ]
        for table in (value, error)
    )
    if len(values) == 1:
        return Estimate(values[0].astype(dtype), errors[0].astype(real))
    return Estimate(lax.complex(*values).astype(dtype), jnp.hypot(*errors).astype(real))


def row(samples: Samples, value: Any, error: Any, part: Part, axis: int) -> list[Estimate]:
    """The estimates for one output leaf and each input leaf, from tables with elements on `axis`."""
    columns = by_leaf(samples, value, error, axis=axis)
    return [pack(v, e, part, part.dtype) for v, e in columns]


def by_leaf(samples: Samples, value: Any, error: Any, *, axis: int) -> list[tuple[Any, Any]]:
    """Tables with all input elements on `axis`, as one pair of tables for each input leaf.

    The leaf's own axes take the place of `axis`.
    """
    pieces: list[Any] = [None] * len(samples.leaves)
    for group in samples.groups:
        for place, start in group.members:
            first = group.first + start
            pieces[place] = tuple(
                _piece(table, samples.leaves[place].shape, first, axis) for table in (value, error)
            )
    return pieces


def _piece(table: Any, shape: tuple[int, ...], first: int, axis: int) -> Any:
    piece = lax.slice_in_dim(table, first, first + prod(shape), axis=axis)
    return piece.reshape(table.shape[:axis] + shape + table.shape[axis + 1 :])


def halves(blocks: Any) -> tuple[Any, Any]:
    """Nested lists of estimates as nested lists of values, and of errors."""

    def half(place: int) -> Any:
        return jax.tree.map(lambda e: e[place], blocks, is_leaf=lambda e: isinstance(e, Estimate))

    return half(0), half(1)
