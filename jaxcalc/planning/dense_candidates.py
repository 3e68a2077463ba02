"""The ways to a dense derivative through JAX's own transformations, as `methods.dense` goes them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jaxcalc.call.options import Direction
from jaxcalc.call.request import Request
from jaxcalc.engine.custom_vjp.forward_mode import NoForwardModeError, with_forward_mode
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.directions import directions_allowed
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.rules.registry import Context
from jaxcalc.methods import bottleneck
from jaxcalc.methods.batch_size import block_within, needs_blocks
from jaxcalc.methods.batched import BlockOf
from jaxcalc.methods.composite import chain_of
from jaxcalc.methods.dense_blocks import Wrap, hessian_blocks, jacobian_blocks
from jaxcalc.methods.directions import hessian_directions, is_far_cheaper_forward
from jaxcalc.planning.branches import branches
from jaxcalc.planning.composite_candidates import BY_PARTS, branches_of_parts, described, way_by_parts
from jaxcalc.planning.findings import Branch, Part, Way
from jaxcalc.planning.mixed_candidates import IN_BOTH, program_in_both, way_in_both
from jaxcalc.planning.traced import Traced, reason, size_of, why_not


class _Run(NamedTuple):
    """A direction, for a Hessian the outer and the inner one, and what gives f a forward mode."""

    directions: tuple[Direction, ...]
    wrap: Wrap | None = None


@dataclass
class Dense:
    """What was found of the dense ways.

    Attributes:
        ways: those that are possible, the chosen one marked.
        reasons: for the others, by name, why not.
        parts: the pieces of f, where it has a bottleneck.
        branches: what loops and branches of the chosen way hold.
    """

    ways: list[Way] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    branches: Sequence[Branch] = ()


def dense_ways(request: Request, kind: str, traced: Traced, *, choose: bool) -> Dense:
    """The dense ways, with what they take; with `choose`, the one that `jacobian` takes is marked.

    Raises:
        ValueError: no dense derivative is possible, as `jacobian` and `hessian` say.
    """
    found = Dense()
    runs = _hessian_run(request, traced) if kind == "hessian" else _runs(request, traced, found.reasons)
    errors: dict[str, ValueError] = {}
    for name, run in runs.items():
        try:
            found.ways.append(_way(request, traced, name, run))
        except NoForwardModeError as error:
            found.reasons[name] = reason(error)
        except ValueError as error:  # a product does not fit in memory_limit
            found.reasons[name] = reason(error)
            errors[name] = error
    parts = _add_composed(request, kind, traced, found, errors)
    if not choose:
        return found
    name = _chosen(request, kind, traced, found, list(runs))
    if name in errors:
        raise errors[name]
    if name in found.reasons:
        raise ValueError(f"{request.options.api}: {name} is not possible: {found.reasons[name]}.")
    found.ways = [replace(way, is_chosen=way.name == name) for way in found.ways]
    if branches(traced.program.eqns):
        found.branches = _branches(request, traced, runs.get(name), parts)
    return found


def _runs(request: Request, traced: Traced, reasons: dict[str, str]) -> dict[str, _Run]:
    """The directions of a Jacobian that can be taken; the reasons for the others are noted."""
    runs = {}
    directions: tuple[Direction, ...] = ("forward", "reverse")
    for direction in directions:
        name, obstacle = f"dense, {direction}", why_not(request, traced, direction)
        run = _Run((direction,))
        if obstacle and direction == "forward" and _gets_forward_mode(request, traced):
            has_reverse = "reverse" in traced.allowed
            only = request.options.mode == "auto" and has_reverse
            wrap = _both_ways(request, has_reverse=has_reverse, transposed_only=only)
            run, obstacle = _Run(("forward",), wrap), ""
        if obstacle:
            reasons[name] = obstacle
        else:
            runs[name] = run
    return runs


def _gets_forward_mode(request: Request, traced: Traced) -> bool:
    """Whether what stands in the way of forward mode is a `custom_vjp` rule that gets transposed."""
    mode, leaves = request.options.mode, traced.flat.leaves
    if mode == "reverse" or "forward" not in traced.forbidden:
        return False
    if any(map(jnp.iscomplexobj, leaves)) and not request.options.holomorphic:
        return False
    must = mode == "forward" or not traced.allowed
    return must or is_far_cheaper_forward(leaves, traced.output, request.options)


def _hessian_run(request: Request, traced: Traced) -> dict[str, _Run]:
    """The one way to a dense Hessian."""
    mode = request.options.mode
    if mode == "auto":
        directions, is_replaced = hessian_directions(
            traced.allowed, lambda: _directions_of_gradient(request, traced)
        )
    else:
        directions, is_replaced = (mode, mode), mode == "forward" and "forward" in traced.forbidden
    wrap = None
    if is_replaced:
        has_reverse = mode != "auto" and "reverse" in traced.allowed
        wrap = _both_ways(request, has_reverse=has_reverse)
    return {f"dense, {directions[0]} over {directions[1]}": _Run(directions, wrap)}


def _directions_of_gradient(request: Request, traced: Traced) -> set[Direction]:
    leaves = traced.flat.leaves

    def gradient(others: Any, leaves: Any) -> Any:
        flat = request.flat(others)
        return jacobian_blocks(
            lambda leaves: request.evaluate(flat, leaves),
            leaves,
            "reverse",
            holomorphic=request.options.holomorphic,
        )[0]

    program = jax.make_jaxpr(gradient)(request.call.traced, leaves).jaxpr
    return directions_allowed(program, program.invars[len(program.invars) - len(leaves) :])


def _both_ways(request: Request, *, has_reverse: bool, transposed_only: bool = False) -> Wrap:
    context = Context(request.options.api, request.options.strict)
    return lambda call: with_forward_mode(
        call, context, has_reverse=has_reverse, transposed_only=transposed_only
    )


def _program(request: Request, traced: Traced, run: _Run, block_of: BlockOf | None) -> Jaxpr:
    """The program of the whole derivative, as it will run."""

    def derivative(others: Any, leaves: Any) -> Any:
        flat = request.flat(others)

        def call(leaves: Any) -> Any:
            return request.evaluate(flat, leaves)

        options: dict[str, Any] = {
            "holomorphic": request.options.holomorphic,
            "forward": run.wrap,
            "block_of": block_of,
        }
        if len(run.directions) == 1:
            return jacobian_blocks(call, leaves, run.directions[0], **options)[0]
        outer, inner = run.directions
        if run.wrap is not None:
            options["outer_forward"] = _both_ways(request, has_reverse=False)
        return hessian_blocks(call, leaves, (outer, inner), **options)[0]

    return jax.make_jaxpr(derivative)(request.call.traced, traced.flat.leaves).jaxpr


def _block_of(request: Request, traced: Traced, run: _Run) -> BlockOf | None:
    """What says how many products are done at a time; None where all are without being counted."""
    options, leaves = request.options, traced.flat.leaves
    # a direction that was asked for is taken before the outputs are known
    known = traced.output if options.mode == "auto" else []
    output = leaves if len(run.directions) == 2 else known
    sides = [*leaves, *output]
    seeds = size_of(leaves if run.directions[0] == "forward" else output)
    if not needs_blocks(seeds, sides, options.memory_limit):
        return None
    return block_within(options.api, options.memory_limit)


def _way(request: Request, traced: Traced, name: str, run: _Run) -> Way:
    """What a run takes: so many times what one product with a vector takes."""
    one: list[Jaxpr] = []

    def all_at_once(product: Jaxpr) -> int:
        one.append(product)
        return sys.maxsize

    _program(request, traced, run, all_at_once)
    note = ""
    if run.wrap is not None:
        note = f"{named_with_line(traced.forbidden['forward'])} by the transpose of its rule"
    if not one or not bottleneck.size_of(one[0].invars):  # there is nothing to multiply with
        return Way(name, 0, 0.0, 0, note=note)
    seeds = bottleneck.size_of(one[0].invars)
    block_of = _block_of(request, traced, run)
    block = seeds if block_of is None else min(seeds, block_of(one[0]))
    held = peak_bytes(one[0], with_results=block < seeds)
    return Way(
        name,
        seeds,
        cost.work(one[0], seeds),
        block * held,
        note=note,
        block=block,
        blocks=-(-seeds // block),
    )


def _chosen(request: Request, kind: str, traced: Traced, found: Dense, names: Sequence[str]) -> str:
    """The name of the way that `methods.dense` goes."""
    options, allowed = request.options, traced.allowed
    if kind == "hessian":
        return names[0]
    if options.mode != "auto":
        return f"dense, {options.mode}"
    possible = {way.name for way in found.ways}
    composed = [name for name in (BY_PARTS, IN_BOTH) if name in possible or name in found.reasons]
    if composed:
        return composed[0]
    if not allowed or (allowed == {"reverse"} and "dense, forward" in possible):
        return "dense, forward"
    if len(allowed) == 1:
        return f"dense, {next(iter(allowed))}"
    return f"dense, {traced.cheaper}"


def _add_composed(
    request: Request, kind: str, traced: Traced, found: Dense, errors: dict[str, ValueError]
) -> list[bottleneck.Part]:
    """Add the ways that are made of several; returns the pieces of f, where it has a bottleneck."""
    options = request.options
    is_asked = options.format == "dense" and options.mode == "auto" and kind == "jacobian"
    if not is_asked or len(traced.allowed) < 2:
        return []
    parts = _parts(request, traced) if options.memory_limit is None else []
    if parts:
        found.ways.append(way_by_parts(parts, traced.output))
        found.parts = [described(part) for part in parts]
        return parts
    try:
        way = way_in_both(request, traced.output, _block_of_either(request, traced))
    except ValueError as error:  # a product does not fit in memory_limit
        found.reasons[IN_BOTH] = reason(error)
        errors[IN_BOTH] = error
        return []
    found.ways += [] if way is None else [way]
    return []


def _block_of_either(request: Request, traced: Traced) -> BlockOf | None:
    directions: tuple[Direction, ...] = ("forward", "reverse")
    found = (_block_of(request, traced, _Run((direction,))) for direction in directions)
    return next(filter(None, found), None)


def _parts(request: Request, traced: Traced) -> list[bottleneck.Part]:
    """The pieces of a function with a bottleneck; none for any other."""
    found: list[bottleneck.Part] = []

    def split(others: Any, leaves: Any) -> None:
        flat = request.flat(others)
        chain = chain_of(lambda *xs: (request.evaluate(flat, xs)[0], []), leaves, traced.output)
        found.extend(() if chain is None else chain.parts)

    jax.eval_shape(split, request.call.traced, traced.flat.leaves)
    return found


def _branches(
    request: Request, traced: Traced, run: _Run | None, parts: Sequence[bottleneck.Part]
) -> list[Branch]:
    """What branches hold in the chosen way."""
    if parts:
        return branches_of_parts(parts)
    if run is None:
        block_of = _block_of_either(request, traced)
        return branches(program_in_both(request, traced.output, block_of).eqns)
    return branches(_program(request, traced, run, _block_of(request, traced, run)).eqns)
