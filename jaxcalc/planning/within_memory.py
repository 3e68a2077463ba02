"""Sparse derivatives within `memory_limit`: another way, where the cheapest one holds too much."""

from __future__ import annotations

from dataclasses import replace

from jaxcalc.call.memory import available_bytes, in_words
from jaxcalc.call.options import Mode, require_reverse_fits
from jaxcalc.call.request import Query, Request
from jaxcalc.engine.jaxprs.directions import REFUSALS
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.methods.batch_size import block_beside, surely_fits
from jaxcalc.planning.choose import Structured, prepare


def prepare_within(request: Request, kind: Query, *, with_value: bool) -> Structured:
    """The cheapest sparse derivative for a call whose workspace stays within the limit.

    All lanes at once if that fits, or in the other direction; else products with vectors, as many at a
    time as fit. Without a limit, a workspace in proportion to the result is fine, up to all memory.

    Raises:
        ValueError: a limit is given, and nothing stays within it.
    """
    prepared = prepare(request, kind)
    if kind == "jacobian":
        require_reverse_fits(request.options, prepared.outputs.dtypes)
    limit = request.options.memory_limit
    if limit is None and surely_fits(prepared.layout.nnz):
        return prepared
    allowed = available_bytes() if limit is None else limit
    if workspace(prepared, with_value=with_value) <= allowed:
        return prepared
    ways = [_in_turn(prepared, allowed), *_other_direction(request, prepared, kind)]
    fitting = [way for way in ways if workspace(way, with_value=with_value) <= allowed]
    if fitting:
        return min(fitting, key=lambda way: way.derivative.work)
    ways.append(prepared)
    least = min(ways, key=lambda way: workspace(way, with_value=with_value))
    if limit is None:
        return least
    needed = workspace(least, with_value=with_value)
    raise ValueError(
        f"{request.options.api}: memory_limit={limit} ({in_words(limit)}) is less than the workspace "
        f"that format={request.options.format!r} takes here, about {in_words(needed)} at the least."
    )


def workspace(prepared: Structured, *, with_value: bool) -> int:
    """The estimated bytes that a run holds at a time, besides its results."""
    return peak_bytes(prepared.derivative.compiled(with_value=with_value).jaxpr)


def _in_turn(prepared: Structured, allowed: int) -> Structured:
    derivative = prepared.derivative.by_products(block_beside(allowed))
    return replace(prepared, derivative=derivative)


def _other_direction(request: Request, prepared: Structured, kind: Query) -> list[Structured]:
    """The structured way in the direction that was not taken, where the choice is free."""
    if kind == "hessian" or request.options.mode != "auto":
        return []
    mode: Mode = "reverse" if prepared.derivative.way == "forward" else "forward"
    turned = replace(request, options=replace(request.options, mode=mode))
    try:
        return [prepare(turned, kind)]
    except REFUSALS:  # it has none, or is too dense that way
        return []
