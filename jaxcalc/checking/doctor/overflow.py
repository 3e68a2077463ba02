"""Whether an infinity is a number that is too large for its dtype: it is finite in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.checking.doctor.pullback import local_pullback
from jaxcalc.checking.doctor.tape import Event, Tape, is_inexact, not_finite
from jaxcalc.engine.jaxprs.float64_shadow import bind_widened, wide

_DOUBLE = 1e-10  # the rounding of double precision is below that
_WITH_POLES = frozenset(
    {"div", "log", "log1p", "integer_pow", "pow", "rsqrt", "sqrt", "lgamma", "digamma"}
)


def value_overflows(tape: Tape, event: Event) -> bool:
    """Whether what an event makes is finite in double precision."""
    if event.eqn is None:
        return False
    with jax.enable_x64(True):
        results = bind_widened(event.eqn, [wide(tape.values[i]) for i in event.inputs])
    return results is not None and not any(map(not_finite, results))


def derivative_overflows(tape: Tape, event: Event, slot: int) -> bool:
    """Whether the derivative of an event itself is finite, here or in double precision.

    What it makes of a large cotangent or tangent is then too large for the dtype. To be asked where it
    is known that this is no pole.
    """
    values = [tape.values[i] for i in event.inputs]
    ones = [jnp.ones_like(tape.values[i]) if tape.is_active[i] else None for i in event.outputs]
    if not not_finite(local_pullback(tape, event, values, ones)[slot]):
        return True
    if jnp.finfo(jnp.result_type(values[slot])).eps < _DOUBLE:  # there is nothing wider
        return event.name in _WITH_POLES
    with jax.enable_x64(True):
        given = [wide(x) for x in values]
        return _is_finite_wide(event, slot, given, [None if c is None else wide(c) for c in ones])


def _is_finite_wide(event: Event, slot: int, values: list[Any], cotangents: Sequence[Any]) -> bool:
    def call(x: Any) -> list[Any]:
        operands = [*values[:slot], x, *values[slot + 1 :]]
        assert event.eqn is not None
        results = bind_widened(event.eqn, operands)
        if results is None:
            raise TypeError("it has no wider form")
        return [y for y, c in zip(results, cotangents, strict=True) if c is not None]

    try:
        _, back = jax.vjp(call, values[slot])
        (pulled,) = back([c for c in cotangents if c is not None])
    except (TypeError, ValueError, NotImplementedError):
        return False
    return is_inexact(pulled) and not not_finite(pulled)
