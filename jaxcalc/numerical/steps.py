"""Which steps a numerical derivative takes: a falling ladder, fit for the dtype and the size of x."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, Literal

import jax.numpy as jnp
from jax import lax

from jaxcalc.call.arguments import dtype_of

Order = Literal[1, 2]

# The largest step as a share of max(1, |x|). Neither this nor the ratio of steps is a round number:
# a periodic function would look constant to steps that all are multiples of its period.
_LARGEST = 0.37
_TINY = -10.0  # log2 of the size below which a number has a scale of its own
_ROWS_OF_TWO_SCALES = 11  # steps that suffice for both scales


@dataclass(frozen=True)
class Ladder:
    """How many steps are tried, and how far they fall.

    Attributes:
        rows: the number of steps.
        octaves: the largest step over the smallest one, as a power of two, for x of ordinary size.
        most_octaves: the same for x so large or so small that functions may vary on two scales.
        below: how many octaves the steps go below the smaller of these scales.
    """

    rows: int
    octaves: float
    most_octaves: float
    below: float


_LADDERS: dict[int, tuple[Ladder, Ladder]] = {  # by bits of mantissa: first and second order
    52: (Ladder(20, 24.0, 46.0, 9.0), Ladder(15, 15.0, 26.0, 8.0)),
    23: (Ladder(15, 12.0, 20.0, 7.0), Ladder(11, 7.5, 13.0, 6.0)),
    10: (Ladder(7, 5.5, 8.0, 4.0), Ladder(6, 3.5, 5.0, 3.0)),
    7: (Ladder(5, 4.0, 5.0, 3.0), Ladder(5, 2.2, 3.0, 2.0)),
}


def ladder_for(dtype: Any, order: Order, most: int | None = None) -> Ladder:
    """The ladder for inputs of this dtype, and for a derivative of this order.

    `most` are the bits of mantissa that f carries, where it makes fewer of them than the dtype has.
    """
    bits = min(jnp.finfo(dtype).nmant, jnp.finfo(dtype).nmant if most is None else most)
    known = max((b for b in _LADDERS if b <= bits), default=min(_LADDERS))
    return _LADDERS[known][order - 1]


def smallest_step(dtype: Any, most: int | None = None) -> float:
    """The smallest step of first order that is tried at an x of size 1."""
    return float(_LARGEST * 2.0 ** -ladder_for(dtype, 1, most).octaves)


def falls(x: Any, ladder: Ladder) -> Any:
    """How many octaves each step is below the largest one at a scalar x, `[rows]`, rising from zero.

    They fall further when x is far from 1, but not when it is zero. Where x is tiny, functions vary on
    the scale of 1 or on that of x, and hardly between: the first half of the steps is for the one and
    the second half for the other.
    """
    size = jnp.abs(x)
    has_two = ladder.rows >= _ROWS_OF_TWO_SCALES
    # steps on the scale of a number that is smaller still would round to zero
    least = float(jnp.finfo(dtype_of(x)).tiny) * (2.0 ** (ladder.below + 5) if has_two else 1.0)
    is_known = (size > least) & jnp.isfinite(size)
    # not jnp.log2, which forgets that x is weakly typed
    octaves = lax.log(jnp.where(is_known, size, lax.full_like(size, 1))) * (1 / log(2))
    far = jnp.clip(jnp.abs(octaves) + ladder.below, ladder.octaves, ladder.most_octaves)
    one = lax.full_like(lax.broadcast(size, (ladder.rows,)), 1)
    row = lax.cumsum(one) - one
    evenly = row * (lax.broadcast(far, (ladder.rows,)) * (1.0 / (ladder.rows - 1)))
    if not has_two:
        return evenly
    half = ladder.rows // 2
    first = row * (jnp.clip(-octaves - 2, 1, ladder.octaves) / (half - 1))
    second = (row - half) * ((ladder.below + 3) / (ladder.rows - half - 1)) - octaves
    return jnp.where(octaves < _TINY, jnp.where(row < half, first, second), evenly)


def falling_steps(x: Any, falls: Any, largest: float | None) -> Any:
    """The steps at a scalar x, `[rows]`, falling by so many octaves; weakly typed where x is.

    Each is changed a little so that x + h and x - h are floating point numbers, not rounded ones:
    what is rounded there is as large an error as that of f itself.
    """
    size = lax.broadcast(jnp.abs(x), falls.shape)
    start = jnp.maximum(size, 1.0) * _LARGEST if largest is None else lax.full_like(size, largest)
    steps = start * jnp.exp2(-falls)
    # x + h is rounded to its own grid, so the difference is exact; x - h lies on that grid too.
    # A step above |x| is left as it is: its rounding is within the last digit of h.
    measured = to_dtype(size + steps) - size
    return jnp.where(steps < size, to_dtype(measured), to_dtype(steps))


def to_dtype(x: Any) -> Any:
    """x without the excess precision that a compiler may carry for float16 and bfloat16."""
    info = jnp.finfo(dtype_of(x))
    return lax.reduce_precision(x, exponent_bits=info.nexp, mantissa_bits=info.nmant)
