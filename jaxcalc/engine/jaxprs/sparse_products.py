"""Operations of `jax.experimental.sparse` as programs of gathers, products and scatters.

JAX applies them as primitives of their own. The places of a sparse matrix that f closes over are known,
so that as a program their structure is known as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import indexing
from jaxcalc.engine.jaxprs.traits import having

# defined by a function that JAX evaluates with other primitives
_DEFINED = having("sparse")
OF_PLACES = having("sparse_places")
SPARSE = _DEFINED | {"bcoo_dot_general", "bcsr_dot_general"}


def as_program(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """What a sparse operation does, as a program; None where it is not known how.

    That is a product with a matrix that has batch axes or dense axes of its own.
    """
    name = eqn.primitive.name
    avals: list[Any] = [v.aval for v in eqn.invars]
    function: Callable[..., Any]
    if name in _DEFINED | OF_PLACES:
        function = indexing.implementation(eqn)
    elif avals[0].ndim == 1 and (name == "bcsr_dot_general" or avals[1].ndim == 2):
        function = _product_of(eqn)
    else:
        return None
    return jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals))


def _product_of(eqn: JaxprEqn) -> Callable[..., Any]:
    how = indexing.sparse_dot(eqn)
    dtype = eqn.outvars[0].aval.dtype  # type: ignore[attr-defined]

    def of_coordinates(data: Any, indices: Any, dense: Any) -> Any:
        return sparse_product(data.astype(dtype), indices, dense.astype(dtype), how)

    def of_rows(data: Any, columns: Any, starts: Any, dense: Any) -> Any:
        # the row of an entry: how many rows start at it or before, but for the first
        steps = jnp.zeros(len(columns) + 1, starts.dtype).at[starts[1:]].add(1)
        rows = jnp.cumsum(steps)[:-1].astype(columns.dtype)
        return of_coordinates(data, jnp.stack([rows, columns], axis=1), dense)

    return of_coordinates if eqn.primitive.name == "bcoo_dot_general" else of_rows


def sparse_product(data: Any, indices: Any, dense: Any, how: indexing.SparseDot) -> Any:
    """Each entry times the elements of `dense` that it meets, added up at the place it belongs to.

    Entries whose index is out of bounds are padding, and count as zero.

    Args:
        data: `[nse]`.
        indices: `[nse, rank]`.
        dense: the other operand.
        how: which axes are contracted.

    Returns:
        An array of shape `(*free axes of the matrix, *free axes of dense)`.
    """
    left, right = how.contracted
    kept = [a for a in range(len(how.shape)) if a not in left]
    free = [a for a in range(dense.ndim) if a not in right]
    read = tuple(indices[:, a] for a in left)
    elements = dense.transpose([*right, *free]).at[read].get(mode="fill", fill_value=0)
    terms = data.reshape((-1, *[1] * len(free))) * elements  # [nse, *free]
    total = jnp.zeros([*(how.shape[a] for a in kept), *terms.shape[1:]], terms.dtype)
    if not kept:
        return total + terms.sum(0)
    return total.at[tuple(indices[:, a] for a in kept)].add(terms, mode="drop")
