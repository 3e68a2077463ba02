"""When to keep XLA from computing coefficients again in every lane, and how.

XLA fuses the producer of a coefficient, such as a sine, into each slice or product that uses it, and
so computes it once a lane. Neither `optimization_barrier` nor an extra output stops that; a branch
whose predicate is known only at run time does, since nothing is fused across it. The branch is no
remedy for every repetition: each coefficient is a result of it, and makes all that it is made of anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr

from jaxcalc.engine.jaxprs.repeats import repeated_time, size_of
from jaxcalc.engine.jaxprs.varying import as_typed
from jaxcalc.heuristics import prices


def saves_time(fused: Jaxpr, apart: Callable[[], Jaxpr]) -> bool:
    """Whether computing coefficients apart costs less than computing them in every lane.

    Args:
        fused: the program of coefficients and lanes together.
        apart: gives that of the coefficients alone, which are its results.
    """
    repeated = repeated_time(fused)
    if repeated < prices().branch:
        return False
    alone = apart()
    if alone.effects:
        return False  # a branch may not hold every kind of effect
    stored = sum(size_of(v) for v in alone.outvars)
    return repeated - repeated_time(alone) > prices().branch + prices().spilled * stored


def apart(function: Callable[[list[Any]], list[Any]], arguments: list[Any]) -> list[Any]:
    """Call a function behind a branch that is always taken, and that XLA cannot see through.

    It differentiates and batches as the function itself does.
    """
    shapes = jax.eval_shape(function, arguments)

    def never(_: list[Any]) -> list[Any]:
        return [as_typed(s, jnp.zeros(s.shape, s.dtype)) for s in shapes]

    return lax.cond(lax.optimization_barrier(True), function, never, arguments)
