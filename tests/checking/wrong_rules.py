"""Functions with a wrong rule, of different kinds, each with where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import linear_call

rng = np.random.default_rng(2)
v = rng.uniform(0.5, 1.5, 5)
M = rng.normal(size=(4, 4)) + 4 * np.eye(4)
p = rng.uniform(0.5, 1.5, 4)
long = rng.normal(size=300)


class Wrong(NamedTuple):
    """A function, its arguments, the kind of the finding, and names that it must contain."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    kind: str = "wrong derivative"
    input: str = ""
    output: str = ""
    options: Mapping[str, Any] = MappingProxyType({})


def with_jvp(f: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """f with a tangent of `rule(primals, tangents)`."""
    wrapped = jax.custom_jvp(f)
    wrapped.defjvp(lambda x, t: (wrapped(*x), rule(x, t)))
    return wrapped


def with_vjp(f: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """f with cotangents of `rule(arguments, ct)`."""
    wrapped = jax.custom_vjp(f)
    wrapped.defvjp(lambda *x: (wrapped(*x), x), rule)
    return wrapped


def one_percent(x: Any, t: Any) -> Any:
    return 1.01 * jnp.cos(x[0]) * t[0]


def one_entry(x: Any, t: Any) -> Any:
    return (2 * x[0] * t[0]).at[2].multiply(1.01)


def wrong_transpose(x: Any) -> Any:
    weights = jnp.arange(1.0, x.size + 1).astype(x.dtype)
    return linear_call(lambda _, x: weights * x, lambda _, ct: ct, (), x)


def not_symmetric(b: Any) -> Any:
    matrix = jnp.asarray(M, b.dtype)
    return lax.custom_linear_solve(
        lambda x: matrix @ x, b, lambda _, b: jnp.linalg.solve(matrix, b), symmetric=True
    )


def squared_norm_rule(x: Any, t: Any) -> Any:
    return 2 * jnp.sum(t[0])  # forgets x


def two_arguments(x: Any, t: Any) -> Any:
    return x[1] * t[0] - x[0] * t[1]  # a sign


def in_scan(x: Any) -> Any:
    step = with_jvp(jnp.sin, one_percent)
    return lax.scan(lambda c, _: (step(c), None), x, None, length=3)[0]


def in_cond(x: Any) -> Any:
    return lax.cond(x[0] > 0, with_jvp(jnp.sin, one_percent), jnp.cos, x)


def in_while(x: Any) -> Any:
    step = with_jvp(jnp.sin, one_percent)
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, step(s[1])), (0, x))[1]


def in_layers(parameters: Any, x: Any) -> Any:
    act = with_vjp(jnp.tanh, lambda x, ct: (ct * (1 - jnp.tanh(x[0])),))
    return jnp.sum(act(parameters["w"] @ x) + parameters["b"])


def long_entry(x: Any, t: Any) -> Any:
    return (jnp.cos(x[0]) * t[0]).at[123].multiply(1.5)


def second_only(x: Any) -> Any:
    slope = with_jvp(lambda x: 3 * x**2, lambda x, t: 6.3 * x[0] * t[0])
    cube = with_jvp(lambda x: x**3, lambda x, t: slope(x[0]) * t[0])
    return jnp.sum(cube(x))


def not_a_gradient(x: Any) -> Any:
    """The first derivative is right, and the second one is that of no function."""
    slope = with_jvp(lambda x: 2 * x, lambda x, t: 2 * t[0] + 0.1 * jnp.roll(t[0], 1))
    return with_jvp(lambda x: jnp.sum(x**2), lambda x, t: slope(x[0]) @ t[0])(x)


def relu_as_identity(x: Any) -> Any:
    return with_jvp(jax.nn.relu, lambda x, t: t[0])(x)


def straight_through(x: Any) -> Any:
    return with_jvp(lambda x: jnp.round(x, 0), lambda x, t: t[0])(x)


def cut(x: Any) -> Any:
    return x * lax.stop_gradient(jnp.sin(x))


