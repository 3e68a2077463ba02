"""A part of f that is differentiated in reverse, and its Jacobian applied to tangents.

The part is given by its backward rule. Where JAX can transpose the rule, its transpose is what takes
tangents forward, and nothing is materialized. Elsewhere the rule is materialized: with its structure,
by the walk, so that the samples of a batch stay apart; or, where it is not linear, by a pass for each
output element, those together that nowhere meet. What is left to do forward is a product with known
places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, jaxpr_as_fun

from jaxcalc.call.flatten import FlatCall, Leaves
from jaxcalc.engine.custom_vjp.compressed import materialized
from jaxcalc.engine.jaxprs import bodies, equations
from jaxcalc.engine.jaxprs.rewrite import Rewriting
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.jaxprs.transposable import INLINED, PRINTS, obstacle
from jaxcalc.engine.rules.registry import Context, NoRuleError
from jaxcalc.engine.tangents.entries import look_up
from jaxcalc.engine.tangents.lanes import Lanes, fill, valid_data
from jaxcalc.engine.tangents.to_entries import entries
from jaxcalc.engine.walk.interpret import identity, run_primal, walk
from jaxcalc.engine.walk.linearity import NotLinearError
from jaxcalc.engine.walk.program import flatten

Pull = Callable[[list[Any]], list[Any]]


class NoForwardModeError(TypeError):
    """A `jax.custom_vjp` call that has no forward mode, or only one that was not asked for."""


def push_forward(
    pull: Pull,
    outputs: Sequence[Any],
    tangents: Sequence[Any],
    eqn: JaxprEqn,
    context: Context,
) -> list[Any]:
    """The tangents of a part's outputs, from those of its inputs and its backward rule.

    Args:
        pull: from cotangents of the outputs to cotangents of the inputs.
        outputs: shapes and dtypes of the outputs.
        tangents: of the inputs.
        eqn: the part, for messages.
        context: notes what is materialized without structure, which `strict` refuses.
    """
    closed = linear_program(pull, outputs)
    if obstacle(closed.jaxpr, [True] * len(outputs)) is None:
        return transposed(closed, tangents)
    return _materialized(closed, outputs, tangents, eqn, context)


def linear_program(pull: Pull, outputs: Sequence[Any]) -> ClosedJaxpr:
    """A backward rule as a program, in which nothing looks linear for standing beside what is."""

    def part(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
        each = zip(bodies.one_by_one(eqn), operands, strict=True)
        return [y for one, x in each for y in equations.bind(one, [x])]

    closed = jax.make_jaxpr(pull)(list(outputs))
    rewriting = Rewriting(dict.fromkeys(bodies.SEPARABLE, part))
    if not rewriting.holds(closed.jaxpr):
        return closed
    return jax.make_jaxpr(lambda cotangents: rewriting.evaluate(closed, cotangents))(list(outputs))


def transposed(closed: ClosedJaxpr, tangents: Sequence[Any]) -> list[Any]:
    """The transpose of a linear program of one list, applied to tangents of its outputs."""

    def inline(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
        inner = equations.linear_map(eqn)
        assert inner is not None
        return rewriting.evaluate(inner.program, operands)

    # rules have been applied already, and there is no transpose of printing
    rewriting = Rewriting(dict.fromkeys(INLINED, inline) | dict.fromkeys(PRINTS, lambda *_: []))
    linear = lambda cotangents: rewriting.evaluate(closed, cotangents)  # noqa: E731
    (pushed,) = jax.linear_transpose(linear, list(closed.in_avals))(list(tangents))
    return list(pushed)


def forward_gradient(call: FlatCall, context: Context) -> Callable[[Leaves], Any]:
    """The gradient of one number, found forward with its structure.

    Returns:
        A function of the leaves that returns the gradient's leaves, and the pair of the output
        leaves and aux.
    """

    def gradient(leaves: Leaves) -> tuple[list[Any], tuple[list[Any], Any]]:
        output, aux = call(list(leaves))
        shapes = [jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in leaves]

        def push(tangents: list[Any]) -> list[Any]:
            # not `jax.linearize`: JAX 0.9 does not differentiate again what that leaves of a loop
            return list(jax.jvp(lambda xs: list(call(xs)[0]), (list(leaves),), (tangents,))[1])

        (row,) = _structured(jax.make_jaxpr(push)(shapes), context)
        sizes = [prod(x.shape) for x in shapes]
        found = entries([row], row.dtype)
        line = jnp.zeros(sum(sizes), row.dtype).at[found.inputs].add(found.values)
        pieces = jnp.split(line, np.cumsum(sizes)[:-1])
        flat = [p.reshape(x.shape).astype(x.dtype) for p, x in zip(pieces, shapes, strict=True)]
        return flat, (list(output), aux)

    return gradient


def _materialized(
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

    imaginary = _products(jax.make_jaxpr(turned)(list(outputs)), tangents, eqn, context)
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
    rows = _structured(closed, context, eqn)
    dtype = _real_dtype(tangents)
    total = jnp.zeros(sum(sizes), dtype)
    for row, tangent in zip(rows, tangents, strict=True):
        total = total + _row_sums(row, tangent, sum(sizes)).astype(dtype)
    pieces = jnp.split(total, np.cumsum(sizes)[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _structured(closed: ClosedJaxpr, context: Context, eqn: JaxprEqn | None = None) -> list[Lanes]:
    """The results of a linear program by the elements of its inputs.

    `eqn` is the part whose backward rule it is, which need not be linear.
    """
    program = flatten(closed, len(closed.jaxpr.invars))
    program.prune(program.outputs)
    residuals = program.residuals(program.outputs)
    computed = run_primal(program.primal, dict(program.captured), residuals)
    values: dict[Any, Any] = dict(zip(residuals, computed, strict=True))
    try:
        return walk(context, program.tangent, values | identity(program.tangents), program.outputs)
    except NotLinearError as error:
        _note(error, eqn, context)
    return materialized(program, values, program.outputs, context.entry_limit)


def _note(error: NotLinearError, eqn: JaxprEqn | None, context: Context) -> None:
    """Tell that a program takes one pass for each seed, or for those that nowhere meet."""
    name = str(error) if eqn is None else named_with_line(eqn)
    if context.strict and eqn is None:
        raise NoRuleError(
            f"{context.api}: {error}, so that its structure cannot be followed, and strict=True allows "
            "no dense derivative in its place. Leave strict out."
        ) from error
    if context.strict:
        raise NoRuleError(
            f"{context.api}: forward mode through {name} takes the transpose of its backward rule, but "
            f"{error}, and strict=True allows no passes over basis vectors in its place. Leave strict "
            "out, or use mode='reverse'."
        ) from error
    if name not in context.fallbacks:
        context.fallbacks.append(name)


def _row_sums(row: Lanes, tangent: Any, size: int) -> Any:
    """`[size]`: coefficients times one input's tangent, summed by the outputs they belong to."""
    dtype = tangent.dtype  # that of the row too: a cotangent is of its input's dtype
    total = jnp.zeros(size, _real_dtype([tangent]))
    for group in row.groups:
        data = fill(valid_data(group), group.lanes, row.shape).astype(dtype)
        axes = range(len(row.shape))
        summed = [a for a in axes if group.index.shape[1 + a] == 1]
        kept = [a for a in axes if a not in summed]
        # one product of matrices: the axes along which the index varies stay, the others are summed
        numbers = (([1 + a for a in summed], summed), ([1 + a for a in kept], kept))
        sums = lax.dot_general(data, tangent, numbers, precision=lax.Precision.HIGHEST)
        index = np.moveaxis(group.index.reshape(group.lanes, *(row.shape[a] for a in kept)), 0, -1)
        valid = index.reshape(-1) >= 0
        line = jnp.real(sums).reshape(-1)
        if not valid.all():
            line = line[np.flatnonzero(valid)]
        total = total.at[index.reshape(-1)[valid]].add(line)
    if row.entries is not None:
        found = row.entries
        products = jnp.asarray(found.values, dtype) * look_up(tangent.reshape(-1), found.elements)
        total = total.at[found.inputs].add(jnp.real(products))
    return total


def _real_dtype(arrays: Sequence[Any]) -> Any:
    with jax.numpy_dtype_promotion("standard"):
        return jnp.finfo(jnp.result_type(*(a.dtype for a in arrays))).dtype
