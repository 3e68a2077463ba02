"""Which steps a numerical derivative takes: a falling ladder, fit for the dtype and the size of x."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, Literal

import jax.numpy as jnp
from jax import lax

from jaxcalc.arguments import dtype_of

Order = Literal[1, 2]

# The largest step as a share of max(1, |x|). Neither this nor the ratio of steps is a round number:
# a periodic function would look constant to steps that all are multiples of its period.
_LARGEST = 0.37


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


def octaves(x: Any, ladder: Ladder) -> Any:
    """How far the steps fall at a scalar x: further when x is far from 1, but not when it is zero."""
    size = jnp.abs(x)
    # not jnp.log2, which forgets that x is weakly typed
    distance = jnp.abs(lax.log(jnp.where(size == 0, lax.full_like(size, 1), size))) * (1 / log(2))
    return jnp.clip(distance + ladder.below, ladder.octaves, ladder.most_octaves)


def falling_steps(x: Any, ladder: Ladder, fall: Any, largest: float | None) -> Any:
    """The steps at a scalar x, `[rows]`, falling by `fall` octaves in all; weakly typed where x is.

    Each is changed a little so that x + h and x - h are floating point numbers, not rounded ones:
    what is rounded there is as large an error as that of f itself.
    """
    size = lax.broadcast(jnp.abs(x), (ladder.rows,))
    one = lax.full_like(size, 1)
    row = lax.cumsum(one) - one
    rate = lax.broadcast(fall, (ladder.rows,)) * (1.0 / (ladder.rows - 1))
    start = jnp.maximum(size, 1.0) * _LARGEST if largest is None else lax.full_like(size, largest)
    steps = start * jnp.exp2(-row * rate)
    # x + h is rounded to its own grid, so the difference is exact; x - h lies on that grid too.
    # A step above |x| is left as it is: its rounding is within the last digit of h.
    measured = to_dtype(size + steps) - size
    return jnp.where(steps < size, to_dtype(measured), to_dtype(steps))


def to_dtype(x: Any) -> Any:
    """x without the excess precision that a compiler may carry for float16 and bfloat16."""
    info = jnp.finfo(dtype_of(x))
    return lax.reduce_precision(x, exponent_bits=info.nexp, mantissa_bits=info.nmant)