WRONG: dict[str, Wrong] = {
    "a factor of 1.01": Wrong(with_jvp(jnp.sin, one_percent), (v,)),
    "a factor of 1.01 in reverse": Wrong(
        with_vjp(jnp.sin, lambda x, ct: (1.01 * jnp.cos(x[0]) * ct,)), (v,)
    ),
    "one entry by 1 %": Wrong(with_jvp(jnp.square, one_entry), (v,), input="[2]", output="[2]"),
    "a sign": Wrong(with_jvp(jnp.cos, lambda x, t: jnp.sin(x[0]) * t[0]), (v,)),
    "a sign of one argument": Wrong(
        with_jvp(jnp.multiply, two_arguments), (v, v + 1), options={"argnums": (0, 1)}
    ),
    "a forgotten argument": Wrong(
        with_vjp(jnp.multiply, lambda x, ct: (ct * x[1], jnp.zeros_like(x[1]))),
        (v, v + 1),
        options={"argnums": (0, 1)},
    ),
    "arguments exchanged": Wrong(
        with_vjp(lambda x, y: x * y**2, lambda x, ct: (2 * ct * x[0] * x[1], ct * x[1] ** 2)),
        (v, v + 1),
        options={"argnums": (0, 1)},
    ),
    "a forgotten factor": Wrong(with_jvp(lambda x: jnp.sum(x**2), squared_norm_rule), (v,)),
    "a forgotten sum": Wrong(
        with_vjp(
            lambda x: jnp.sum(x) * jnp.ones(3, x.dtype), lambda x, ct: (ct[0] * jnp.ones_like(x[0]),)
        ),
        (v,),
    ),
    "an offset": Wrong(with_jvp(jnp.exp, lambda x, t: (jnp.exp(x[0]) + 0.02) * t[0]), (v,)),
    "a shift of one element": Wrong(
        with_jvp(jnp.square, lambda x, t: 2 * jnp.roll(x[0] * t[0], 1)), (v,)
    ),
    "transposed matrix": Wrong(
        with_vjp(lambda x: jnp.asarray(M, x.dtype) @ x, lambda x, ct: (jnp.asarray(M, ct.dtype) @ ct,)),
        (p,),
    ),
    "a wrong transpose": Wrong(wrong_transpose, (v,), "modes disagree", "[", "["),
    "no symmetric matrix": Wrong(not_symmetric, (p,), "modes disagree", "[", "["),
    "a clipped cotangent": Wrong(
        with_vjp(jnp.sin, lambda x, ct: (jnp.clip(ct, -1, 1) * jnp.cos(x[0]),)), (v,), "not linear"
    ),
    "a cotangent with an offset": Wrong(
        with_vjp(jnp.sin, lambda x, ct: (ct * jnp.cos(x[0]) + 0.1,)), (v,), "not linear"
    ),
    "a cotangent that is ignored": Wrong(
        with_vjp(jnp.sin, lambda x, ct: (jnp.cos(x[0]),)), (v,), "not linear"
    ),
    "inside scan": Wrong(in_scan, (v,)),
    "inside cond": Wrong(in_cond, (v,)),
    "inside while": Wrong(in_while, (v,)),
    "inside a layer": Wrong(in_layers, ({"w": M[:3] / 9, "b": p[:3]}, p), input="['w']"),
    "one of many": Wrong(with_jvp(jnp.sin, long_entry), (long,), input="[123]", output="[123]"),
    "one of many, summed": Wrong(
        lambda x: jnp.sum(with_jvp(jnp.sin, long_entry)(x)), (long,), input="[123]"
    ),
    "relu as the identity": Wrong(relu_as_identity, (v - 1,)),
    "straight through": Wrong(straight_through, (v,)),
    "stop_gradient": Wrong(cut, (v,)),
    "a detached phase": Wrong(
        lambda z: jnp.abs(z) * lax.stop_gradient(z / jnp.abs(z)), (v + 1j * v[::-1],)
    ),
    "not holomorphic": Wrong(
        lambda z: jnp.conj(z) * z, (v + 1j,), "not holomorphic", options={"holomorphic": True}
    ),
    "the second derivative alone": Wrong(second_only, (v,), options={"order": 2}),
    "no symmetric Hessian": Wrong(not_a_gradient, (v,), "not symmetric", options={"order": 2}),
}


def in_dtype(arguments: Any, dtype: str) -> Any:
    """Arguments in float32 or float64, complex ones in the complex dtype of that precision."""
    of_complex = {"float32": "complex64", "float64": "complex128"}[dtype]
    return jax.tree.map(
        lambda x: jnp.asarray(x, of_complex if np.iscomplexobj(x) else dtype), arguments
    )
