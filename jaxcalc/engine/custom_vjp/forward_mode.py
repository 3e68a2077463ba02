"""Forward mode through functions that have a rule for reverse mode alone.

A `jax.custom_vjp` function comes with a backward rule, which takes a cotangent back: it is linear in
the cotangent, so its transpose takes a tangent forward. That is done in one of two ways.

Where all of f has a reverse mode, f is differentiated in reverse and the whole is transposed.

Elsewhere f is traced, and every such call in it becomes a `jax.custom_jvp` function whose tangent is
the transpose of its own rule. What comes out is ordinary JAX, in which loops of unknown length, which
have a forward mode alone, keep theirs.

A backward rule that JAX cannot transpose, because it holds a `while_loop` or is not linear (it clips
the cotangent, say), is materialized, and the Jacobian of that part multiplied by the tangent
(`jaxcalc.engine.custom_vjp.materialized`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import dtypes, lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import JaxprEqn

from jaxcalc.call.arguments import is_array
from jaxcalc.call.flatten import FlatCall, Leaves
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.engine.custom_vjp.materialized import (
    NoForwardModeError,
    linear_program,
    push_forward,
    transposed,
)
from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.rewrite import Rewriting
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.jaxprs.transposable import obstacle
from jaxcalc.engine.rules.registry import Context

REVERSE_ONLY = "custom_vjp_call"
ArrayCall = Callable[[Leaves], tuple[list[Any], list[Any]]]

__all__ = ["NoForwardModeError", "forward_derivative", "with_forward_mode"]


def with_forward_mode(
    call: FlatCall, context: Context, *, has_reverse: bool, transposed_only: bool = False
) -> FlatCall:
    """A flat function whose `jax.custom_vjp` calls have a forward derivative as well.

    Its values are those that it has when it is differentiated in reverse.

    Args:
        call: from leaves to output leaves and aux.
        context: notes the calls whose rule is not linear, and refuses them under `strict`.
        has_reverse: whether JAX can differentiate all of it in reverse.
        transposed_only: raise NoForwardModeError where a transpose does not do.
    """

    def both_ways(leaves: Leaves) -> tuple[list[Any], Any]:
        asides: list[Aside] = []

        def arrays_only(leaves: Leaves) -> tuple[list[Any], list[Any]]:
            output, aux = call(leaves)
            arrays, aside = set_aside(aux, is_array)
            asides.append(aside)
            return list(output), arrays

        if has_reverse:
            run = _as_a_whole(arrays_only, context, transposed_only)
        else:
            run = forward_derivative(arrays_only, context)
        output, arrays = run(list(leaves))
        return output, asides[-1].restored(arrays)

    return both_ways


def _as_a_whole(call: ArrayCall, context: Context, transposed_only: bool) -> ArrayCall:
    """A function whose forward derivative is the transpose of its reverse one, where it has one."""

    @jax.custom_jvp
    def run(leaves: Leaves) -> tuple[list[Any], list[Any]]:
        return call(leaves)

    @run.defjvp
    def forward(primals: tuple[Any], tangents: tuple[Any]) -> Any:
        (leaves,) = primals
        output, pull, arrays = jax.vjp(call, leaves, has_aux=True)
        avals = [jax.typeof(y) for y in output]
        closed = linear_program(lambda cotangents: in_dtypes_of(leaves, pull(cotangents)[0]), avals)
        found = obstacle(closed.jaxpr, [True] * len(output))
        no_tangents = [_zero_tangent(x) for x in arrays]
        if found is None:
            return (output, arrays), (transposed(closed, *tangents), no_tangents)
        if transposed_only:
            raise NoForwardModeError(f"{context.api}: {named_with_line(found)} has no transpose")
        replaced = forward_derivative(call, context)
        output, pushed, arrays = jax.jvp(replaced, primals, tangents, has_aux=True)
        return (output, arrays), (pushed, no_tangents)

    return run


def in_dtypes_of(leaves: Leaves, cotangents: Leaves) -> list[Any]:
    """Cotangents in the dtypes of the leaves that they belong to.

    JAX takes backward rules that answer in another floating dtype, and casts where a derivative ends.
    """
    return [
        lax.convert_element_type(ct, jnp.result_type(x))
        for x, ct in zip(leaves, cotangents, strict=True)
    ]


def _zero_tangent(x: Any) -> Any:
    if equations.is_inexact(jax.typeof(x)):
        return jnp.zeros_like(x)
    return np.zeros(np.shape(x), dtypes.float0)


def forward_derivative(function: Callable[[Any], Any], context: Context) -> Callable[[Any], Any]:
    """A function of one pytree of arrays, traced, with a forward mode for `jax.custom_vjp` calls."""

    def handler(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
        return _with_forward_rule(eqn, context)(*operands)

    def replaced(tree: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(tree)
        results = Rewriting({REVERSE_ONLY: handler}).evaluate(closed, jax.tree.leaves(tree))
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return replaced


def _with_forward_rule(eqn: JaxprEqn, context: Context) -> Callable[..., Sequence[Any]]:
    """The function of one `custom_vjp_call`, differentiable in both modes."""
    inexact = [equations.is_inexact(v.aval) for v in eqn.outvars]

    @jax.custom_jvp
    def run(*operands: Any) -> list[Any]:
        return equations.bind(eqn, operands)

    @partial(run.defjvp, symbolic_zeros=True)
    def forward(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        moving = [i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero)]

        def of_moving(chosen: list[Any]) -> tuple[list[Any], list[Any]]:
            operands = list(primals)
            for i, x in zip(moving, chosen, strict=True):
                operands[i] = x
            outputs = equations.bind(eqn, operands)
            smooth = [y for y, on in zip(outputs, inexact, strict=True) if on]
            return smooth, outputs

        try:
            chosen = [primals[i] for i in moving]
            smooth, pull, outputs = jax.vjp(of_moving, chosen, has_aux=True)
            pushed = push_forward(
                lambda cotangents: in_dtypes_of(chosen, pull(cotangents)[0]),
                [jax.typeof(y) for y in smooth],
                [tangents[i] for i in moving],
                eqn,
                context,
            )
        except jax.errors.UnexpectedTracerError as error:
            raise _closes_over(eqn, context) from error
        given = iter(pushed)
        return outputs, [
            next(given) if on else np.zeros(np.shape(y), dtypes.float0)
            for y, on in zip(outputs, inexact, strict=True)
        ]

    return run


def _closes_over(eqn: JaxprEqn, context: Context) -> NoForwardModeError:
    return NoForwardModeError(
        f"{context.api}: forward mode through {named_with_line(eqn)} needs rules that stand for "
        "themselves, but these read a value that f computes and does not pass. Give it to the function "
        "as an argument; jax.closure_convert finds such values."
    )
