"""From samples of f to derivatives: one column of quotients for each output and input element.

Columns are independent of each other, so they are padded to few sizes and share compiled programs:
a numerical derivative of small functions, called eagerly, would spend all its time in the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.numerical.extrapolation import Quotients, extrapolate, extrapolate_with_jump, leaps

# columns of a program: few sizes of small ones, whose compilation is what they cost
_SIZES = (16, 128, *(2**n for n in range(10, 48)))


class Row(NamedTuple):
    """What is known of an input element, or of a pair of them: where f is sampled.

    Attributes:
        offsets: by how much each element is moved for each point, `[points]`.
        steps: the steps by which quotients divide, `[rows]` for each of the elements.
        sizes: |x| of each of the elements.
    """

    offsets: Any
    steps: tuple[Any, ...]
    sizes: tuple[Any, ...]


class Column(NamedTuple):
    """What is known of an output element.

    Attributes:
        center: f(x).
        epsilon: the spacing of floats near 1 in the coarser of the dtypes of input and output.
        floor: the size below which its dtype rounds to zero.
    """

    center: Any
    epsilon: Any
    floor: Any


class Slope(NamedTuple):
    """What the values of f along a line through x say of an output element there.

    Attributes:
        value: the slope; halfway between the slopes on both sides where f has a kink at x.
        error: how far it may be from the true one, a kink apart; infinite where nothing is known.
        jump: by how much the slopes on both sides differ; zero where f is smooth.
        leaps: whether f itself jumps at x.
    """

    value: Any
    error: Any
    jump: Any
    leaps: Any


Kernel = Callable[[Any, Row, Column], Any]  # gives a tuple of scalars, the same in each column


def limits_of_samples(kernel: Kernel, samples: Any, row: Row, column: Column) -> Any:
    """What the kernel makes of each column, `[n, m]` each, from samples `[n, points, m]`.

    From numpy arrays it makes numpy arrays.
    """
    n, _, m = samples.shape
    size = next(size for size in _SIZES if n * m <= size)
    row = row._replace(offsets=None)
    if isinstance(samples, np.ndarray):
        found = _compiled(kernel, *_arranged(np, samples, row, column, size))
        return _trimmed(jax.tree.map(np.asarray, found), (n, m))
    arranged = _compiled_arranged(jnp, samples, row, column, size)
    return _compiled_trimmed(_compiled(kernel, *arranged), (n, m))


def _arranged(
    arrays: Any, samples: Any, row: Row, column: Column, program: int
) -> tuple[Any, Row, Column]:
    """A line for each of the n m columns, and lines of zeros up to `program` of them."""
    n, points, m = samples.shape

    def padded(a: Any) -> Any:
        return arrays.pad(a, [(0, program - n * m), *[(0, 0)] * (a.ndim - 1)])

    rows = jax.tree.map(lambda a: padded(arrays.repeat(a, m, axis=0)), row)
    columns = jax.tree.map(lambda a: padded(arrays.tile(a, n)), column)
    return padded(arrays.swapaxes(samples, 1, 2).reshape(n * m, points)), rows, columns


def _trimmed(found: Any, shape: tuple[int, int]) -> Any:
    """What was found of the columns that are no padding."""
    return jax.tree.map(lambda each: each[: shape[0] * shape[1]].reshape(shape), found)


# step by step, arranging and trimming would take a compilation for each step and shape
_compiled_arranged = jax.jit(_arranged, static_argnums=(0, 4))
_compiled_trimmed = jax.jit(_trimmed, static_argnums=1)


@partial(jax.jit, static_argnums=0)
def _compiled(kernel: Kernel, samples: Any, rows: Row, columns: Column) -> Any:
    return jax.vmap(kernel)(samples, rows, columns)


def central(values: Any, row: Row, column: Column) -> tuple[Any, Any]:
    """First derivative: (f(x + h) - f(x - h)) / 2h."""
    return _rounded(*extrapolate(_two_sided(values, row, column)), column)


def slope(values: Any, row: Row, column: Column) -> Slope:
    """First derivative, with the kink apart from the error."""
    quotients = _two_sided(values, row, column)
    value, error, jump = extrapolate_with_jump(quotients)
    return Slope(*_rounded(value, error, column), jump, leaps(quotients))


def _two_sided(values: Any, row: Row, column: Column) -> Quotients:
    ahead, behind = jnp.split(values, 2)
    (h,), (size,), center = row.steps, row.sizes, column.center
    quotient = (ahead - behind) / (2 * h)
    return Quotients(
        central=quotient,
        steps=h,
        weights=h,
        rounding=_rounding(values, 2, column) / h,
        conditioning=column.epsilon * jnp.abs(quotient) * (size + h) / h,
        variation=jnp.maximum(jnp.abs(ahead - center), jnp.abs(behind - center)),
        jumps=((ahead - center) - (center - behind)) / h,
    )


def curvature(values: Any, row: Row, column: Column) -> tuple[Any, Any]:
    """Second derivative: (f(x + h) - 2 f(x) + f(x - h)) / h^2."""
    ahead, behind = jnp.split(values, 2)
    (h,), (size,), center = row.steps, row.sizes, column.center
    moved = jnp.abs(ahead - behind) / (2 * h)
    quotients = Quotients(
        central=((ahead - center) - (center - behind)) / h / h,
        steps=h,
        weights=h * h,
        rounding=2 * _rounding(values, 2, column) / h / h,
        conditioning=2 * column.epsilon * moved * (size + h) / h / h,
        variation=jnp.maximum(jnp.abs(ahead - center), jnp.abs(behind - center)),
        jumps=None,
    )
    return _rounded(*extrapolate(quotients), column)


def mixed(values: Any, row: Row, column: Column) -> tuple[Any, Any]:
    """(f(x + h, y + k) - f(x + h, y - k) - f(x - h, y + k) + f(x - h, y - k)) / 4hk."""
    pp, pm, mp, mm = jnp.split(values, 4)
    h, k = row.steps
    by_x, by_y = jnp.abs(pp + pm - mp - mm) / (4 * h), jnp.abs(pp + mp - pm - mm) / (4 * k)
    moved = by_x * (row.sizes[0] + h) + by_y * (row.sizes[1] + k)
    quotients = Quotients(
        central=((pp - pm) - (mp - mm)) / (4 * h) / k,
        steps=h,  # k is in constant ratio to h
        weights=h * k,
        rounding=_rounding(values, 4, column) / h / k,
        conditioning=column.epsilon * moved / h / k,
        variation=jnp.max(jnp.abs(values.reshape(4, -1) - column.center), axis=0),
        jumps=None,
    )
    return _rounded(*extrapolate(quotients), column)


def _rounding(values: Any, points: int, column: Column) -> Any:
    """How far each f may be from its exact value: two units in the last place, or what underflows.

    Where f(x) is not finite nothing is known.
    """
    size = jnp.max(jnp.abs(values.reshape(points, -1)), axis=0)
    rounding = 2 * column.epsilon * jnp.maximum(size, jnp.abs(column.center)) + column.floor
    return jnp.where(jnp.isfinite(column.center), rounding, jnp.nan)


def _rounded(value: Any, error: Any, column: Column) -> tuple[Any, Any]:
    """With the error that rounding to the dtype of the result makes, of the value and of the error."""
    return value, (error + column.epsilon * jnp.abs(jnp.nan_to_num(value))) * (1 + column.epsilon)
