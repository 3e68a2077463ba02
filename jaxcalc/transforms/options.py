"""The options that Jacobians and Hessians share, checked once, and the dense way to compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from jaxcalc.arguments import Chosen, require_differentiable
from jaxcalc.engine.dense import (
    PERHAPS_UNTRACEABLE,
    FlatCall,
    Leaves,
    cheaper_direction,
    hessian_blocks,
    jacobian_blocks,
)
from jaxcalc.engine.directions import Direction, directions_allowed
from jaxcalc.flat import FlatMap, require_differentiable_output, require_real_side

Format = Literal["dense", "bcoo", "structured"]
Mode = Literal["auto", "forward", "reverse"]


@dataclass(frozen=True)
class Options:
    """What a call of `jacobian` or `hessian` asked for, refused at once when it makes no sense."""

    api: str
    has_aux: bool
    holomorphic: bool
    allow_int: bool
    format: Format
    mode: Mode
    memory_limit: int | None
    strict: bool

    def __post_init__(self) -> None:
        self._require_legal("format", self.format, get_args(Format))
        self._require_legal("mode", self.mode, get_args(Mode))
        limit = self.memory_limit
        if limit is not None and not (isinstance(limit, int | float) and limit > 0):
            raise ValueError(
                f"{self.api}: memory_limit must be a positive number of bytes, got "
                f"{self.memory_limit!r}."
            )

    def require_inputs(self, chosen: Chosen) -> None:
        """Refuse chosen arguments that no derivative can be taken by."""
        require_differentiable(chosen, holomorphic=self.holomorphic, allow_int=self.allow_int)

    def _require_legal(self, name: str, given: Any, legal: tuple[str, ...]) -> None:
        if given not in legal:
            listing = ", ".join(repr(choice) for choice in sorted(legal))
            raise ValueError(f"{self.api}: unknown {name} {given!r}; it can be {listing}.")


def dense_jacobian(chosen: Chosen, options: Options) -> tuple[Any, Any, Any]:
    """Value, aux and dense Jacobian, through `jax.jacfwd` or `jax.jacrev`."""
    flat = _flat_map(chosen, options)
    direction = _direction(flat, options)
    require_complex_fits(flat, options, direction)
    call = _reversible(flat, options) if direction == "reverse" else flat
    blocks, output, aux = jacobian_blocks(call, flat.leaves, direction, holomorphic=options.holomorphic)
    return flat.value(output), aux, flat.jacobian(blocks, [jnp.shape(y) for y in output])


def dense_hessian(
    chosen: Chosen,
    options: Options,
    require_output: Callable[[Any, Any], None] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Value, gradient, aux and dense Hessian, as `jax.hessian` computes it.

    `require_output(primal, output)` may refuse an output that does not fit.
    """
    flat = _flat_map(chosen, options)
    directions = _hessian_directions(flat, options)
    require_complex_fits(flat, options, directions[0])
    inner = _reversible(flat, options) if directions[1] == "reverse" else flat

    def call(leaves: Any) -> Any:
        output, aux = inner(leaves)
        if require_output is not None:
            require_output(chosen.primal, flat.value(output))
        return output, aux

    second, first, output, aux = hessian_blocks(
        call, flat.leaves, directions, holomorphic=options.holomorphic
    )
    shapes = [jnp.shape(y) for y in output]
    gradient = flat.inputs(first[0]) if shapes == [()] else None
    return flat.value(output), gradient, aux, flat.hessian(second, shapes)


def _flat_map(chosen: Chosen, options: Options) -> FlatMap:
    options.require_inputs(chosen)
    return FlatMap(chosen, options.has_aux)


def require_complex_fits(flat: FlatMap, options: Options, direction: Direction) -> None:
    """Refuse complex inputs where the direction has no derivative by them."""
    require_differentiable(
        flat.chosen,
        holomorphic=options.holomorphic,
        allow_int=options.allow_int,
        allow_complex=direction == "reverse",
    )


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


def _direction(flat: FlatMap, options: Options) -> Direction:
    if options.mode != "auto":
        return options.mode
    output, allowed = _trace(flat, options)
    cheaper = cheaper_direction(flat.leaves, output)
    return next(iter(allowed)) if len(allowed) == 1 else cheaper


def _hessian_directions(flat: FlatMap, options: Options) -> tuple[Direction, Direction]:
    if options.mode != "auto":
        return options.mode, options.mode
    _, allowed = _trace(flat, options)
    outer: Direction = "forward" if "forward" in allowed else "reverse"
    inner: Direction = "reverse" if "reverse" in allowed else "forward"
    return outer, inner


def allowed_directions(flat: FlatMap, options: Options) -> tuple[list[Any], set[Direction]]:
    """The output's shapes, and the directions that f can be differentiated in, without running f.

    Raises:
        TypeError: an output has no derivative.
        ConcretizationTypeError and its kin: f needs concrete values.
    """
    return trace_directions(lambda _, leaves: _checked(flat, leaves, options), [], flat.leaves)


def trace_directions(
    function: Callable[[Leaves, Leaves], Any], fixed: Leaves, leaves: Leaves
) -> tuple[list[Any], set[Direction]]:
    """The output's shapes of `function(fixed, leaves)`, and the directions allowed by `leaves`."""
    jaxpr, output = jax.make_jaxpr(function, return_shape=True)(list(fixed), list(leaves))
    invars = jaxpr.jaxpr.invars
    return output, directions_allowed(jaxpr.jaxpr, invars[len(invars) - len(leaves) :])


def _checked(flat: FlatMap, leaves: Leaves, options: Options) -> list[Any]:
    output, _ = flat(leaves)
    require_differentiable_output(options.api, output, flat.treedef, holomorphic=options.holomorphic)
    return output


def _trace(flat: FlatMap, options: Options) -> tuple[list[Any], set[Direction]]:
    try:
        return allowed_directions(flat, options)
    except PERHAPS_UNTRACEABLE:
        pass
    # f needs concrete values: one evaluation says how large its output is
    return _checked(flat, flat.leaves, options), {"forward", "reverse"}
