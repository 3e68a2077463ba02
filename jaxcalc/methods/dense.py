"""Dense Jacobians and Hessians through JAX's own transformations, in a direction that f allows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jaxcalc.call.arguments import Chosen, is_inexact
from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.flatten import (
    FlatCall,
    FlatMap,
    Leaves,
    as_forward_types,
    require_differentiable_output,
    require_real_side,
)
from jaxcalc.call.options import Direction, Options, require_complex_fits
from jaxcalc.engine.custom_vjp.forward_mode import NoForwardModeError, with_forward_mode
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.jaxprs.directions import directions_allowed
from jaxcalc.engine.jaxprs.refusals import reverse_mode_explained
from jaxcalc.engine.jaxprs.vanishing import is_finite_in_reverse_alone
from jaxcalc.engine.rules.registry import Context
from jaxcalc.methods.batch_size import block_within, needs_blocks, require_fitting_result
from jaxcalc.methods.batched import BlockOf
from jaxcalc.methods.composite import split_jacobian
from jaxcalc.methods.dense_blocks import Wrap, cheaper_direction, hessian_blocks, jacobian_blocks
from jaxcalc.methods.directions import (
    hessian_directions,
    is_far_cheaper_forward,
    trace,
    trace_directions,
)
from jaxcalc.methods.failures import Failures
from jaxcalc.methods.mixed import shared_jacobian
from jaxcalc.methods.progress import watching

Result = TypeVar("Result")
Directions = tuple[Direction, Direction]
_HESSIANS: tuple[Directions, ...] = (
    ("forward", "reverse"),
    ("forward", "forward"),
    ("reverse", "reverse"),
)


def dense_jacobian(
    chosen: Chosen, options: Options, in_other_formats: Callable[[], str], failures: Failures
) -> tuple[Any, Any, Any]:
    """Value, aux and dense Jacobian, through `jax.jacfwd` or `jax.jacrev`, or as a product of parts.

    `in_other_formats` says what the derivative takes in the sparse formats; it is asked where the
    dense one does not fit. `failures` notes what failed before JAX's own transformations were taken.
    """
    flat = _flat_map(chosen, options)

    def run(
        direction: Direction, forward: Wrap | None = None, output: Leaves = ()
    ) -> tuple[Any, Any, Any]:
        require_complex_fits(flat, options, direction)
        call = _in_reverse(flat, options) if direction == "reverse" else flat
        with watching(options, flat.leaves) as watch:
            blocks, values, aux = jacobian_blocks(
                call,
                flat.leaves,
                direction,
                holomorphic=options.holomorphic,
                forward=forward,
                block_of=_block_of(flat, options, direction, output),
                watch=watch,
            )
        if direction == "reverse" and options.mode == "auto":
            blocks = as_forward_types(blocks, values)
        return flat.value(values), aux, flat.jacobian(blocks, [jnp.shape(y) for y in values])

    if options.mode == "reverse":
        with _reverse_explained(flat, options):
            return run("reverse")
    if options.mode == "forward":
        return _forward(flat, options, lambda wrap: run("forward", wrap), failures)
    output, allowed, rather_reverse = _trace(flat, options, failures, allow_int=True)
    require_fitting_result(options.api, flat.leaves, output, in_other_formats)
    if not allowed:
        return run("forward", _both_ways(options, allowed))
    if len(allowed) > 1 and not options.progress:
        found = _composed(flat, options, output, failures)
        if found is not None:
            return found
    if allowed == {"reverse"} and is_far_cheaper_forward(flat.leaves, output, options):
        try:
            return run("forward", _both_ways(options, allowed, transposed_only=True))
        except NoForwardModeError:
            pass
    cheaper = cheaper_direction(flat.leaves, output, rather_reverse=rather_reverse)
    direction = next(iter(allowed)) if len(allowed) == 1 else cheaper
    other: Direction = "reverse" if direction == "forward" else "forward"
    return failures.in_turn(lambda way: run(way, None, output), (direction, other))


def _reverse_explained(flat: FlatMap, options: Options) -> AbstractContextManager[None]:
    """Around what was asked to go in reverse."""
    instead = "leave mode='reverse' out, and it goes forward"
    return reverse_mode_explained(options.api, "f", flat, flat.leaves, instead=instead)


def dense_hessian(
    chosen: Chosen,
    options: Options,
    in_other_formats: Callable[[], str],
    failures: Failures,
    require_output: Callable[[Any, Any], None] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Value, gradient, aux and dense Hessian, as `jax.hessian` computes it.

    `in_other_formats` and `failures` are as for a Jacobian. `require_output(primal, output)` may refuse
    an output.
    """
    flat = _flat_map(chosen, options)
    require_fitting_result(options.api, flat.leaves, flat.leaves, in_other_formats)

    def run(directions: Directions, forward: Wrap | None = None) -> tuple[Any, Any, Any, Any]:
        require_complex_fits(flat, options, directions[0])
        inner = _in_reverse(flat, options) if "reverse" in directions else flat

        def call(leaves: Any) -> Any:
            output, aux = inner(leaves)
            if require_output is not None:
                require_output(chosen.primal, flat.value(output))
            return output, aux

        with watching(options, flat.leaves) as watch:
            second, first, output, aux = hessian_blocks(
                call,
                flat.leaves,
                directions,
                holomorphic=options.holomorphic,
                forward=forward,
                # the derivative of f may lack a reverse mode that f has
                outer_forward=None if forward is None else _both_ways(options, set()),
                block_of=_block_of(flat, options, directions[0], flat.leaves),
                watch=watch,
            )
        shapes = [jnp.shape(y) for y in output]
        gradient = flat.inputs(first[0]) if shapes == [()] else None
        return flat.value(output), gradient, aux, flat.hessian(second, shapes)

    if options.mode == "forward":
        return _forward(flat, options, lambda wrap: run(("forward", "forward"), wrap), failures)
    if options.mode == "reverse":
        with _reverse_explained(flat, options):
            return run(("reverse", "reverse"))
    _, allowed, _ = _trace(flat, options, failures)
    directions, is_replaced = hessian_directions(
        allowed, lambda: _directions_of_gradient(flat, options, failures)
    )
    if is_replaced:
        return run(directions, _both_ways(options, set()))
    ways = tuple(dict.fromkeys([directions, *_HESSIANS]))
    return failures.in_turn(run, ways)


