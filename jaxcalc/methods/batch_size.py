"""How many products with basis vectors are done at a time, so that the workspace stays in its limit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from jaxcalc.call.memory import available_bytes, default_limit, in_words
from jaxcalc.call.symbolic import is_symbolic, is_symbolic_program
from jaxcalc.engine.jaxprs.liveness import peak_bytes, size_in_bytes
from jaxcalc.heuristics import heuristics

_WIDEST = 16  # bytes of a number


def block_within(api: str, limit: int | None) -> Callable[[Jaxpr], int]:
    """How many products fit in `limit` bytes (a quarter of the memory, if that is None).

    Raises:
        ValueError: (when called) not even one product fits.
    """
    allowed = default_limit() if limit is None else limit

    def block_of(program: Jaxpr) -> int:
        # a result is written before it is put into its place
        if is_symbolic_program(program):
            return sys.maxsize  # all at once, as JAX does them
        one = peak_bytes(program) + sum(size_in_bytes(v.aval) for v in program.outvars)
        if limit is not None and one > limit:
            raise ValueError(
                f"{api}: memory_limit={limit} ({in_words(limit)}) is less than the workspace of one "
                f"product with a vector, about {in_words(one)}."
            )
        return max(1, allowed // max(1, one))

    return block_of


def block_beside(allowed: int) -> Callable[[Jaxpr, int], int]:
    """How many products fit in `allowed` bytes besides what is held anyway; one if none does."""

    def block_of(program: Jaxpr, beside: int) -> int:
        one = peak_bytes(program) + sum(size_in_bytes(v.aval) for v in program.outvars)
        return max(1, (allowed - beside) // max(1, one))

    return block_of


def surely_fits(entries: int) -> bool:
    """Whether so few entries that nobody need count what they take."""
    return entries * _WIDEST <= heuristics().surely_small_bytes


def needs_blocks(seeds: int, sides: Sequence[Any], limit: int | None) -> bool:
    """Whether `seeds` products at once might take more than is allowed; to be counted exactly then.

    `sides` are the inputs and outputs of a product.
    """
    if is_symbolic(sides):
        return False
    return limit is not None or seeds * sum(map(size_in_bytes, sides)) > heuristics().surely_small_bytes


def require_fitting_result(
    api: str,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    alternative: Callable[[], str],
) -> None:
    """Refuse a dense result that does not fit in memory, before anything is allocated.

    `alternative` says what the sparse formats would take; it is asked only then.

    Raises:
        ValueError: naming the size and what fits.
    """
    if is_symbolic([*outputs, *inputs]):
        return
    m, n = (sum(prod(jnp.shape(x)) for x in side) for side in (outputs, inputs))
    if m * n * _WIDEST <= heuristics().surely_small_bytes:
        return
    dtype = np.dtype(jnp.result_type(*outputs))
    needed, there = m * n * dtype.itemsize, available_bytes()
    if needed > there:
        raise ValueError(
            f"{api}: the dense derivative, {m} x {n} {dtype}, needs {in_words(needed)}, and there are "
            f"{in_words(there)}; {alternative()}."
        )
