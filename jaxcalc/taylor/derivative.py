"""The n-th derivative of a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.engine.dense import UNTRACEABLE
from jaxcalc.engine.directions import directions_allowed
from jaxcalc.taylor.series import Series, coefficients_of, full, value_of
from jaxcalc.taylor.walk import CustomReverseRuleError, evaluate


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
    cannot be traced, because it branches on the value of x in Python, goes through nested `jax.jvp`.
    """
    try:
        return _nested(call, x, 1) if order == 1 else _taylor(call, x, order)
    except UNTRACEABLE:
        return _nested(call, x, order)
    except TypeError as error:
        if isinstance(error, CustomReverseRuleError) or (order == 1 and not _forward(call, x)):
            raise TypeError(_NO_FORWARD_MODE.format(api=api)) from None
        raise


_NO_FORWARD_MODE = (
    "{api}: the function calls one with a rule for reverse mode alone (jax.custom_vjp), and a "
    "derivative by one number is taken in forward mode. Give that rule with jax.custom_jvp, which "
    "serves both modes, or use jaxcalc.jacobian, which takes reverse mode here."
)


def _taylor(call: Callable[[Any], Any], x: Any, order: int) -> tuple[Any, Any]:
    """Trace `call` once and propagate the series of x + t."""
    split: list[_Outputs] = []

    def arrays(x: Any) -> list[Any]:
        outputs, leaves = _Outputs.of(*call(x))
        split.append(outputs)
        return leaves

    program = jax.make_jaxpr(arrays)(x)
    (outputs,) = split
    x = jnp.asarray(x)
    line = Series((x, lax.full_like(x, 1), *[None] * (order - 1)))
    count = outputs.treedef.num_leaves
    moving = [i < count for i in range(len(program.out_avals))]
    results = evaluate(program, [line], order, moving)
    leaves = [
        full(coefficients_of(result, order)[-1], value_of(result)) if on else value_of(result)
        for result, on in zip(results, moving, strict=True)
    ]
    return outputs.restored(leaves)


class _Outputs(NamedTuple):
    """The structure of `(output, aux)`, and what of aux is no tracer and may be anything at all."""

    treedef: Any
    aux_treedef: Any
    aux_constants: list[Any]

    @classmethod
    def of(cls, output: Any, aux: Any) -> tuple[_Outputs, list[Any]]:
        """The structure, and the arrays: the output's leaves and the tracers in aux."""
        leaves, treedef = jax.tree.flatten(output)
        aux_leaves, aux_treedef = jax.tree.flatten(aux)
        traced = [isinstance(leaf, jax.core.Tracer) for leaf in aux_leaves]
        constants = [_TRACED if on else leaf for leaf, on in zip(aux_leaves, traced, strict=True)]
        arrays = [leaf for leaf, on in zip(aux_leaves, traced, strict=True) if on]
        return cls(treedef, aux_treedef, constants), [*leaves, *arrays]

    def restored(self, arrays: list[Any]) -> tuple[Any, Any]:
        """Output and aux from their arrays."""
        count = self.treedef.num_leaves
        remaining = iter(arrays[count:])
        aux = [next(remaining) if leaf is _TRACED else leaf for leaf in self.aux_constants]
        return self.treedef.unflatten(arrays[:count]), self.aux_treedef.unflatten(aux)


_TRACED = object()  # where a tracer was, so that none outlives its trace


def _forward(call: Callable[[Any], Any], x: Any) -> bool:
    """Whether JAX has a forward mode for a function; only asked once something went wrong."""
    program = jax.make_jaxpr(lambda x: call(x)[0])(x).jaxpr
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
