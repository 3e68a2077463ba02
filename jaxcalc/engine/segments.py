"""A part of f that is differentiated in reverse, and its Jacobian applied to tangents.

The part is given by its backward rule. Where JAX can transpose the rule, its transpose is what takes
tangents forward, and nothing is materialised. Elsewhere the rule is materialised: with its structure,
by the walk, so that the samples of a batch stay apart; or, where that cannot be followed either, by one
pass for each output element. What is left to do forward is a product with known places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, jaxpr_as_fun

from jaxcalc.engine import equations
from jaxcalc.engine.dense import FlatCall, Leaves
from jaxcalc.engine.interpret import TooDenseError, run_primal, walk
from jaxcalc.engine.linearity import NotLinearError
from jaxcalc.engine.program import flatten
from jaxcalc.engine.registry import Context
from jaxcalc.engine.rewrite import Rewriting
from jaxcalc.engine.source import named_with_line
from jaxcalc.engine.transposable import INLINED, PRINTS, obstacle
from jaxcalc.formats.lanes import Group, Lanes, fill, seed, valid_data

Pull = Callable[[list[Any]], list[Any]]


class NoForwardModeError(TypeError):
    """A `jax.custom_vjp` call that has no forward mode, or only one that was not asked for."""


def push_forward(
    pull: Pull,
    outputs: Sequence[Any],
    tangents: Sequence[Any],
    eqn: JaxprEqn,
    context: Context,
    *,
    transposed_only: bool,
) -> list[Any]:
    """The tangents of a part's outputs, from those of its inputs and its backward rule.

    Args:
        pull: from cotangents of the outputs to cotangents of the inputs.
        outputs: shapes and dtypes of the outputs.
        tangents: of the inputs.
        eqn: the part, for messages.
        context: notes what is materialised without structure, which `strict` refuses.
        transposed_only: raise NoForwardModeError instead of materialising.
    """
    zeros = [jax.ShapeDtypeStruct(y.shape, y.dtype) for y in outputs]
    closed = jax.make_jaxpr(pull)(zeros)
    found = obstacle(closed.jaxpr, [True] * len(zeros))
    if found is None:
        inlined = _without_rules(closed)
        transpose = jax.linear_transpose(inlined, zeros)
        (pushed,) = transpose(list(tangents))
        return list(pushed)
    if transposed_only:
        raise NoForwardModeError(
            f"{context.api}: the backward rule of {named_with_line(eqn)} has no transpose, because of "
            f"{named_with_line(found)} in it; use mode='forward' or mode='reverse' to choose one."
        )
    return _materialised(closed, outputs, tangents, eqn, context)


def forward_gradient(call: FlatCall, context: Context) -> Callable[[Leaves], Any]:
    """The gradient of one number, found forward with its structure.

    Returns:
        A function of the leaves that returns the gradient's leaves, and the pair of the output
        leaves and aux.
    """

    def gradient(leaves: Leaves) -> tuple[list[Any], tuple[list[Any], Any]]:
        output, push, aux = jax.linearize(call, list(leaves), has_aux=True)
        shapes = [jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in leaves]
        (row,) = _structured(jax.make_jaxpr(push)(shapes), context)
        sizes = [prod(x.shape) for x in shapes]
        line = jnp.zeros(sum(sizes), row.dtype)
        for group in row.groups:
            data = jnp.broadcast_to(group.data, group.index.shape)
            valid = group.index >= 0
            line = line.at[group.index[valid]].add(data[np.flatnonzero(valid)])
        pieces = jnp.split(line, np.cumsum(sizes)[:-1])
        flat = [p.reshape(x.shape).astype(x.dtype) for p, x in zip(pieces, shapes, strict=True)]
        return flat, (list(output), aux)

    return gradient


def _without_rules(closed: ClosedJaxpr) -> Pull:
    """A linear program whose rules have been applied, and which prints nothing."""

    def inline(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
        inner = equations.linear_map(eqn)
        assert inner is not None
        return rewriting.evaluate(inner.program, operands)

    rewriting = Rewriting(dict.fromkeys(INLINED, inline) | dict.fromkeys(PRINTS, lambda *_: []))
    return lambda cotangents: rewriting.evaluate(closed, cotangents)


def _materialised(
    closed: ClosedJaxpr,
    outputs: Sequence[Any],
    tangents: Sequence[Any],
    eqn: JaxprEqn,
    context: Context,
) -> list[Any]:
    """The products of the tangents with the Jacobian, one for each output.

    A real linear map of complex numbers is found from its products with 1 and with i, as JAX pairs
    them: the real part of (ct Jt) is that of (pull(ct) t).
    """
    real = _products(closed, tangents, eqn, context)
    if not any(jnp.iscomplexobj(y) for y in outputs):
        return [r.astype(y.dtype) for r, y in zip(real, outputs, strict=True)]

    def turned(cotangents: list[Any]) -> list[Any]:
        by_i = [ct * np.array(1j, ct.dtype) if jnp.iscomplexobj(ct) else ct for ct in cotangents]
        return jaxpr_as_fun(closed)(*by_i)

    shapes = [jax.ShapeDtypeStruct(y.shape, y.dtype) for y in outputs]
    imaginary = _products(jax.make_jaxpr(turned)(shapes), tangents, eqn, context)
    return [
        (lax.complex(r, -i) if jnp.iscomplexobj(y) else r).astype(y.dtype)
        for r, i, y in zip(real, imaginary, outputs, strict=True)
    ]


def _products(
    closed: ClosedJaxpr, tangents: Sequence[Any], eqn: JaxprEqn, context: Context
) -> list[Any]:
    """For each output the real part of the sum of its row of the Jacobian times the tangents."""
    shapes = [v.aval.shape for v in closed.jaxpr.invars]
    sizes = [prod(shape) for shape in shapes]
    try:
        rows = _structured(closed, context)
    except NotLinearError as error:
        rows = _dense(closed, sum(sizes), error, eqn, context)
    total = reduce(
        jnp.add,
        [_row_sums(row, t, sum(sizes)) for row, t in zip(rows, tangents, strict=True) if row.groups],
        jnp.zeros(sum(sizes), _real_dtype(tangents)),
    )
    pieces = jnp.split(total, np.cumsum(sizes)[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _structured(closed: ClosedJaxpr, context: Context) -> list[Lanes]:
    """For each input, which outputs its elements take part in, and by how much."""
    program = flatten(closed, len(closed.jaxpr.invars))
    program.prune(program.outputs)
    residuals = program.residuals()
    computed = run_primal(program.primal, dict(program.captured), residuals)
    values: dict[Any, Any] = dict(zip(residuals, computed, strict=True))
    offset = 0
    for slot in program.tangents:
        values[slot] = seed(tuple(slot.aval.shape), slot.aval.dtype, offset)
        offset += values[slot].size
    return walk(context, program.tangent, values, program.outputs)


def _dense(
    closed: ClosedJaxpr, size: int, error: NotLinearError, eqn: JaxprEqn, context: Context
) -> list[Lanes]:
    """One pass of the backward rule for each output element, as reverse mode makes them."""
    name = named_with_line(eqn)
    if context.strict:
        raise NotImplementedError(
            f"{context.api}: forward mode through {name} needs the transpose of its backward rule, "
            f"which {error}, and strict=True allows no dense Jacobian of it. Leave strict out, or use "
            "mode='reverse'."
        ) from error
    if name not in context.fallbacks:
        context.fallbacks.append(name)
    if size * sum(prod(v.aval.shape) for v in closed.jaxpr.outvars) > context.entry_limit:
        raise TooDenseError(f"{name} can be differentiated forward through its whole Jacobian only")
    pieces, offset = [], 0
    for v in closed.jaxpr.invars:
        line = jnp.eye(size, prod(v.aval.shape), -offset, v.aval.dtype)
        pieces.append(line.reshape((size, *v.aval.shape)))
        offset += prod(v.aval.shape)
    rows = jax.vmap(jaxpr_as_fun(closed))(*pieces)
    columns = np.arange(size, dtype=np.int32)
    return [
        Lanes(row.shape[1:], row.dtype).with_groups(
            [Group(row, columns.reshape((-1,) + (1,) * (row.ndim - 1)))] if row.size else []
        )
        for row in rows
    ]


def _row_sums(row: Lanes, tangent: Any, size: int) -> Any:
    """`[size]`: coefficients times one input's tangent, summed by the outputs they belong to."""
    dtype = jnp.result_type(row.dtype, tangent.dtype)
    total = jnp.zeros(size, _real_dtype([jax.ShapeDtypeStruct((), dtype)]))
    for group in row.groups:
        data = fill(valid_data(group), group.lanes, row.shape).astype(dtype)
        axes = range(len(row.shape))
        summed = [a for a in axes if group.index.shape[1 + a] == 1]
        kept = [a for a in axes if a not in summed]
        # one product of matrices: the axes along which the index varies stay, the others are summed
        numbers = (([1 + a for a in summed], summed), ([1 + a for a in kept], kept))
        sums = lax.dot_general(data, tangent.astype(dtype), numbers, precision=lax.Precision.HIGHEST)
        index = np.moveaxis(group.index.reshape(group.lanes, *(row.shape[a] for a in kept)), 0, -1)
        valid = index.reshape(-1) >= 0
        line = jnp.real(sums).reshape(-1)
        if not valid.all():
            line = line[np.flatnonzero(valid)]
        total = total.at[index.reshape(-1)[valid]].add(line)
    return total


def _real_dtype(arrays: Sequence[Any]) -> Any:
    return jnp.finfo(jnp.result_type(*(a.dtype for a in arrays))).dtype
