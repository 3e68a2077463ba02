"""Functions that are hard to trace once, by what they capture, branch on, return or forbid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from tests.net.record import Case

X = jnp.arange(1.0, 7.0)
Z = X + 1j * X[::-1]
S = jax.ShapeDtypeStruct((6,), jnp.float32)


def jvp_over_a_computed_value(x: Any) -> Any:
    """A rule that closes over what f computes."""
    scale = jnp.sum(x)

    @jax.custom_jvp
    def g(t: Any) -> Any:
        return t * t

    g.defjvp(lambda primals, tangents: (primals[0] ** 2, scale * tangents[0]))
    return g(jnp.sin(x))


def vjp_over_a_computed_value(x: Any) -> Any:
    scale = jnp.sum(x)

    @jax.custom_vjp
    def g(t: Any) -> Any:
        return t * t

    g.defvjp(lambda t: (t * t, t), lambda t, d: (scale * t * d,))
    return g(jnp.sin(x))


def vjp_with_a_loop(x: Any) -> Any:
    @jax.custom_vjp
    def g(t: Any) -> Any:
        return lax.fori_loop(0, 3, lambda _, c: jnp.sin(c), t)

    def backward(t: Any, d: Any) -> Any:
        return (lax.while_loop(lambda c: jnp.sum(c) < 0, lambda c: c + 1, jnp.cos(t)) * d,)

    g.defvjp(lambda t: (g(t), t), backward)
    return g(x) + x[::-1]


def branch_on_another(x: Any, t: Any) -> Any:
    return jnp.sin(x) if t > 0 else jnp.cos(x)


def branch_on_its_own(x: Any) -> Any:
    return jnp.sin(x) if x[0] > 0 else jnp.cos(x)


def with_aux(x: Any) -> Any:
    return jnp.sin(x) * x[0], {"steps": 3, "table": np.arange(3), "mean": jnp.mean(x), "name": "text"}


class Model:
    """An object that nobody watches."""

    def __init__(self) -> None:
        self.scale = [2.0]

    def __call__(self, x: Any) -> Any:
        return self.scale[0] * x[1:] * x[:-1]

    def method(self, x: Any) -> Any:
        return jnp.cumsum(self.scale[0] * x)


def with_effects(x: Any) -> Any:
    jax.debug.callback(lambda _: None, x[0])
    return jnp.sin(x)


def with_a_callback(x: Any) -> Any:
    y = jax.pure_callback(np.asarray, jax.ShapeDtypeStruct((), jnp.float32), lax.stop_gradient(x[0]))
    return jnp.sin(x) * y


def heat(u: Any) -> Any:
    def step(u: Any, _: Any) -> Any:
        return u.at[1:-1].add(0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])), u[0]

    return lax.scan(step, u, None, length=4)[0]


def loss(u: Any) -> Any:
    return jnp.sum(heat(u) ** 3)


def until(x: Any) -> Any:
    return lax.while_loop(lambda y: jnp.sum(y) < 100.0, lambda y: 1.5 * y, x)


def conjugated(z: Any) -> Any:
    return jnp.conj(z[1:]) * z[:-1]


def to_complex(x: Any) -> Any:
    return jnp.exp(1j * x)


def to_real(z: Any) -> Any:
    return jnp.abs(z) ** 2


def pytree(p: Any) -> Any:
    return {"a": p["u"] * p["v"][0], "b": jnp.sum(p["u"] * p["w"], axis=1)}


def with_integers(p: Any) -> Any:
    return p["x"][p["i"]]


def out_of_bounds(x: Any) -> Any:
    return x[np.array([0, 2, 9])]


def gathered(x: Any, i: Any) -> Any:
    return jnp.sin(x)[i] * x[0]


def on_mesh(axis_types: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The derivative on each device of a mesh of one device."""
    mesh = jax.make_mesh((1,), ("d",), axis_types=(axis_types,))

    def around(derivative: Callable[..., Any]) -> Callable[..., Any]:
        if axis_types == jax.sharding.AxisType.Auto:
            spec = PartitionSpec("d")
            return jax.shard_map(lambda x: derivative(x)[0], mesh=mesh, in_specs=spec, out_specs=spec)

        def call(*args: Any) -> Any:
            with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
                return derivative(*args)

        return call

    return around