def _flat_map(chosen: Chosen, options: Options) -> FlatMap:
    options.require_inputs(chosen)
    return FlatMap(chosen, options.has_aux)


def _both_ways(options: Options, allowed: set[Direction], *, transposed_only: bool = False) -> Wrap:
    """Gives the `jax.custom_vjp` functions that f calls a forward mode."""
    context = Context(options.api, options.strict)
    has_reverse = "reverse" in allowed
    return lambda call: with_forward_mode(
        call, context, has_reverse=has_reverse, transposed_only=transposed_only
    )


def _composed(flat: FlatMap, options: Options, output: Leaves, failures: Failures) -> Any:
    """Value, aux and Jacobian as a product of parts, or in both directions; None where neither pays."""

    def plan() -> Callable[[], Any] | None:
        found = split_jacobian(flat, output) if options.memory_limit is None else None
        if found is not None:
            return found
        both: Directions = ("forward", "reverse")
        blocks = [_block_of(flat, options, way, output) for way in both]
        return shared_jacobian(flat, output, next(filter(None, blocks), None))

    found = failures.prepare(plan, None)
    if found is None:
        return None
    # inside of a trace, nothing runs yet
    is_traced = any(isinstance(x, jax.core.Tracer) for x in flat.leaves)
    return failures.prepare(found, None) if is_traced else found()


def _forward(
    flat: FlatMap, options: Options, run: Callable[[Wrap | None], Result], failures: Failures
) -> Result:
    """As JAX does forward mode, unless a `jax.custom_vjp` function is in its way.

    f is looked at only then: a function that cannot be traced has a forward mode too.
    """
    try:
        return run(None)
    except UNTRACEABLE:
        raise
    except TypeError:
        _, allowed, _ = _trace(flat, options, failures)
        if "forward" in allowed:
            raise
    return run(_both_ways(options, allowed))


def _in_reverse(flat: FlatMap, options: Options) -> FlatCall:
    """f as it is differentiated in reverse; in `mode="auto"` it says what its values say."""
    call = _reversible(flat, options)
    return without_promises(call) if options.mode == "auto" else call


def _reversible(flat: FlatMap, options: Options) -> FlatCall:
    """f, with outputs refused that reverse mode has no derivative of."""

    def call(leaves: Leaves) -> tuple[Leaves, Any]:
        output, aux = flat(leaves)
        require_differentiable_output(
            options.api, output, flat.treedef, holomorphic=options.holomorphic
        )
        if not options.holomorphic:
            require_real_side(flat.chosen, output, flat.treedef)
        return output, aux

    return call


def _directions_of_gradient(flat: FlatMap, options: Options, failures: Failures) -> set[Direction]:
    call = _in_reverse(flat, options)

    def gradient(leaves: Leaves) -> Any:
        return jacobian_blocks(call, leaves, "reverse", holomorphic=options.holomorphic)[0]

    as_jax_does: set[Direction] = {"forward"}
    return failures.prepare(lambda: trace_directions(gradient, flat.leaves, failures)[1], as_jax_does)


def _block_of(flat: FlatMap, options: Options, direction: Direction, output: Leaves) -> BlockOf | None:
    """How many products are done at a time; None where there is no need to count."""
    sides = [*flat.leaves, *output]
    seeds = sum(prod(jnp.shape(x)) for x in (flat.leaves if direction == "forward" else output))
    if not (options.progress or needs_blocks(seeds, sides, options.memory_limit)):
        return None
    return block_within(options.api, options.memory_limit)


def _checked(flat: FlatMap, leaves: Leaves, options: Options, *, allow_int: bool) -> list[Any]:
    output, _ = flat(leaves)
    require_differentiable_output(
        options.api, output, flat.treedef, holomorphic=options.holomorphic, allow_int=allow_int
    )
    return output


def _trace(
    flat: FlatMap, options: Options, failures: Failures, *, allow_int: bool = False
) -> tuple[list[Any], set[Direction], bool]:
    """The output, by its shapes at least, and the directions that JAX allows for f.

    Last, whether reverse mode may be the one that is finite. Integer outputs, where they are allowed,
    go forward alone, as in `jax.jacfwd`.
    """

    def output_at(leaves: Leaves) -> list[Any]:
        return _checked(flat, leaves, options, allow_int=allow_int)

    def directions(program: Jaxpr) -> tuple[set[Direction], bool]:
        return directions_allowed(program, program.invars), is_finite_in_reverse_alone(
            program, program.invars
        )

    found = failures.prepare(lambda: trace(output_at, flat.leaves), None)
    # where f needs concrete values, one evaluation says how large its output is
    program, output = (None, output_at(flat.leaves)) if found is None else found
    allowed, rather_reverse = set[Direction](("forward", "reverse")), False
    if program is not None:
        allowed, rather_reverse = failures.prepare(lambda: directions(program), (allowed, False))
    return output, allowed if all(map(is_inexact, output)) else allowed - {"reverse"}, rather_reverse
