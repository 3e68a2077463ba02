"""The library's own code under JAX's strict settings, x64 on and off, and in several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from tests.thinned import thinned

X = np.array([0.5, 1.5, 2.0], np.float32)


def strict_loss(p):
    """A loss that itself keeps the strict rules: no mixed dtypes, no implied ranks."""
    y = jnp.tanh(p["w"] @ p["x"])
    return jnp.sum(y * y) / jnp.asarray(y.size, y.dtype)


def powers(t):
    matrix = lax.broadcast(t, (2, 2)) + jnp.eye(2, dtype=t.dtype) * lax.broadcast(jnp.exp(t), (2, 2))
    solved = jnp.linalg.solve(matrix, jnp.stack([t, t * t]))
    looped = lax.scan(lambda c, _: (jnp.sin(c) * t, c), t, None, length=3)
    until = lax.while_loop(lambda c: c < 9, lambda c: c * c + t, t + 2)
    return {"solved": solved, "looped": looped, "until": until, "power": t**2.5, "sqrt": jnp.sqrt(t)}


def parameters(dtype):
    return {"w": jnp.ones((2, 3), dtype), "x": jnp.asarray(X, dtype)}


SPARSE = {"format": "structured"}
RUNS: dict[str, Callable[[Any], Any]] = {
    "gradient": lambda d: jaxcalc.gradient(strict_loss)(parameters(d)),
    "jacobian": lambda d: jaxcalc.jacobian(jnp.sin)(jnp.asarray(X, d)),
    "jacobian, reverse": lambda d: jaxcalc.jacobian(jnp.sin, mode="reverse")(jnp.asarray(X, d)),
    "jacobian, complex": lambda d: jaxcalc.jacobian(lambda x: lax.complex(x, x * x), mode="reverse")(
        jnp.asarray(X, d)
    ),
    "jacobian, jit": lambda d: jax.jit(jaxcalc.jacobian(lambda x: x[1:] * x[:-1]))(jnp.ones(99, d)),
    "jacobian, sparse": lambda d: jaxcalc.jacobian(lambda x: x[1:] * x[:-1], **SPARSE)(
        jnp.asarray(X, d)
    ).todense(),
    "hessian": lambda d: jaxcalc.hessian(strict_loss)(parameters(d)),
    "value_gradient_and_hessian": lambda d: jaxcalc.value_gradient_and_hessian(strict_loss)(
        parameters(d)
    ),
    "derivative": lambda d: jaxcalc.derivative(powers)(jnp.asarray(0.5, d)),
    "derivative, order 3": lambda d: jaxcalc.derivative(powers, order=3)(jnp.asarray(0.5, d)),
    "derivative of a number": lambda d: jaxcalc.derivative(lambda x: 2 * x**3 + 5, order=2)(0.5),
    "partial_derivative": lambda d: jaxcalc.partial_derivative(lambda x, z: x * x * z, ("x", "z"))(
        jnp.asarray(0.5, d), jnp.asarray(2, d)
    ),
    "classify": lambda d: str(jaxcalc.classify(strict_loss, parameters(d))),
}

SETTINGS: dict[str, list[Callable[[], Any]]] = {
    "rank promotion raises": [lambda: jax.numpy_rank_promotion("raise")],
    "strict dtype promotion": [lambda: jax.numpy_dtype_promotion("strict")],
    "debug_nans": [lambda: jax.debug_nans(True)],
    "checking leaks": [jax.checking_leaks],
    "all, x64 on": [
        lambda: jax.numpy_rank_promotion("raise"),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.debug_nans(True),
        lambda: jax.enable_x64(True),
    ],
}


EAGER = ("classify", "derivative of a number")  # they return no arrays, or take no traced ones


def run(make, settings):
    with ExitStack() as stack:
        for setting in settings:
            stack.enter_context(setting())
        return jax.tree.map(lambda x: x if isinstance(x, str) else np.asarray(x), make())


def all_together(dtype="float32"):
    """All in one program, which is traced under the settings that are in force."""
    names = [name for name in RUNS if name not in EAGER]
    return jax.jit(lambda: {name: RUNS[name](dtype) for name in names})()


def assert_same(found, plain):
    def same(a, b):
        assert getattr(a, "shape", None) == getattr(b, "shape", None)
        if isinstance(a, str):
            assert a == b
        else:
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)

    jax.tree.map(same, found, plain)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_same_result_under_each_setting(setting):
    assert_same(run(all_together, SETTINGS[setting]), run(all_together, []))


@pytest.mark.eager
@pytest.mark.parametrize("setting", ["all, x64 on", *thinned(list(SETTINGS)[:-1], len(SETTINGS))])
@pytest.mark.parametrize("name", [*EAGER, *thinned([name for name in RUNS if name not in EAGER], 3)])
def test_a_direct_call_gives_the_same_under_each_setting(name, setting):
    def call():
        return RUNS[name]("float32")

    assert_same(run(call, SETTINGS[setting]), run(call, []))


def test_float64_under_strict_settings():
    found = run(lambda: all_together("float64"), SETTINGS["all, x64 on"])
    assert {leaf.dtype for leaf in jax.tree.leaves(found.pop("jacobian, complex"))} == {
        np.dtype(np.complex128)
    }
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float64)}


def test_the_settings_are_in_force():
    with pytest.raises(ValueError, match="rank_promotion"), jax.numpy_rank_promotion("raise"):
        _ = jnp.ones((2, 2)) + jnp.ones(2)
    with pytest.raises(ValueError, match="promotion"), jax.numpy_dtype_promotion("strict"):
        _ = jnp.ones(2, "float32") + jnp.ones(2, "int32")
    with pytest.raises(FloatingPointError), jax.debug_nans(True):
        jaxcalc.gradient(jnp.sqrt)(-1.0)


def test_threads_share_transformations_and_differ_in_settings():
    # each thread has its own x64 setting; caches must keep the two apart
    transforms = [
        jaxcalc.gradient(lambda x: jnp.sum(x**3)),
        jaxcalc.jacobian(lambda x: x[1:] * x[:-1]),
        jax.jit(jaxcalc.jacobian(lambda x: x[1:] * x[:-1])),
        lambda x: jaxcalc.jacobian(lambda x: x[1:] * x[:-1], format="structured")(x).todense(),
        jax.jit(jax.vmap(jaxcalc.derivative(lambda x: jnp.sin(x) * x, order=4))),
        jaxcalc.hessian(lambda x: jnp.sum(x[1:] * x[:-1] ** 2)),
    ]

    def work(i):
        wide = i % 2 == 0
        with jax.enable_x64(wide):
            x = np.linspace(0, 1, 5 + i % 4 // 2).astype(np.float64 if wide else np.float32)
            return [np.asarray(transform(x)) for transform in transforms]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, range(12)))
    for i, results in enumerate(together):
        for found, expected in zip(results, work(i), strict=True):
            assert found.dtype == expected.dtype == (np.float64 if i % 2 == 0 else np.float32)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
