"""Functions without a fault, in which a diagnosis must find nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import vector


def trust_region(logits, before, advantage):
    ratio = jnp.exp(logits - before)
    return -jnp.mean(jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.8, 1.2) * advantage))


def hidden_markov(transitions, emissions):
    def step(forward, seen):
        return jax.nn.logsumexp(forward[:, None] + transitions, axis=0) + emissions[:, seen], None

    return jax.nn.logsumexp(jax.lax.scan(step, jnp.zeros(3), jnp.array([0, 2, 1]))[0])


def root_by_newton(x):
    def solve(f, y):
        return jax.lax.fori_loop(0, 8, lambda _, y: y - f(y) / (2 * y), y)

    def tangent_solve(g, y):
        return y / jax.jvp(g, (jnp.ones_like(y),), (jnp.ones_like(y),))[1]

    return jnp.sum(jax.lax.custom_root(lambda y: y * y - x, jnp.ones_like(x), solve, tangent_solve))


def functions() -> dict[str, tuple[Any, ...]]:
    """Functions without a fault, by name, each with its arguments: nothing must be found."""
    x = vector(0.3, -1.2, 2.1)
    positive = vector(0.5, 1.5, 2.5)
    a = np.array([[2.0, 0.3, 0.1], [0.3, 3.0, 0.2], [0.1, 0.2, 4.0]], np.float32)
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype(np.float32)
    kernel = np.random.default_rng(1).normal(size=(3, 3, 2, 2)).astype(np.float32)
    layers = {"w": 0.4 * a, "b": 0.1 * x}

    def network(p, x):
        return jnp.sum(jnp.tanh(p["w"] @ x + p["b"]) ** 2)

    def cross_entropy(w, x):
        return -jax.nn.log_softmax(w * x)[1]

    def safe_root(x):
        safe = jnp.where(x > 0, x, 1.0)
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(safe), 0.0) + x)

    def attention(q):
        mask = jnp.tril(jnp.ones((3, 3), bool))
        scores = jnp.where(mask, jnp.outer(q, q), -jnp.inf)
        return jnp.sum(jax.nn.softmax(scores, axis=-1) @ q * jnp.arange(1.0, 4.0))

    def recurrence(h, xs):
        return jax.lax.scan(lambda h, x: (jnp.tanh(h + x), h * x), h, xs)[0]

    def newton(a):
        def body(state):
            n, y = state
            return n + 1, 0.5 * (y + a / y)

        return jax.lax.while_loop(lambda s: s[0] < 4, body, (0, a))[1]

    def layer_norm(x):
        centered = x - jnp.mean(x)
        return jnp.sum(centered / jnp.sqrt(jnp.var(x) + 1e-5) * jnp.arange(3.0))

    @jax.custom_jvp
    def softsign(x):
        return x / (1 + jnp.abs(x))

    softsign.defjvp(lambda p, t: (softsign(*p), t[0] / (1 + jnp.abs(p[0])) ** 2))

    @jax.custom_vjp
    def clipped(x):
        return jnp.sum(x**2)

    clipped.defvjp(lambda x: (clipped(x), x), lambda x, c: (jnp.clip(2 * c * x, -1.0, 1.0),))

    return {
        "sin": (lambda x: jnp.sum(jnp.sin(x)), x),
        "a scalar": (jnp.cos, np.float32(0.4)),
        "polynomial": (lambda x: jnp.sum(x**3 - 2 * x**2 + 1), x),
        "vector output": (lambda x: jnp.stack([x[0] * x[1], x[2] ** 2]), x),
        "pytree output": (lambda x: {"a": jnp.sin(x), "b": (x[0],)}, x),
        "softmax itself": (jax.nn.softmax, x),
        "softmax of large numbers": (lambda x: jax.nn.softmax(x)[0], vector(99.0, 100.0)),
        "logsumexp": (lambda x: jax.scipy.special.logsumexp(100 * x), vector(0.99, 1.0)),
        "softplus of a large number": (lambda x: jnp.sum(jax.nn.softplus(x)), vector(90.0, 1.0)),
        "log": (lambda x: jnp.sum(jnp.log(x)), positive),
        "sqrt": (lambda x: jnp.sum(jnp.sqrt(x)), positive),
        "norm": (jnp.linalg.norm, x),
        "squared norm at 0 and a line": (lambda x: jnp.sum(x**2) + jnp.sum(x), vector(0.0, 0.0)),
        "double where": (safe_root, vector(-1.0, 2.0)),
        "double where at its limit": (safe_root, vector(0.0, 2.0)),
        "masked attention": (attention, x),
        "NaN that is dropped": (lambda x: jnp.sum(jnp.where(jnp.isnan(jnp.log(-x)), x, x)), positive),
        "infinity of a constant in a mask": (lambda x: jnp.max(jnp.where(x > 0, x, -jnp.inf)), x),
        "relu away from 0": (lambda x: jnp.sum(jax.nn.relu(x)), x),
        "some dead units": (lambda x: jnp.sum(jax.nn.relu(x) ** 2) + jnp.max(x), x),
        "elu at 0": (lambda x: jnp.sum(jax.nn.elu(x)), vector(0.0, 1.0)),
        "celu at 0": (lambda x: jnp.sum(jax.nn.celu(x, 2.0)), vector(0.0, 1.0)),
        "gelu and silu": (lambda x: jnp.sum(jax.nn.gelu(x) + jax.nn.silu(x)), x),
        "abs away from 0": (lambda x: jnp.sum(jnp.abs(x)), x),
        "sum of sorted ties": (lambda x: jnp.sum(jnp.sort(x)), vector(1.0, 1.0)),
        "median": (jnp.median, x),
        "clip inside": (lambda x: jnp.sum(jnp.clip(x, -5.0, 5.0)), x),
        "network": (network, layers, x),
        "cross entropy": (cross_entropy, x, x),
        "scan": (recurrence, np.float32(0.2), x),
        "while loop": (newton, np.float32(2.0)),
        "fori_loop": (lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * (1 + i) + 1.0, x).sum(), x),
        "cond": (lambda x: jax.lax.cond(x[0] > 0, jnp.sum, lambda x: jnp.sum(x**2), x), x),
        "bad branch that is not taken": (
            lambda x: jax.lax.cond(x == 0, lambda x: x, lambda x: jnp.sin(x) / x, x),
            np.float32(0.0),
        ),
        "bad branch under vmap": (
            jax.vmap(lambda t: jax.lax.cond(t == 0, lambda t: t, lambda t: jnp.sin(t) / t, t)),
            vector(0.0, 1.0),
        ),
        "vmap of grad": (lambda x: jnp.sum(jax.vmap(jax.grad(jnp.sin))(x)), x),
        "remat and jit": (jax.jit(jax.checkpoint(lambda x: jnp.sum(jnp.exp(jnp.sin(x))))), x),
        "custom_jvp": (lambda x: jnp.sum(softsign(x)), x),
        "custom_vjp": (clipped, x),
        "layer norm": (layer_norm, x),
        "cholesky": (lambda a: jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(a)))), a),
        "solve": (lambda a: jnp.sum(jnp.linalg.solve(a, jnp.arange(3.0))), a),
        "eigenvalues": (lambda a: jnp.sum(jnp.linalg.eigvalsh(a) ** 2), a),
        "eigenvalues that are equal": (
            lambda a: jnp.sum(jnp.linalg.eigvalsh(a)),
            np.eye(3, dtype=np.float32),
        ),
        "eigenvectors": (lambda a: jnp.linalg.eigh(a)[1][0, 0], a),
        "svd": (lambda a: jnp.sum(jnp.linalg.svd(a, compute_uv=False) ** 3), a),
        "determinant": (lambda a: jnp.linalg.slogdet(a)[1], a),
        "convolution": (
            lambda k, x: jnp.sum(
                jax.lax.conv_general_dilated(
                    x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                ** 2
            ),
            kernel,
            image,
        ),
        "gather and scatter": (lambda x: jnp.sum(x[jnp.array([2, 0])] * 2.0) + x.at[0].add(1.0)[1], x),
        "fft": (lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2), x),
        "complex": (
            lambda z: jnp.real(jnp.sum(z * jnp.conj(z))),
            np.array([1 + 2j, 0.5], np.complex64),
        ),
        "variance": (jnp.var, vector(1000.0, 1000.1, 1000.2)),
        "log1p and expm1": (lambda x: jnp.sum(jnp.log1p(x) + jnp.expm1(x)), vector(1e-9, 1e-3)),
        "xlogy at 0": (lambda x: jnp.sum(jax.scipy.special.xlogy(2.0, x)), positive),
        "straight through": (lambda x: jnp.sum(x + jax.lax.stop_gradient(jnp.round(x) - x)), x),
        "dropout": (
            lambda x: jnp.sum(jnp.where(jax.random.bernoulli(jax.random.key(0), 0.9, x.shape), x, 0.0)),
            x,
        ),
        "bfloat16": (lambda x: jnp.sum(x * x), np.ones(3, jnp.bfloat16)),
        "float16": (lambda x: jnp.sum(jnp.sin(x)), np.array([0.3, 0.5], np.float16)),
        "the same inside and outside of a clip": (
            trust_region,
            vector(0.1, -0.2, 0.3),
            vector(0.0, -0.1, 0.25),
            vector(1.0, -1.0, 0.5),
        ),
        "float16 standardized": (
            lambda x: jnp.sum(jax.nn.standardize(x)[:, 0] * jnp.arange(6.0)),
            np.random.default_rng(0).normal(size=(6, 3)).astype(np.float16),
        ),
        "hidden Markov model": (hidden_markov, np.log(a / a.sum(1, keepdims=True)), a),
        "custom_root": (root_by_newton, vector(3.0, 4.0)),
        "products with one zero": (lambda x: jnp.prod(x) + jnp.cumprod(x)[2], vector(0.0, 2.0, 3.0)),
        "remainder": (lambda x: jnp.sum(jnp.mod(x, 1.0) ** 2 + (x - jnp.round(x)) ** 2), x),
        "an abs that is bent back": (
            lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, x**2 / 2, jnp.abs(x) - 0.5)),
            vector(1.0, 0.3),
        ),
        "a debug print": (lambda x: (jax.debug.callback(lambda _: None, x), jnp.sum(x))[1], x),
        "Hessian inside": (
            lambda x: jnp.sum(jax.hessian(lambda y: jnp.sum(jnp.sin(y) * y[::-1]))(x)),
            x,
        ),
        "empty": (lambda x: jnp.sum(x**2), np.zeros(0, np.float32)),
        "a small gradient": (lambda x: 1e-9 * jnp.sum(x**2), x),
        "a large gradient": (lambda x: 1e12 * jnp.sum(jnp.sin(x)), x),
    }
