"""Dense derivatives through JAX's own transformations."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.call.arguments import dtype_of, is_array
from jaxcalc.call.flatten import FlatCall, Leaves
from jaxcalc.call.options import Direction
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.call.symbolic import is_symbolic
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.methods.batched import BlockOf, Watch, blocks_in_turn

Wrap = Callable[[FlatCall], FlatCall]


def jacobian_blocks(
    call: FlatCall,
    leaves: Leaves,
    direction: Direction,
    *,
    holomorphic: bool,
    forward: Wrap | None = None,
    block_of: BlockOf | None = None,
    watch: Watch | None = None,
) -> tuple[Any, list[Any], Any]:
    """The Jacobian's blocks, the output leaves, and aux, of one evaluation of f.

    Forward mode costs one Jacobian-vector product for each input element, reverse mode one
    vector-Jacobian product for each output element. `forward` is applied to what is differentiated
    in forward mode. `block_of` is shown the program of one product, and says how many are done at a
    time; `watch` is told how many are done.
    """
    if not leaves:
        output, aux = call(leaves)
        return [[] for _ in output], list(output), aux
    if direction == "forward" and forward is not None:
        call = forward(call)
    if direction == "reverse":
        return _reverse_blocks(call, leaves, block_of, watch, holomorphic=holomorphic)
    if block_of is not None:
        return blocks_in_turn(call, leaves, direction, block_of, watch)

    rest: list[Aside] = []

    def with_value(leaves: Leaves) -> tuple[Leaves, tuple[Leaves, Any]]:
        output, aux = call(leaves)
        arrays, aside = set_aside(aux, is_array)
        rest.append(aside)
        return output, (output, arrays)

    blocks, (output, arrays) = jax.jacfwd(with_value, has_aux=True, holomorphic=holomorphic)(leaves)
    return blocks, output, rest[-1].restored(arrays)


def _reverse_blocks(
    call: FlatCall,
    leaves: Leaves,
    block_of: BlockOf | None,
    watch: Watch | None,
    *,
    holomorphic: bool,
) -> tuple[Any, list[Any], Any]:
    """As `jax.jacrev`, which takes no complex output of real inputs: its two parts are stacked."""

    def parts(leaves: Leaves) -> tuple[Any, tuple[Leaves, Any]]:
        output, aux = call(leaves)
        if not output:  # `jax.jacrev` wants one
            return ([jnp.zeros((), complex if holomorphic else float)], []), (output, aux)
        if holomorphic:
            return (output, []), (output, aux)
        imaginary = [jnp.imag(y) for y in output if jnp.iscomplexobj(y)]
        real = [jnp.real(y) if jnp.iscomplexobj(y) else y for y in output]
        return (real, imaginary), (output, aux)

    blocks, imaginary, (output, aux) = _of_parts(parts, leaves, block_of, watch, holomorphic)
    remaining = iter(imaginary)
    for i, y in enumerate(output):
        if jnp.iscomplexobj(y) and not holomorphic:
            part = jnp.finfo(y.dtype).dtype  # the blocks of a float16 input are float16
            pairs = zip(blocks[i], next(remaining), strict=True)
            blocks[i] = [lax.complex(re.astype(part), im.astype(part)) for re, im in pairs]
    return blocks[: len(output)], output, aux


def _of_parts(
    parts: Callable[[Leaves], tuple[Any, tuple[Leaves, Any]]],
    leaves: Leaves,
    block_of: BlockOf | None,
    watch: Watch | None,
    holomorphic: bool,
) -> tuple[list[Any], list[Any], Any]:
    """The blocks of both parts, all at once or some rows at a time, and what comes with them."""
    if block_of is None:
        (blocks, imaginary), kept = jax.jacrev(parts, has_aux=True, holomorphic=holomorphic)(leaves)
        return blocks, imaginary, kept
    counts: list[int] = []

    def joined(leaves: Leaves) -> tuple[Leaves, Any]:
        (first, second), kept = parts(leaves)
        counts.append(len(first))
        return [*first, *second], kept

    rows, _, kept = blocks_in_turn(joined, leaves, "reverse", block_of, watch)
    return rows[: counts[-1]], rows[counts[-1] :], kept


def hessian_blocks(
    call: FlatCall,
    leaves: Leaves,
    directions: tuple[Direction, Direction],
    *,
    holomorphic: bool,
    forward: Wrap | None = None,
    outer_forward: Wrap | None = None,
    block_of: BlockOf | None = None,
    watch: Watch | None = None,
) -> tuple[Any, Any, list[Any], Any]:
    """Second-order blocks, first-order blocks, output leaves and aux, of one evaluation of f.

    `directions` are those of the outer and of the inner derivative; `jax.hessian` is forward over
    reverse. Where they are forward, `forward` is applied to f and `outer_forward` to its derivative.
    """
    outer, inner = directions
    structures: list[Any] = []

    def first(leaves: Leaves) -> tuple[Leaves, Any]:
        blocks, output, aux = jacobian_blocks(
            call, leaves, inner, holomorphic=holomorphic, forward=forward
        )
        flat, structure = jax.tree.flatten(blocks)
        structures.append(structure)
        return flat, (output, aux)

    second, flat, (output, aux) = jacobian_blocks(
        first,
        leaves,
        outer,
        holomorphic=holomorphic,
        forward=outer_forward,
        block_of=block_of,
        watch=watch,
    )
    structure = structures[-1]
    return structure.unflatten(second), structure.unflatten(flat), output, aux


def refuses(
    flat_at: Callable[[Leaves], Any],
    inputs: Leaves,
    linear_map: Literal["forward", "reverse", "hessian"],
) -> bool:
    """Whether JAX has no derivative of a flat function, as it says while it is traced.

    `flat_at(inputs)` is the function, with the `leaves` that it is differentiated with respect to.
    """

    def product(inputs: Leaves) -> Any:
        flat = flat_at(inputs)

        def call(leaves: Leaves) -> Leaves:
            return list(flat(leaves)[0])

        def gradient(leaves: Leaves) -> Leaves:
            output, pull = jax.vjp(call, list(leaves))
            return list(pull([jnp.ones_like(y) for y in output])[0])

        if linear_map == "reverse":
            return gradient(flat.leaves)
        leaves = [jnp.asarray(x) for x in flat.leaves]
        function = gradient if linear_map == "hessian" else call
        # as `jax.jacfwd` does: some functions tell only when several tangents come at once
        several = [jnp.stack([x, x]) for x in leaves]
        return jax.vmap(lambda tangents: jax.jvp(function, (leaves,), (tangents,))[1])(several)

    try:
        jax.eval_shape(product, list(inputs))
    except REFUSALS:
        return True
    return False


def cheaper_direction(leaves: Leaves, output: Leaves, *, rather_reverse: bool = False) -> Direction:
    """Forward mode when there are at most as many inputs as outputs, by number of elements.

    With `rather_reverse` there have to be at most half as many, since reverse mode may be the one that
    is finite. A side with a symbolic size counts as the larger one, if the other has none.
    """
    # reverse mode alone takes complex inputs of a function that is not holomorphic
    if any(jnp.issubdtype(dtype_of(x), jnp.complexfloating) for x in leaves) and not any(
        jnp.issubdtype(dtype_of(y), jnp.complexfloating) for y in output
    ):
        return "reverse"
    if not output:
        return "forward"
    if is_symbolic([*leaves, *output]):
        return "forward" if is_symbolic(output) else "reverse"
    inputs, outputs = (sum(prod(jnp.shape(x)) for x in tree) for tree in (leaves, output))
    return "forward" if (2 if rather_reverse else 1) * inputs <= outputs else "reverse"
