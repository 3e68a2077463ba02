"""The n-th derivative of a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.engine.jaxprs.directions import directions_allowed
from jaxcalc.methods.taylor.series import Series, coefficients_of, full, value_of
from jaxcalc.methods.taylor.walk import NotFollowedError, evaluate


def nth_derivative(api: str, call: Callable[[Any], Any], x: Any, order: int) -> tuple[Any, Any]:
    """The n-th derivative of `call` at the scalar `x`, and its aux.

    Args:
        api: the public name to begin error messages with.
        call: a function of one scalar that returns `(output, aux)`.
        x: where to take the derivative: a Python number, an array of shape `()` or a tracer.
        order: 1 or more.

    Returns:
        The derivative, of the structure, shapes and dtypes of the output, and aux.

    Order 1 is `jax.jvp`. Above it f is traced once and evaluated on Taylor series; a function that
    cannot be traced, because it branches on the value of x in Python, or that holds what no series
    follows, goes through nested `jax.jvp`.
    """
    if order > 1:
        try:
            return _taylor(call, x, order)
        except (NotFollowedError, *PERHAPS_UNTRACEABLE):
            pass
    try:
        return _nested(call, x, order)
    except TypeError:
        if _has_forward_mode(call, x):
            raise
        raise TypeError(_NO_FORWARD_MODE.format(api=api)) from None


_NO_FORWARD_MODE = (
    "{api}: the function calls one with a rule for reverse mode alone (jax.custom_vjp), and a "
    "derivative with respect to a scalar is taken in forward mode. Give that rule with "
    "jax.custom_jvp, which serves both modes, or use jaxcalc.jacobian, which takes reverse mode here."
)


def _taylor(call: Callable[[Any], Any], x: Any, order: int) -> tuple[Any, Any]:
    """Trace `call` once and propagate the series of x + t."""
    found: list[tuple[Any, Aside]] = []

    def arrays(x: Any) -> list[Any]:
        output, aux = call(x)
        leaves, treedef = jax.tree.flatten(output)
        traced, rest = set_aside(aux, lambda leaf: isinstance(leaf, jax.core.Tracer))
        found.append((treedef, rest))
        return [*leaves, *traced]

    program = jax.make_jaxpr(arrays)(x)
    ((treedef, rest),) = found
    x = jnp.asarray(x)
    line = Series((x, lax.full_like(x, 1), *[None] * (order - 1)))
    count = treedef.num_leaves
    moving = [i < count for i in range(len(program.out_avals))]
    if program.effects:  # nothing is to happen twice, should the walk stop on its way
        jax.eval_shape(lambda: [value_of(y) for y in evaluate(program, [line], order, moving)])
    results = evaluate(program, [line], order, moving)
    leaves = [full(coefficients_of(y, order)[-1], value_of(y)) for y in results[:count]]
    return treedef.unflatten(leaves), rest.restored([value_of(y) for y in results[count:]])


def _has_forward_mode(call: Callable[[Any], Any], x: Any) -> bool:
    """Whether JAX has a forward mode for a function; only asked once something went wrong."""
    try:
        program = jax.make_jaxpr(lambda x: call(x)[0])(x).jaxpr
    except PERHAPS_UNTRACEABLE:
        return True
    return "forward" in directions_allowed(program, program.invars)


def _nested(call: Callable[[Any], Any], x: Any, order: int) -> tuple[Any, Any]:
    for _ in range(order):
        call = _slope(call)
    return call(x)


def _slope(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def slope(x: Any) -> tuple[Any, Any]:
        _, tangent, aux = jax.jvp(g, (x,), (jnp.ones_like(x),), has_aux=True)
        return tangent, aux

    return slope
