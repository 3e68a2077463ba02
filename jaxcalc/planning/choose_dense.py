"""Which of JAX's own transformations give a dense derivative, where its structure does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jaxcalc.call.options import Direction
from jaxcalc.engine.custom_vjp.forward_mode import NoForwardModeError
from jaxcalc.engine.jaxprs.directions import directions_allowed
from jaxcalc.methods.base import Impossible, Prepared
from jaxcalc.methods.batch_size import require_fitting_result
from jaxcalc.methods.composite import product_of_parts
from jaxcalc.methods.dense import Dense
from jaxcalc.methods.dense_blocks import cheaper_direction, jacobian_blocks
from jaxcalc.methods.directions import hessian_directions, is_far_cheaper_forward, trace
from jaxcalc.methods.mixed import in_both_directions
from jaxcalc.methods.problem import Problem

Found = TypeVar("Found")
_BOTH: tuple[Direction, Direction] = ("forward", "reverse")
_HESSIANS: tuple[tuple[Direction, Direction], ...] = (
    ("forward", "reverse"),
    ("forward", "forward"),
    ("reverse", "reverse"),
)


def require_fitting(problem: Problem, in_other_formats: Callable[[], str]) -> None:
    """Refuse a dense derivative that does not fit in memory; asked-for directions of Jacobians are not.

    `in_other_formats` says what the sparse formats take.

    Raises:
        ValueError: naming the size and what fits.
    """
    if problem.kind == "jacobian" and problem.options.mode != "auto":
        return
    output = problem.leaves if problem.kind == "hessian" else problem.output
    require_fitting_result(problem.options.api, problem.leaves, output, in_other_formats)


def dense_ways(problem: Problem) -> list[Prepared]:
    """The ways to a dense derivative, in the order in which they are tried: `first_possible`."""
    mode = problem.options.mode
    if problem.kind == "hessian":
        return _of_hessian(problem)
    if mode != "auto":
        return [Dense(problem, (mode,))]
    allowed, failures = problem.allowed, problem.failures
    if not allowed:
        return [Dense(problem, ("forward",), replaces=True)]
    first: list[Prepared] = []
    if allowed == {"reverse"} and is_far_cheaper_forward(
        problem.leaves, problem.output, problem.options
    ):
        first = [Dense(problem, ("forward",), replaces=True, is_optional=True)]
    elif len(allowed) == 2 and not problem.options.progress:
        composed = failures.prepare(lambda: _composed(problem), None)
        first = [] if composed is None else [composed]
    cheaper = cheaper_direction(problem.leaves, problem.output, rather_reverse=problem.rather_reverse)
    direction = next(iter(allowed)) if len(allowed) == 1 else cheaper
    other: Direction = "reverse" if direction == "forward" else "forward"
    return [*first, Dense(problem, (direction,)), Dense(problem, (other,))]


def first_possible(
    problem: Problem, ways: Sequence[Prepared], act: Callable[[Prepared], Found]
) -> tuple[Prepared, Found]:
    """The first of the ways that turns out to be possible, and what `act` gives for it.

    Raises:
        Exception: what `act` raises for the last one, or what is no refusal of JAX's.
    """
    first, *others = ways
    if not first.is_optional:
        return problem.failures.in_turn(act, ways)
    try:
        # while f is traced nothing runs yet, so that whatever fails may be left
        found = problem.failures.prepare(lambda: act(first), None) if problem.is_traced else act(first)
    except NoForwardModeError:
        found = None
    return problem.failures.in_turn(act, others) if found is None else (first, found)


def _composed(problem: Problem) -> Prepared | None:
    """The Jacobian as a product of parts, or in both directions; None where neither pays."""
    if problem.options.format != "dense":
        return None
    flat, output = problem.flat, problem.output
    product = product_of_parts(flat, output) if problem.options.memory_limit is None else None
    return product or in_both_directions(flat, output, problem.block_of_either)


def _of_hessian(problem: Problem) -> list[Prepared]:
    """Forward over reverse where f allows both, as `jax.hessian` has it."""
    mode = problem.options.mode
    if mode != "auto":
        return [Dense(problem, (mode, mode))]
    directions, replaces = hessian_directions(problem.allowed, lambda: _directions_of_gradient(problem))
    if replaces:
        return [Dense(problem, directions, replaces=True)]
    return [Dense(problem, ways) for ways in dict.fromkeys([directions, *_HESSIANS])]


def _directions_of_gradient(problem: Problem) -> set[Direction]:
    def look() -> set[Direction]:
        options, call = problem.options, problem.in_reverse
        program, _ = trace(
            lambda xs: jacobian_blocks(call, xs, "reverse", holomorphic=options.holomorphic)[0],
            problem.leaves,
        )
        return directions_allowed(program, program.invars)

    as_jax_does: set[Direction] = {"forward"}
    return problem.failures.prepare(look, as_jax_does)


def all_dense_ways(problem: Problem, in_order: Sequence[Prepared]) -> list[Prepared | Impossible]:
    """Each of the ways once, and the directions that are not tried, with what forbids them."""
    if problem.kind == "hessian":
        return [in_order[0]]
    ways = {way.name: way for way in reversed(in_order)}
    found: list[Prepared | Impossible] = []
    for direction in _BOTH:
        way = ways.pop(f"dense, {direction}", Dense(problem, (direction,)))
        obstacle = problem.why_not(direction)
        is_made_possible = isinstance(way, Dense) and way.must_replace
        found.append(Impossible(way.name, obstacle) if obstacle and not is_made_possible else way)
    return [*found, *ways.values()]