def _tree() -> dict[str, Any]:
    return {"u": jnp.ones((2, 3)), "v": jnp.ones(2), "w": jnp.ones(3)}


def _integers() -> dict[str, Any]:
    return {"x": X, "i": jnp.array([1, 4])}


ODD: dict[str, Case] = {
    "custom_jvp over a computed value": Case(jvp_over_a_computed_value, (X,)),
    "custom_vjp over a computed value": Case(vjp_over_a_computed_value, (X,)),
    "custom_vjp with a loop in its rule": Case(vjp_with_a_loop, (X,)),
    "custom_vjp, forward": Case(vjp_with_a_loop, (X,), options={"mode": "forward"}),
    "custom_vjp, Hessian": Case(lambda x: jnp.sum(vjp_with_a_loop(x)), (X,), 2),
    "branch on another argument": Case(branch_on_another, (X, 1.0)),
    "branch on another argument, dense": Case(branch_on_another, (X, 1.0), explained=False),
    "branch on its own argument": Case(branch_on_its_own, (X,)),
    "aux": Case(with_aux, (X,), options={"has_aux": True}),
    "unwatched object": Case(Model(), (X,)),
    "bound method": Case(Model().method, (X,)),
    "effects": Case(with_effects, (X,)),
    "callback": Case(with_a_callback, (X,)),
    "loop whose band grows": Case(heat, (jnp.ones(300),)),
    "loss of a loop": Case(loss, (jnp.ones(100),), 2),
    "while_loop": Case(until, (X,)),
    "while_loop, Hessian": Case(lambda x: jnp.sum(until(x) ** 2), (X,), 2),
    "shapes alone": Case(lambda x: x[1:] * x[:-1], (S,)),
    "complex, forward": Case(conjugated, (Z,), options={"mode": "forward"}),
    "complex, holomorphic": Case(jnp.exp, (Z,), options={"holomorphic": True}),
    "real to complex": Case(to_complex, (X,)),
    "complex to real": Case(to_real, (Z,)),
    "pytrees": Case(pytree, (_tree(),)),
    "float0": Case(with_integers, (_integers(),), options={"allow_int": True}),
    "out of bounds": Case(out_of_bounds, (X,)),
    "out of bounds, reverse": Case(out_of_bounds, (X,), options={"mode": "reverse"}),
    "known indices": Case(gathered, (X, np.array([1, 4]))),
    "rows": Case(heat, (jnp.ones(300),), options={"rows": [0, -1]}, explained=False),
    "columns": Case(heat, (jnp.ones(300),), options={"columns": [5, 7]}, explained=False),
    "diagonal": Case(heat, (jnp.ones(300),), options={"diagonal": True}, explained=False),
    "diagonal, by products": Case(
        lambda x: jnp.linalg.inv(jnp.diag(x)) @ x, (X,), options={"diagonal": True}, explained=False
    ),
    "memory_limit": Case(
        lambda x: jnp.tanh(jnp.outer(x, x)).sum(0), (jnp.ones(200),), options={"memory_limit": "64KiB"}
    ),
    "strict": Case(heat, (jnp.ones(300),), options={"strict": True}),
    "empty": Case(jnp.sin, (jnp.ones(0),)),
    "a number": Case(jnp.sin, (1.0,)),
    "inside shard_map": Case(
        heat, (jnp.ones(300),), explained=False, around=on_mesh(jax.sharding.AxisType.Auto)
    ),
    "an explicit mesh": Case(
        heat, (jnp.ones(300),), explained=False, around=on_mesh(jax.sharding.AxisType.Explicit)
    ),
    "under vmap": Case(
        heat, (jnp.ones((2, 300)),), explained=False, around=lambda d: jax.vmap(lambda x: d(x)[0])
    ),
    "under grad": Case(
        partial(jnp.multiply, 2.0), (X,), explained=False,
        around=lambda d: jax.grad(lambda x: jnp.sum(d(x)[0])),
    ),
}  # fmt: skip
