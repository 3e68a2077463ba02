"""Places that are known in part: `x[jnp.arange(n), labels]` takes one element of each row.

JAX writes such an index as one array, a known column beside a traced one, so that any row might seem
to meet any other. Here the column that counts the rows becomes a batch axis of the gather or the
scatter, which then mixes within a row only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.jaxprs.fold import Static
from jaxcalc.engine.jaxprs.traits import having

_BY_PLACE = having("folds_places")


class ByRow(NamedTuple):
    """A gather or scatter whose rows are a batch axis.

    Attributes:
        program: takes the operand, the columns of the places but one, and a scatter's updates.
        counted: the column that it leaves out, which counts the rows.
    """

    program: ClosedJaxpr
    counted: Static


def joins_columns(eqn: JaxprEqn) -> bool:
    """Whether an equation joins columns of integers, each of width one."""
    if eqn.primitive.name != "concatenate" or equations.is_inexact(equations.output(eqn)):
        return False
    last = len(equations.output(eqn).shape) - 1
    columns: list[Any] = [v.aval for v in eqn.invars]
    return equations.dimension(eqn) == last and all(c.shape[-1] == 1 for c in columns)


def by_row(eqn: JaxprEqn, columns: Sequence[Any]) -> ByRow | None:
    """The same gather or scatter with one column of its places made a batch axis, or None."""
    if eqn.primitive.name not in _BY_PLACE:
        return None
    for i, column in enumerate(columns):
        if isinstance(column, Static):
            numbers = _numbers(eqn, i, column)
            if numbers is not None:
                others = [c.aval for c in columns if c is not column]
                return ByRow(_program(indexing.with_places(eqn, numbers), others), column)
    return None


def _program(eqn: JaxprEqn, columns: Sequence[Any]) -> ClosedJaxpr:
    avals: list[Any] = [v.aval for v in eqn.invars]
    operand, _, *updates = avals

    def run(operand: Any, columns: list[Any], updates: list[Any]) -> Any:
        places = lax.concatenate(columns, columns[0].ndim - 1)
        return equations.bind(eqn, [operand, places, *updates])

    shapes = [[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in given] for given in (columns, updates)]
    return jax.make_jaxpr(run)(jax.ShapeDtypeStruct(operand.shape, operand.dtype), *shapes)


def _numbers(eqn: JaxprEqn, i: int, column: Static) -> indexing.Places | None:
    """The dimension numbers with column i as a batch axis; None where it does not count the rows."""
    numbers = indexing.places(eqn)
    axis = numbers.mapped[i]
    operand: Any = eqn.invars[0].aval
    along = _counts(np.asarray(column.array)[..., 0], operand.shape[axis])
    if along is None or along in numbers.places_batch or axis not in numbers.dropped:
        return None
    pairs = sorted([*zip(numbers.operand_batch, numbers.places_batch, strict=True), (axis, along)])
    return numbers._replace(
        mapped=tuple(a for a in numbers.mapped if a != axis),
        dropped=tuple(a for a in numbers.dropped if a != axis),
        operand_batch=tuple(a for a, _ in pairs),
        places_batch=tuple(b for _, b in pairs),
    )


def _counts(column: np.ndarray, size: int) -> int | None:
    """The axis along which a column counts 0, 1, ..., size - 1, the same along every other axis."""
    for axis, n in enumerate(column.shape):
        line = np.arange(n).reshape([-1 if a == axis else 1 for a in range(column.ndim)])
        if n == size and (column == line).all():
            return axis
    return None
