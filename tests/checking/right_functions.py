"""A hundred functions whose derivatives are right, with where they are checked, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Case(NamedTuple):
    """A function, its arguments, the options of the check, and the kinds of what it may remark."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    remarks: frozenset[str] = frozenset()


KINK = frozenset({"kink"})
JUMP = frozenset({"discontinuity"})
UNKNOWN = frozenset({"undetermined", "kink", "discontinuity"})

rng = np.random.default_rng(1)
v = jnp.asarray(rng.normal(size=5), jnp.float32)
p = jnp.asarray(rng.uniform(0.5, 2.0, 4), jnp.float32)
A = jnp.asarray(rng.normal(size=(4, 4)), jnp.float32)
S = A @ A.T + 4 * jnp.eye(4)
z = jnp.asarray(rng.normal(size=3) + 1j * rng.normal(size=3), jnp.complex64)
long = jnp.asarray(rng.normal(size=2000), jnp.float32)
parameters = {
    "w": [
        jnp.asarray(rng.normal(size=(3, 4)), jnp.float32),
        jnp.asarray(rng.normal(size=(4, 2)), jnp.float32),
    ],
    "b": jnp.asarray(rng.normal(size=4), jnp.float32),
}
inputs = jnp.asarray(rng.normal(size=(6, 3)), jnp.float32)


def network(parameters: Any, x: Any) -> Any:
    hidden = jnp.tanh(x @ parameters["w"][0] + parameters["b"])
    return jnp.mean((hidden @ parameters["w"][1]) ** 2)


def relu_network(parameters: Any, x: Any) -> Any:
    return jnp.sum(jax.nn.relu(x @ parameters["w"][0] + parameters["b"]) @ parameters["w"][1])


def rollout(x: Any) -> Any:
    return lax.scan(lambda c, t: (jnp.sin(c) + 0.1 * t, c * c), x, jnp.arange(20.0))


def while_loop(x: Any) -> Any:
    return lax.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, jnp.sin(s[1]) + s[1]), (0, x))[1]


@jax.custom_vjp
def right_vjp(x: Any) -> Any:
    return jnp.exp(x) * x


right_vjp.defvjp(lambda x: (right_vjp(x), x), lambda x, ct: (ct * jnp.exp(x) * (1 + x),))


@jax.custom_jvp
def right_jvp(x: Any) -> Any:
    return jnp.log1p(jnp.exp(x))


right_jvp.defjvp(lambda x, t: (right_jvp(*x), jax.nn.sigmoid(x[0]) * t[0]))


def branches_in_python(x: Any) -> Any:
    return x**2 if x[0] > 0 else -(x**2)


def safe_norm(x: Any) -> Any:
    square = jnp.sum(x**2)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def low(x: Any, dtype: Any) -> Any:
    return jnp.asarray(x, dtype)


@jax.custom_vjp
def gradient_in_bfloat16(x: Any) -> Any:
    return x


gradient_in_bfloat16.defvjp(lambda x: (x, None), lambda _, ct: (low(low(ct, jnp.bfloat16), ct.dtype),))


def _low_inside(dtype: str) -> dict[str, Callable[..., Any]]:
    def layer(x: Any) -> Any:
        return jnp.tanh(low(A, dtype) @ low(x, dtype))

    return {
        "a layer": lambda x: low(layer(x), jnp.float32),
        "a loss": lambda x: jnp.mean(low(layer(x), jnp.float32) ** 2),
        "a loop": lambda x: lax.scan(lambda c, _: (c + low(layer(c), c.dtype), None), x, None, 3)[0],
        "a jitted layer": jax.jit(lambda x: low(layer(x), jnp.float32)),
    }


_UNARY = [
    jnp.sin, jnp.cos, jnp.tan, jnp.exp, jnp.tanh, jnp.arctan, jnp.sinh, jnp.cosh, jnp.arcsinh,
    jnp.square, jnp.expm1, jax.nn.sigmoid, jax.nn.softplus, jax.nn.gelu, jax.nn.silu,
    jax.nn.softmax, jax.nn.logsumexp, jax.scipy.special.erf, jnp.cumsum, jnp.var,
]  # fmt: skip
_POSITIVE = [
    jnp.log,
    jnp.sqrt,
    jnp.reciprocal,
    jnp.log1p,
    jax.scipy.special.gammaln,
    jnp.cbrt,
    jnp.prod,
]

