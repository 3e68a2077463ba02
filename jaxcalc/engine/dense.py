"""Dense derivatives through JAX's own transformations, and which of them a function allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, Var, jaxprs_in_params
from jax.extend.core import Literal as JaxprLiteral

from jaxcalc.arguments import dtype_of

Direction = Literal["forward", "reverse"]
Leaves = Sequence[Any]
FlatCall = Callable[[Leaves], tuple[Leaves, Any]]

# what tracing raises when f needs a concrete value: `if x > 0`, `int(x)`, `numpy.asarray(x)`
UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


def jacobian_blocks(
    call: FlatCall, leaves: Leaves, direction: Direction, *, holomorphic: bool
) -> tuple[Any, list[Any], Any]:
    """The Jacobian's blocks, the output leaves, and aux, of one evaluation of f.

    Forward mode costs one Jacobian-vector product for each input element, reverse mode one
    vector-Jacobian product for each output element.
    """
    if not leaves:
        output, aux = call(leaves)
        return [[] for _ in output], list(output), aux
    if direction == "reverse":
        return _reverse_blocks(call, leaves, holomorphic=holomorphic)

    def with_value(leaves: Leaves) -> tuple[Leaves, tuple[Leaves, Any]]:
        output, aux = call(leaves)
        return output, (output, aux)

    blocks, (output, aux) = jax.jacfwd(with_value, has_aux=True, holomorphic=holomorphic)(leaves)
    return blocks, output, aux


def _reverse_blocks(call: FlatCall, leaves: Leaves, *, holomorphic: bool) -> tuple[Any, list[Any], Any]:
    """As `jax.jacrev`, which takes no complex output of real inputs: its two parts are stacked."""

    def parts(leaves: Leaves) -> tuple[Any, tuple[Leaves, Any]]:
        output, aux = call(leaves)
        if holomorphic:
            return (output, []), (output, aux)
        imaginary = [jnp.imag(y) for y in output if jnp.iscomplexobj(y)]
        real = [jnp.real(y) if jnp.iscomplexobj(y) else y for y in output]
        return (real, imaginary), (output, aux)

    (blocks, imaginary), (output, aux) = jax.jacrev(parts, has_aux=True, holomorphic=holomorphic)(
        leaves
    )
    remaining = iter(imaginary)
    for i, y in enumerate(output):
        if jnp.iscomplexobj(y) and not holomorphic:
            blocks[i] = [lax.complex(*pair) for pair in zip(blocks[i], next(remaining), strict=True)]
    return blocks, output, aux


def hessian_blocks(
    call: FlatCall, leaves: Leaves, directions: tuple[Direction, Direction], *, holomorphic: bool
) -> tuple[Any, Any, list[Any], Any]:
    """Second-order blocks, first-order blocks, output leaves and aux, of one evaluation of f.

    `directions` are those of the outer and of the inner derivative; `jax.hessian` is forward over
    reverse.
    """
    outer, inner = directions

    def first(leaves: Leaves) -> tuple[Any, Any]:
        blocks, output, aux = jacobian_blocks(call, leaves, inner, holomorphic=holomorphic)
        return blocks, (blocks, output, aux)

    transform = jax.jacfwd if outer == "forward" else jax.jacrev
    second, (blocks, output, aux) = transform(first, has_aux=True, holomorphic=holomorphic)(leaves)
    return second, blocks, output, aux


def cheaper_direction(leaves: Leaves, output: Leaves) -> Direction:
    """Forward mode when there are at most as many inputs as outputs, by number of elements."""
    # reverse mode alone takes complex inputs of a function that is not holomorphic
    if any(jnp.issubdtype(dtype_of(x), jnp.complexfloating) for x in leaves) and not any(
        jnp.issubdtype(dtype_of(y), jnp.complexfloating) for y in output
    ):
        return "reverse"
    if not output:
        return "forward"
    inputs, outputs = (sum(prod(jnp.shape(x)) for x in tree) for tree in (leaves, output))
    return "forward" if inputs <= outputs else "reverse"


def directions_allowed(jaxpr: Jaxpr, differentiated: Sequence[Var]) -> set[Direction]:
    """The directions that JAX can differentiate a traced function in.

    A `custom_vjp` function has no forward mode, and a `while_loop` no reverse mode, but only where
    they depend on the inputs that the derivative is taken by.
    """
    forbidden: set[Direction] = set()
    _forbid(jaxpr, set(differentiated), forbidden)
    both: set[Direction] = {"forward", "reverse"}
    return both - forbidden


def _forbid(jaxpr: Jaxpr, active: set[Var], forbidden: set[Direction]) -> None:
    for eqn in jaxpr.eqns:
        live = [not isinstance(v, JaxprLiteral) and v in active for v in eqn.invars]
        if not any(live):
            continue
        active.update(v for v in eqn.outvars if _is_inexact(v))
        match eqn.primitive.name:
            case "while":
                forbidden.add("reverse")
            case "custom_vjp_call":
                forbidden.add("forward")
            case "custom_jvp_call":
                pass  # its rule, not its body, is what gets differentiated
            case _:
                for sub in jaxprs_in_params(eqn.params):
                    aligned = len(sub.invars) == len(live)
                    inner = (
                        [v for v, on in zip(sub.invars, live, strict=True) if on]
                        if aligned
                        else sub.invars
                    )
                    _forbid(sub, set(inner), forbidden)


def _is_inexact(v: Var) -> bool:
    dtype = getattr(v.aval, "dtype", None)  # a token has no dtype
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))
