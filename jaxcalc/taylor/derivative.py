"""The n-th derivative of a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.engine.dense import UNTRACEABLE
from jaxcalc.taylor.series import Series, scaled
from jaxcalc.taylor.walk import evaluate


def nth_derivative(call: Callable[[Any], Any], x: Any, order: int) -> tuple[Any, Any]:
    """The n-th derivative of `call` at the scalar `x`, and its aux.

    Args:
        call: a function of one scalar that returns `(output, aux)`.
        x: where to take the derivative: a Python number, an array of shape `()` or a tracer.
        order: 1 or more.

    Returns:
        The derivative, of the structure, shapes and dtypes of the output, and aux.

    Order 1 is `jax.jvp`. Above it f is traced once and evaluated on Taylor series; a function that
    cannot be traced, because it branches on the value of x in Python, goes through nested `jax.jvp`.
    """
    if order == 1:
        return _nested(call, x, 1)
    try:
        program, shapes = jax.make_jaxpr(call, return_shape=True)(x)
    except UNTRACEABLE:
        return _nested(call, x, order)
    _, treedef = jax.tree.flatten(shapes)
    output_count = len(jax.tree.leaves(shapes[0]))
    x = jnp.asarray(x)
    line = Series((x, lax.full_like(x, 1), *[None] * (order - 1)))
    results = evaluate(program, [line], order)
    avals = program.out_avals
    leaves = [
        _last(result, aval, order) if i < output_count else _first(result)
        for i, (result, aval) in enumerate(zip(results, avals, strict=True))
    ]
    return jax.tree.unflatten(treedef, leaves)


def _last(result: Any, aval: Any, order: int) -> Any:
    """The derivative from the last coefficient: n! times it."""
    last = result.coefficients[order] if isinstance(result, Series) else None
    if last is None:
        return jnp.zeros(aval.shape, aval.dtype)
    return scaled(float(factorial(order)), last)


def _first(result: Any) -> Any:
    return result.value if isinstance(result, Series) else result


def _nested(call: Callable[[Any], Any], x: Any, order: int) -> tuple[Any, Any]:
    for _ in range(order):
        call = _slope(call)
    return call(x)


def _slope(g: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def slope(x: Any) -> tuple[Any, Any]:
        _, tangent, aux = jax.jvp(g, (x,), (jnp.ones_like(x),), has_aux=True)
        return tangent, aux

    return slope
