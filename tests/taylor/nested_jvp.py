"""The reference for derivatives of any order: `jax.jvp` nested that many times."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

import jaxcalc
from jaxcalc.engine.jaxprs.equations import programs


def nested(f: Callable[[Any], Any], order: int) -> Callable[[Any], Any]:
    for _ in range(order):
        f = _slope(f)
    return f


def _slope(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def assert_equals_nested(f: Callable[[Any], Any], x: Any, *orders: int, **tolerance: float) -> None:
    """Derivatives of these orders are nested ones: structure, shapes, dtypes and values."""

    def both(x: Any) -> Any:
        found = [jaxcalc.derivative(f, order=order)(x) for order in orders]
        return found, [nested(f, order)(x) for order in orders]

    found, expected = jax.jit(both)(x)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, **tolerance)


def equation_count(f: Callable[[Any], Any], x: Any) -> int:
    """How many equations f traces to, inner programs included."""
    return _count(jax.make_jaxpr(f)(x).jaxpr)


def _count(jaxpr: Jaxpr) -> int:
    return sum(1 + sum(_count(inner) for inner in programs(eqn)) for eqn in jaxpr.eqns)