RIGHT: dict[str, Case] = {
    **{f"{f.__name__} float32": Case(f, (v,)) for f in _UNARY},
    **{f"{f.__name__} positive": Case(f, (p,)) for f in _POSITIVE},
    **{
        f"{f.__name__} {dtype}": Case(f, (low([0.3, 1.0, -2.0], dtype),), {}, UNKNOWN)
        for dtype in ("float16", "bfloat16")
        for f in (jnp.sin, jnp.exp, jnp.tanh, jax.nn.sigmoid, jnp.square)
    },
    "float16 sum of many": Case(lambda x: jnp.sum(x * x), (low(long[:300], "float16"),), {}, UNKNOWN),
    "bfloat16 matmul": Case(lambda a: jnp.tanh(a @ a), (low(A, "bfloat16"),), {}, UNKNOWN),
    "bfloat16 relu at 0": Case(jax.nn.relu, (low([0.0, 1.0], "bfloat16"),), {}, UNKNOWN),
    "float16 that asks for its dtype": Case(
        lambda x: lax.mul(x, np.float16(2)), (low([1.0, 2.0], "float16"),), {}, UNKNOWN
    ),
    # arguments and outputs in float32, and fewer digits inside
    **{
        f"{name} with {dtype} inside": Case(f, (p,), {}, UNKNOWN)
        for dtype in ("float16", "bfloat16")
        for name, f in _low_inside(dtype).items()
    },
    "reduced precision inside": Case(
        lambda x: jnp.sin(lax.reduce_precision(x, 8, 7)), (p,), {}, UNKNOWN
    ),
    "a gradient in bfloat16": Case(lambda x: jnp.sum(jnp.sin(gradient_in_bfloat16(x))), (v,)),
    # kinks, ties and jumps
    "relu at 0": Case(jax.nn.relu, (jnp.array([0.0, 1.0, -1.0]),), {}, KINK),
    "relu near 0": Case(jax.nn.relu, (jnp.array([1e-3, -1e-3, 1e-5]),), {}, UNKNOWN),
    "abs at 0": Case(jnp.abs, (jnp.array([0.0, 2.0]),), {}, KINK),
    "leaky relu at 0": Case(jax.nn.leaky_relu, (jnp.zeros(2),), {}, KINK),
    "max tie": Case(jnp.max, (jnp.array([1.0, 1.0, 0.5]),), {}, KINK),
    "maximum tie": Case(lambda x: jnp.maximum(x, x[::-1]), (jnp.array([1.0, 1.0]),), {}, KINK),
    "clip at its bound": Case(
        lambda x: jnp.clip(x, 0, 1), (jnp.array([0.0, 0.5, 1.0, 2.0]),), {}, KINK
    ),
    "sort ties": Case(jnp.sort, (jnp.ones(3),), {}, KINK),
    "median tie": Case(jnp.median, (jnp.array([1.0, 1.0, 1.0]),), {}, KINK),
    "sum of absolute values at 0": Case(lambda x: jnp.sum(jnp.abs(x)), (jnp.zeros(4),), {}, KINK),
    "safe norm at 0": Case(safe_norm, (jnp.zeros(3),), {}, KINK),
    "kink on one side": Case(lambda x: jnp.where(x > 1, x**2, 2 * x - 1), (jnp.ones(2),), {}, KINK),
    "floor at a jump": Case(lambda x: jnp.floor(x) + x, (jnp.array([1.0, 0.5]),), {}, JUMP),
    "round between jumps": Case(jnp.round, (jnp.array([0.2, 1.3]),)),
    "sign at 0": Case(jnp.sign, (jnp.zeros(1),), {}, JUMP),
    "step near x": Case(lambda x: jnp.where(x > 0.01, 1.0, 0.0) + x, (jnp.zeros(1),), {}, UNKNOWN),
    "relu network": Case(relu_network, (parameters, inputs), {}, KINK),
    "abs of a wave": Case(lambda x: jnp.abs(jnp.sin(20 * x)), (v,), {}, KINK),
    "hinge": Case(lambda x: jnp.sum(jnp.maximum(0.0, 1 - x)), (long,), {}, UNKNOWN),
    "max pooling": Case(
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (2,), "VALID"), (v[:4],), {}, KINK
    ),
    "top k": Case(lambda x: lax.top_k(x, 2)[0], (v,), {}, KINK),
    # integers, empties, constants
    "integers beside": Case(lambda d: d["x"] * d["n"], ({"x": v, "n": jnp.arange(5)},)),
    "an integer output": Case(lambda x: (x**2, jnp.argmax(x)), (v,)),
    "empty input": Case(jnp.sum, (jnp.zeros((0, 3)),)),
    "empty output": Case(lambda x: x[:0], (v,)),
    "an empty leaf": Case(lambda d: d["a"] ** 2, ({"a": p, "b": jnp.zeros(0)},)),
    "a constant": Case(lambda x: jnp.ones(3), (v,)),
    "a Python float": Case(lambda x: x**3, (2.0,)),
    "nothing used of one argument": Case(lambda x, y: jnp.sin(y), (v, p), {"argnums": (0, 1)}),
    "gather by integers": Case(lambda x, i: x[i] ** 2, (v, jnp.array([0, 0, 3]))),
    # complex numbers
    "complex exp": Case(jnp.exp, (z,), {"holomorphic": True}),
    "complex polynomial": Case(lambda z: z**3 + 2 * z, (z,), {"holomorphic": True}),
    "conj": Case(jnp.conj, (z,)),
    "absolute square": Case(lambda z: jnp.real(z * jnp.conj(z)), (z,)),
    "real to complex": Case(lambda x: jnp.exp(1j * x), (v,)),
    "fft": Case(jnp.fft.fft, (z,), {"holomorphic": True}),
    "rfft power": Case(lambda x: jnp.abs(jnp.fft.rfft(x)) ** 2, (v,)),
    # pytrees, loops, rules
    "network": Case(network, (parameters, inputs)),
    "network by both": Case(network, (parameters, inputs), {"argnums": (0, 1)}),
    "by name": Case(network, (parameters, inputs), {"argnames": "x"}),
    "scan": Case(rollout, (p,)),
    "while": Case(while_loop, (p,)),
    "fori": Case(lambda x: lax.fori_loop(0, 10, lambda i, c: c + 0.1 * jnp.sin(c), x), (v,)),
    "cond": Case(lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), (v,)),
    "map": Case(lambda x: lax.map(jnp.sin, x), (v,)),
    "remat": Case(jax.checkpoint(lambda x: jnp.sin(jnp.exp(x))), (v,)),
    "jit": Case(jax.jit(lambda x: jnp.sin(x) * 2), (v,)),
    "custom_vjp": Case(right_vjp, (v,)),
    "custom_jvp": Case(right_jvp, (v,)),
    "custom_vjp in a while loop": Case(lambda x: while_loop(right_vjp(x)), (p,)),
    "Python branches": Case(branches_in_python, (p,)),
    "gradient of something": Case(jax.grad(lambda x: jnp.sum(jnp.sin(x) ** 3)), (v,)),
    "vmap": Case(jax.vmap(lambda x: jnp.sin(x) * x), (v,)),
    "straight-through": Case(lambda x: x + lax.stop_gradient(0 * x), (v,)),
    # linear algebra
    "inverse": Case(jnp.linalg.inv, (S,)),
    "solve": Case(jnp.linalg.solve, (S, p), {"argnums": (0, 1)}),
    "determinant": Case(jnp.linalg.det, (S,)),
    "logdet": Case(lambda s: jnp.linalg.slogdet(s)[1], (S,)),
    "cholesky": Case(lambda s: jnp.linalg.cholesky(s + s.T), (S,)),
    "eigenvalues": Case(lambda s: jnp.linalg.eigvalsh(s + s.T), (S,)),
    "norm": Case(jnp.linalg.norm, (v,)),
    "singular values": Case(lambda a: jnp.linalg.svd(a, compute_uv=False), (A,)),
    # large ones, badly scaled ones
    "a long stencil": Case(lambda x: x[1:] * x[:-1] ** 2, (long,)),
    "a long sum": Case(lambda x: jnp.sum(jnp.sin(x)), (long,)),
    "a long matrix product": Case(lambda a: a @ a.T, (long.reshape(40, 50),)),
    "a million": Case(lambda x: jnp.sum(x**2), (jnp.ones(1_000_000) / 3,), {}, UNKNOWN),
    "a hundred thousand outputs": Case(jnp.sin, (jnp.linspace(0.0, 9.0, 100_000),), {}, UNKNOWN),
    "small numbers": Case(jnp.log, (1e-6 * p,), {}, UNKNOWN),
    "large numbers": Case(jnp.sqrt, (1e6 * p,), {}, UNKNOWN),
    "both": Case(jnp.log, (jnp.array([1e-5, 1.0, 1e5]),), {}, UNKNOWN),
    "a large offset": Case(lambda x: 1e4 + x**2, (p,), {}, UNKNOWN),
    "cancellation": Case(lambda x: (1 + x) ** 3 - 1 - 3 * x, (1e-2 * p,), {}, UNKNOWN),
    "fast waves": Case(lambda x: jnp.sin(1000 * x), (p,), {}, UNKNOWN),
    "tiny slope": Case(lambda x: 1e-6 * jnp.sin(x), (v,)),
    "steep": Case(lambda x: jnp.tanh(100 * x), (0.01 * v,), {}, UNKNOWN),
    "a thousand steps": Case(
        lambda x: lax.scan(lambda c, _: (c + 0.001 * jnp.cos(c), None), x, None, length=1000)[0], (p,)
    ),
    "chaos": Case(
        lambda x: lax.fori_loop(0, 15, lambda i, c: 3.9 * c * (1 - c), x), (p / 4,), {}, UNKNOWN
    ),
    # second order
    "Hessian of a sum": Case(lambda x: jnp.sum(jnp.sin(x) * x), (v,), {"order": 2}),
    "Hessian of a network": Case(network, (parameters, inputs), {"order": 2}),
    "Hessian of relu": Case(lambda x: jnp.sum(jax.nn.relu(x) ** 2), (v,), {"order": 2}),
    "Hessian of a vector": Case(lambda x: jnp.sin(x) * x[0], (v,), {"order": 2}),
    "Hessian of Rosenbrock": Case(lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2), (long,), {"order": 2}),
    "Hessian in bfloat16": Case(
        lambda x: jnp.sum(jnp.sin(x)), (low([0.3, 1.0], "bfloat16"),), {"order": 2}, UNKNOWN
    ),
    "entries of a long one": Case(lambda x: x[1:] * x[:-1], (long[:40],), {"entries": True}),
}
