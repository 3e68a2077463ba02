"""Forward mode through functions that have a rule for reverse mode alone.

A `jax.custom_vjp` function comes with a backward rule, which takes a cotangent back: it is linear in
the cotangent, so its transpose takes a tangent forward. Here f is traced, and every such call in it
becomes a `jax.custom_jvp` function whose tangent is that transpose. What comes out is ordinary JAX,
in which both the loops of forward mode and the rules of reverse mode have a derivative.

A backward rule that JAX cannot transpose, because it holds a `while_loop` or is not linear (it clips
the cotangent, say), is applied to a basis of cotangents instead, and the Jacobian of that part is
multiplied by the tangent (`jaxcalc.engine.segments`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import dtypes
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import JaxprEqn

from jaxcalc.arguments import is_array
from jaxcalc.aside import Aside, set_aside
from jaxcalc.engine import equations
from jaxcalc.engine.dense import FlatCall, Leaves
from jaxcalc.engine.registry import Context
from jaxcalc.engine.rewrite import Rewriting
from jaxcalc.engine.segments import NoForwardModeError, push_forward
from jaxcalc.engine.source import named_with_line

REVERSE_ONLY = "custom_vjp_call"


def with_forward_mode(call: FlatCall, context: Context, *, transposed_only: bool = False) -> FlatCall:
    """A flat function in which every `jax.custom_vjp` call has a forward derivative as well.

    Values, and what is derived in reverse mode, stay what they are.

    Args:
        call: from leaves to output leaves and aux.
        context: notes the calls whose Jacobian had to be materialised; refuses them under `strict`.
        transposed_only: raise NoForwardModeError instead of materialising.
    """

    def rewritten(leaves: Leaves) -> tuple[list[Any], Any]:
        asides: list[Aside] = []

        def arrays_only(leaves: Leaves) -> tuple[list[Any], list[Any]]:
            output, aux = call(leaves)
            arrays, aside = set_aside(aux, is_array)
            asides.append(aside)
            return list(output), arrays

        output, arrays = forward_derivative(arrays_only, context, transposed_only=transposed_only)(
            list(leaves)
        )
        return output, asides[-1].restored(arrays)

    return rewritten


def forward_derivative(
    function: Callable[..., Any], context: Context, *, transposed_only: bool = False
) -> Callable[..., Any]:
    """As `with_forward_mode`, for a function from one pytree of arrays to another."""

    def handler(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
        return _with_forward_rule(eqn, context, transposed_only)(*operands)

    def rewritten(tree: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(tree)
        results = Rewriting({REVERSE_ONLY: handler}).evaluate(closed, jax.tree.leaves(tree))
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return rewritten


def _with_forward_rule(
    eqn: JaxprEqn, context: Context, transposed_only: bool
) -> Callable[..., Sequence[Any]]:
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
            smooth, pull, outputs = jax.vjp(of_moving, [primals[i] for i in moving], has_aux=True)
            pushed = push_forward(
                lambda cotangents: pull(cotangents)[0],
                [jax.typeof(y) for y in smooth],
                [tangents[i] for i in moving],
                eqn,
                context,
                transposed_only=transposed_only,
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
        "as an argument (jax.closure_convert finds such values), or use mode='reverse'."
    )
