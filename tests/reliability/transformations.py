"""Every public transformation of one function, from an array to arrays, beside JAX's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxcalc

SIZE = 5
Function = Callable[[Any], Any]


class Case(NamedTuple):
    """What is computed, and the same by JAX alone."""

    ours: Function
    theirs: Function


def f(x: Any) -> Any:
    """A band, with a loop, a branch and a nested call."""
    y, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c) + x, None), x, None, length=2)
    y = jax.lax.cond(x[0] > 0, jax.jit(jnp.sin), jnp.cos, y)
    return y[1:] * x[:-1]


def energy(x: Any) -> Any:
    return jnp.sum(f(x) ** 2)


def curve(t: Any) -> Any:
    return jnp.exp(-t) * jnp.sin(jnp.arange(1, SIZE + 1, dtype=t.dtype) * t)


def loss(parameters: Any, x: Any) -> Any:
    return jnp.sum(f(parameters) * x[1:])


def matrix(format: str, transform: Callable[..., Function], g: Function, **options: Any) -> Function:  # noqa: A002
    """The derivative in some format, as one dense array."""

    def dense(x: Any) -> Any:
        found = transform(g, format=format, **options)(x)
        return found.matrix() if format == "structured" else found.todense()

    return dense


def value_and_rest(transform: Callable[..., Function], g: Function, **options: Any) -> Function:
    return lambda x: jax.tree.leaves(transform(g, **options)(x))


def with_aux(x: Any) -> Any:
    found, aux = jaxcalc.jacobian(lambda x: (f(x), x[0]), has_aux=True)(x)
    return [found, aux]


_jac, _hess = jax.jacfwd(f), jax.hessian(energy)
CASES: dict[str, Case] = {
    "gradient": Case(jaxcalc.gradient(energy), jax.grad(energy)),
    "value_and_gradient": Case(
        value_and_rest(jaxcalc.value_and_gradient, energy), lambda x: [energy(x), jax.grad(energy)(x)]
    ),
    "derivative": Case(
        lambda x: jaxcalc.derivative(curve, order=2)(x[0]),
        lambda x: jax.jacfwd(jax.jacfwd(curve))(x[0]),
    ),
    "partial_derivative": Case(
        lambda x: jaxcalc.partial_derivative(lambda s, t: curve(s * t), ("s", "t"))(x[0], x[1]),
        lambda x: jax.jacfwd(jax.jacfwd(lambda s, t: curve(s * t), 0), 1)(x[0], x[1]),
    ),
    "jacobian": Case(jaxcalc.jacobian(f), _jac),
    "jacobian, forward": Case(jaxcalc.jacobian(f, mode="forward"), _jac),
    "jacobian, reverse": Case(jaxcalc.jacobian(f, mode="reverse"), _jac),
    "jacobian, structured": Case(matrix("structured", jaxcalc.jacobian, f), _jac),
    "jacobian, structured, reverse": Case(
        matrix("structured", jaxcalc.jacobian, f, mode="reverse"), _jac
    ),
    "jacobian, bcoo": Case(matrix("bcoo", jaxcalc.jacobian, f), _jac),
    "jacobian, memory_limit": Case(jaxcalc.jacobian(f, memory_limit=2_000), _jac),
    "jacobian, rows": Case(
        jaxcalc.jacobian(f, rows=[2, 0], columns=[1, 2]),
        lambda x: _jac(x)[jnp.ix_(jnp.array([2, 0]), jnp.array([1, 2]))],
    ),
    "jacobian, diagonal": Case(jaxcalc.jacobian(f, diagonal=True), lambda x: jnp.diagonal(_jac(x))),
    "jacobian, has_aux": Case(with_aux, lambda x: [_jac(x), x[0]]),
    "value_and_jacobian": Case(
        value_and_rest(jaxcalc.value_and_jacobian, f), lambda x: [f(x), _jac(x)]
    ),
    "hessian": Case(jaxcalc.hessian(energy), _hess),
    "hessian, structured": Case(matrix("structured", jaxcalc.hessian, energy), _hess),
    "hessian, bcoo": Case(matrix("bcoo", jaxcalc.hessian, energy), _hess),
    "value_gradient_and_hessian": Case(
        value_and_rest(jaxcalc.value_gradient_and_hessian, energy),
        lambda x: [energy(x), jax.grad(energy)(x), _hess(x)],
    ),
    "backpropagate": Case(
        lambda x: list(jaxcalc.descent.backpropagate(loss)(x, x)),
        lambda x: [loss(x, x), *jax.grad(loss, (0, 1))(x, x)],
    ),
}


def point(dtype: Any = None) -> Any:
    return jnp.linspace(0.5, 1.5, SIZE, dtype=dtype)


def total(case: Function) -> Function:
    """One number that depends on all that a transformation gives."""
    return lambda x: sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(case(x)))
