"""The JAX code that a primitive of a user's or of another package is defined by.

Where such a primitive meets a tangent after JAX's own rules were applied, its `impl` says what it does.
If that is JAX code, it is followed in its place, as a call is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Primitive

from jaxcalc.engine.jaxprs import equations, indexing
from jaxcalc.engine.jaxprs.varying import shape_of
from jaxcalc.engine.rules import coverage
from jaxcalc.engine.rules.registry import Context
from jaxcalc.engine.tangents.lanes import Group, Lanes, valid_data

# whatever a function of the user's may raise that is given tracers, where it wants numbers
_RAISED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


def program(context: Context, eqn: JaxprEqn) -> ClosedJaxpr | None:
    """What an equation of an unlisted primitive does, as a program; None where that cannot be followed.

    It cannot where tracing it raises an error, or leads to the primitive again, as JAX's own `impl`
    does; where it has effects; or where its results are not those that the primitive promises. Whether
    it is linear in the tangents is seen when it is followed.
    """
    if coverage.is_listed(eqn.primitive.name):
        return None
    if id(eqn) not in context.traced:
        context.traced[id(eqn)] = eqn, _traced(eqn)  # kept, so that its number stays its own
    closed = context.traced[id(eqn)][1]
    if closed is None or any(_holds(closed.jaxpr, p) for p in (eqn.primitive, *context.inside)):
        return None
    return closed


def _traced(eqn: JaxprEqn) -> ClosedJaxpr | None:
    run = indexing.implementation(eqn)

    def results(*operands: Any) -> list[Any]:
        found = run(*operands)
        return list(found) if eqn.primitive.multiple_results else [found]

    try:
        closed = jax.make_jaxpr(results)(*(shape_of(v.aval) for v in eqn.invars))
    except _RAISED:
        return None
    promised = [_type(v.aval) for v in eqn.outvars]
    return closed if not closed.effects and [_type(a) for a in closed.out_avals] == promised else None


def where_finite(
    eqn: JaxprEqn, operands: Sequence[Any], asked: Sequence[Lanes], results: Sequence[Any]
) -> list[Any]:
    """The results of an implementation that asked whether tangents are finite, and was told so.

    Such a question serves to report a failure; what does is linear as long as there is none. Where a
    coefficient is not finite, the equation runs as it stands, so that it can report that, and the
    results are NaN.
    """
    arrays = [valid_data(group) for x in asked for group in x.groups]
    if not arrays:
        return list(results)
    finite = jnp.stack([jnp.isfinite(a).all() for a in arrays]).all()

    def reported() -> Any:
        totals = [lax.stop_gradient(_total(x) if isinstance(x, Lanes) else x) for x in operands]
        found = [x for x in equations.bind(eqn, totals) if equations.is_inexact(x)]
        return sum((jnp.real(x).sum().astype(float) for x in found), jnp.full((), jnp.nan, float))

    wrong = lax.stop_gradient(lax.cond(finite, lambda: jnp.zeros((), float), reported))

    def checked(group: Group) -> Group:
        data = jnp.where(finite, group.data, wrong.astype(group.data.dtype))
        return Group(data, group.index, is_clean=bool((group.index >= 0).all()))

    return [x.with_groups([*map(checked, x.groups)]) if isinstance(x, Lanes) else x for x in results]


def _total(x: Lanes) -> Any:
    """A tangent that is not finite where one of the coefficients is not: their sum."""
    sums = [jnp.broadcast_to(valid_data(group).sum(axis=0), x.shape) for group in x.groups]
    beside = 0 if x.entries is None else x.entries.values.sum()
    return sum(sums, jnp.full(x.shape, beside, x.dtype))


def _type(aval: Any) -> Any:
    return getattr(aval, "shape", None), getattr(aval, "dtype", None)


def _holds(jaxpr: Jaxpr, primitive: Primitive) -> bool:
    """Whether a program, or one inside it, has an equation of this primitive."""
    return any(
        eqn.primitive is primitive or any(_holds(inner, primitive) for inner in equations.programs(eqn))
        for eqn in jaxpr.eqns
    )
