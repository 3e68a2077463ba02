"""What a derivative will do, and why, before it runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.arguments import Argnames, Argnums, require_callable
from jaxcalc.engine.dense import UNTRACEABLE
from jaxcalc.engine.interpret import TooDenseError
from jaxcalc.engine.segments import NoForwardModeError
from jaxcalc.flat import FlatMap
from jaxcalc.kinds import classify
from jaxcalc.planning.explanation import Explanation, Measured, Way
from jaxcalc.planning.lines import LineCosts
from jaxcalc.planning.liveness import peak_bytes, size_in_bytes
from jaxcalc.transforms.hessian import hessian
from jaxcalc.transforms.jacobian import jacobian
from jaxcalc.transforms.options import Format, Mode, Options
from jaxcalc.transforms.prepare import (
    Attempt,
    Prepared,
    attempts_for,
    prepare,
    prepare_by,
    prepare_dense,
)
from jaxcalc.transforms.request import Request

_RUNS = 7


def explain(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    argnames: Argnames | None = None,
    order: int = 1,
    format: Format = "structured",  # noqa: A002
    mode: Mode = "auto",
    analyze: bool = False,
    **kwargs: Any,
) -> Explanation:
    """What kind of derivative f has, its structure, how it will be computed, and what each line costs.

    Args:
        f: any function that JAX can trace.
        *args: its arguments: arrays, numbers, or `jax.ShapeDtypeStruct`s in their place.
        argnums: position or positions of the arguments to differentiate by.
        argnames: a name or names, instead of `argnums`.
        order: 1 for `jacobian`, 2 for `hessian`.
        format: the format of the result; `"dense"` is explained as it runs under `jax.jit`.
        mode: the direction, as for `jacobian`.
        analyze: also run it, and put the time and the compiled program's memory beside the estimates.
        **kwargs: keyword arguments of f.

    Returns:
        An `Explanation`: it prints as a text, is a table in notebooks, and has `to_dict()`.

    Raises:
        TypeError: an argument or an output has no derivative, or f needs concrete values.
        ValueError: an option is unknown, or `argnums`, `argnames` or `order` do not fit.

    Cost: the trace of the derivative in every direction, and numpy work on its entries; no evaluation
    of f unless `analyze` is set.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> found = jaxcalc.explain(lambda x: x[1:] * x[:-1], jnp.ones(1000))
        >>> found.term, found.pattern.nnz, found.chosen.name, found.chosen.products
        ('Jacobian', 1998, 'structured, forward', 2)
    """
    api = "jaxcalc.explain"
    require_callable(api, f)
    if order not in (1, 2):
        raise ValueError(f"{api}: order must be 1 (Jacobian) or 2 (Hessian), got {order!r}.")
    options = Options(api, False, False, False, format, mode, None, False)
    request = Request.of(f, options, argnums, argnames, args, kwargs)
    flat = request.flat(request.call.traced)
    kind = "jacobian" if order == 1 else "hessian"
    try:
        candidates = _candidates(request, flat, order)
    except UNTRACEABLE as error:
        raise request.untraceable(error) from error
    chosen = prepare_dense(request, kind) if format == "dense" else prepare(request, kind)
    known = chosen or next(iter(candidates.values()), None)
    lines = LineCosts()
    if chosen is not None:
        chosen.derivative.visit(lines)
    described = classify(f, *args, argnums=argnums, argnames=argnames, **kwargs)
    return Explanation(
        term="Hessian" if order == 2 else described.name,
        map=described.map,
        format=format,
        pattern=None if known is None else _pattern(request, kind, known, format),
        ways=_ways(candidates, chosen, format, flat),
        lines=lines.lines,
        fallbacks=tuple(dict.fromkeys(chosen.derivative.fallbacks)) if chosen else (),
        measured=_measure(request, order) if analyze else None,
    )


def _candidates(request: Request, flat: FlatMap, order: int) -> dict[str, Prepared]:
    """The structured ways that are possible, by name."""
    attempts = [Attempt("hessian")] if order == 2 else attempts_for(request, flat)
    found: dict[str, Prepared] = {}
    for attempt in attempts:
        try:
            found[attempt.way] = prepare_by(
                request, flat, attempt, is_dense=request.options.format == "dense"
            )
        except (TooDenseError, NoForwardModeError):
            continue
    return found


def _pattern(request: Request, kind: str, known: Prepared, wanted: Format) -> Any:
    if wanted != "dense":
        return known.layout.pattern
    try:
        return prepare(request, kind).layout.pattern
    except ValueError:  # too dense for entries
        return None


def _ways(
    candidates: dict[str, Prepared], chosen: Prepared | None, wanted: Format, flat: FlatMap
) -> list[Way]:
    """Every way, the chosen one first."""
    ways = []
    for name, prepared in candidates.items():
        d = prepared.derivative
        lanes = LineCosts()
        d.visit(lanes)
        is_chosen = chosen is not None and d.way == chosen.derivative.way
        most = max((line.lanes for line in lanes.lines), default=1)
        label = f"structured, {'forward over reverse' if name == 'hessian' else name}"
        ways.append(Way(label, most, d.work, peak_bytes(d.program), is_chosen))
    for name, prepared in candidates.items():
        d = prepared.derivative
        label = f"dense, {'forward over reverse' if name == 'hessian' else name}"
        held = _dense_bytes(prepared, flat)
        note = "" if wanted == "dense" else "for format='dense'"
        ways.append(Way(label, d.seeds, prepared.dense_work, d.seeds * held, False, note))
    if chosen is None:
        ways = _with_cheapest_dense(ways)
    return sorted(ways, key=lambda way: not way.is_chosen)


def _with_cheapest_dense(ways: Sequence[Way]) -> list[Way]:
    dense = [way for way in ways if way.name.startswith("dense")]
    fewest = min(dense, key=lambda way: way.products, default=None)
    if fewest is None:
        return [Way("dense, by JAX's own transformations", 0, 0.0, 0, True)]
    return [way if way is not fewest else replace(way, is_chosen=True) for way in ways]


def _dense_bytes(prepared: Prepared, flat: FlatMap) -> int:
    """The bytes that one product with a vector holds at a time, roughly its largest value."""
    steps = prepared.derivative.tangent_program
    largest = max((size_in_bytes(slot.aval) for step in steps for slot in step.outputs), default=0)
    return max(largest, max((prod(s) * 4 for s in flat.shapes), default=0))


def _measure(request: Request, order: int) -> Measured:
    transform = jacobian if order == 1 else hessian
    o = request.options
    derivative = transform(
        request.f, request.argnums, argnames=request.argnames, format=o.format, mode=o.mode
    )
    traced = [
        jnp.zeros(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x
        for x in request.call.traced
    ]

    def run(traced: Any) -> Any:
        args, kwargs = request.call.rebuild(traced)
        return derivative(*args, **kwargs)

    def value(traced: Any) -> Any:
        args, kwargs = request.call.rebuild(traced)
        return request.f(*args, **kwargs)

    compiled = jax.jit(run).lower(traced).compile()
    memory = compiled.memory_analysis()
    workspace = None if memory is None else int(memory.temp_size_in_bytes)
    plain = jax.jit(value).lower(traced).compile()
    return Measured(_median_time(compiled, traced), _median_time(plain, traced), workspace)


def _median_time(function: Callable[[Any], Any], traced: Any) -> float:
    jax.block_until_ready(function(traced))
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        jax.block_until_ready(function(traced))
        times.append(time.perf_counter() - start)
    return float(np.float64(statistics.median(times)))
