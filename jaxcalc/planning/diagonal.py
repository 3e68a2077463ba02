"""The diagonal of a Jacobian alone: from its structure where that is cheap, else by products."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.memory import default_limit
from jaxcalc.call.options import Direction, Options, require_complex_fits, require_reverse_fits
from jaxcalc.call.request import Request
from jaxcalc.call.symbolic import require_known_sizes
from jaxcalc.engine.custom_vjp.forward_mode import with_forward_mode
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.rules.registry import Context
from jaxcalc.methods.base import Outcome
from jaxcalc.methods.batch_size import block_within
from jaxcalc.methods.batched import diagonal_in_turn
from jaxcalc.methods.directions import trace_directions
from jaxcalc.methods.failures import Failures
from jaxcalc.methods.structured import Structured
from jaxcalc.planning.choose import prepare

_CHEAP = 0.35  # of the work of all products; more is not worth the memory of all entries


def require_alone(options: Options, rows: Any, columns: Any) -> None:
    """Refuse what says otherwise which entries are wanted, or in which form."""
    other = {"rows": rows is not None, "columns": columns is not None, "progress": options.progress}
    given = [f"{name}=" for name, on in other.items() if on]
    given += [f"format={options.format!r}"] if options.format != "dense" else []
    if given:
        raise ValueError(
            f"{options.api}: diagonal=True gives one array of the entries [p, p], and does not go with "
            f"{', '.join(given)}; leave one of them out."
        )


def evaluate_diagonal(request: Request, *, with_value: bool) -> Outcome:
    """Value, aux and `[min(M, N)]` the entries [p, p]."""
    require_known_sizes(request.options.api, "diagonal", request.call.traced)
    failures = Failures(request.options.api)
    prepared = failures.prepare(lambda: _by_structure(request, with_value=with_value), None)
    if prepared is None:
        found = _by_products(request, failures)
        failures.tell()
        return found
    need = with_value or request.options.has_aux
    run = prepared.derivative.diagonal(request.call.traced, with_value=need)
    value = jax.tree.unflatten(prepared.outputs.treedef, run.output) if need else None
    return Outcome(value, None, run.aux, run.values[0])


def _by_structure(request: Request, *, with_value: bool) -> Structured | None:
    """The derivative with its structure; None where products cost less, or take less memory."""
    options = request.options
    prepared = prepare(replace(request, options=replace(options, format="structured")), "jacobian")
    require_reverse_fits(options, prepared.outputs.dtypes)
    if prepared.derivative.work > _CHEAP * prepared.dense_work:
        return None
    limit = default_limit() if options.memory_limit is None else options.memory_limit
    alone = replace(prepared, derivative=prepared.derivative.diagonal)
    return prepared if alone.workspace(with_value=with_value or options.has_aux) <= limit else None


def _by_products(request: Request, failures: Failures) -> Outcome:
    options = request.options
    flat = request.flat(request.call.traced)

    def call(leaves: Any) -> Any:
        return request.evaluate(flat, leaves)

    def run(direction: Direction, function: Any = call) -> Outcome:
        require_complex_fits(flat, options, direction)
        block_of = block_within(options.api, options.memory_limit)
        if direction == "reverse" and options.mode == "auto":
            function = without_promises(function)
        diagonal, output, aux = diagonal_in_turn(function, flat.leaves, direction, block_of)
        return Outcome(flat.value(output), None, aux, diagonal)

    known = failures.prepare(
        lambda: trace_directions(lambda leaves: call(leaves)[0], flat.leaves, failures), None
    )
    # f needs concrete values, if that is not known
    output, allowed = known or (call(flat.leaves)[0], {"forward", "reverse"})
    if options.mode == "auto":
        is_complex = any(jnp.iscomplexobj(x) for x in flat.leaves) and not options.holomorphic
        forward = not is_complex and ("forward" in allowed or "reverse" not in allowed)
        direction: Direction = "forward" if forward else "reverse"
    else:
        direction = options.mode
    require_reverse_fits(replace(options, mode=direction), [dtype_of(y) for y in output])
    if direction == "forward" and "forward" not in allowed:
        context = Context(options.api, options.strict)
        return run(direction, with_forward_mode(call, context, has_reverse="reverse" in allowed))
    other: Direction = "reverse" if direction == "forward" else "forward"
    directions = (direction, other) if options.mode == "auto" else (direction,)
    return failures.in_turn(run, directions)[1]
