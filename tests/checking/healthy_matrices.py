"""Matrices and eigenproblems without a fault, in which a diagnosis must find nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import vector


def functions() -> dict[str, tuple[Any, ...]]:
    """Functions by name, each with its arguments."""
    x = vector(0.3, -1.2, 2.1)
    a = np.array([[2.0, 0.3, 0.1], [0.3, 3.0, 0.2], [0.1, 0.2, 4.0]], np.float32)
    rank_two = np.array([[1.0, 2.0, 0.5], [2.0, 5.0, 1.0], [3.0, 7.0, 1.5]], np.float32)

    def smooth_norm(x):
        return jnp.sqrt(jnp.sum(x**2) + 1e-6)

    def power_iteration(a):
        step = lambda v, _: (a @ v / jnp.linalg.norm(a @ v), None)  # noqa: E731
        v = jax.lax.scan(step, jnp.ones(3), None, length=5)[0]
        return v @ a @ v

    def safe_norms(x):
        squares = jnp.sum(x**2, axis=1)
        lengths = jnp.sqrt(jnp.where(squares > 0, squares, 1.0))
        return jnp.sum(jnp.where(squares > 0, lengths, 0.0)) + jnp.sum(x)

    def gaussian_process(scale, x):
        kernel = jnp.exp(-((x[:, None] - x[None, :]) ** 2) / scale) + 0.1 * jnp.eye(3)
        triangle = jnp.linalg.cholesky(kernel)
        half = jax.scipy.linalg.solve_triangular(triangle, jnp.sin(x), lower=True)
        return 0.5 * half @ half + jnp.sum(jnp.log(jnp.diag(triangle)))

    def projection(a):
        q, r = jnp.linalg.qr(a)
        return q[0, 0] * r[1, 1]

    return {
        "the largest eigenvalue": (lambda a: jnp.linalg.eigvalsh(a)[-1], a),
        "the gap between two eigenvalues": (
            lambda a: jnp.linalg.eigvalsh(a)[1] - jnp.linalg.eigvalsh(a)[0],
            a,
        ),
        "a projector on two eigenvectors": (
            lambda a: jnp.sum((jnp.linalg.eigh(a)[1][:, 1:] ** 2) @ jnp.array([1.0, 2.0])),
            a,
        ),
        "eigenvalues of small numbers": (lambda a: jnp.linalg.eigvalsh(1e-6 * a)[0], a),
        "power iteration": (power_iteration, a),
        "the nuclear norm": (lambda a: jnp.linalg.norm(a, ord="nuc"), a),
        "the spectral norm": (lambda a: jnp.linalg.norm(a, ord=2), a),
        "the first singular vector": (lambda a: jnp.linalg.svd(a)[0][0, 0] ** 2, a),
        "a QR factorization": (projection, a),
        "the inverse": (
            lambda a: jnp.sum(jnp.linalg.inv(a) * a),
            a + 0.1 * np.tri(3, dtype=np.float32),
        ),
        "the inverse of a permutation (jax#646)": (
            lambda a: jnp.linalg.inv(a)[0, 0],
            1 - np.eye(3, dtype=np.float32),
        ),
        "the determinant of a matrix of rank two (jax#2380)": (jnp.linalg.det, rank_two),
        "the sum of an inverse (jax-js#84)": (
            lambda a: jnp.sum(jnp.linalg.inv(a)),
            np.array([[2.0, 1.0], [1.0, 3.0]], np.float32),
        ),
        "a matrix exponential": (lambda a: jnp.trace(jax.scipy.linalg.expm(0.1 * a)), a),
        "a solve by both arguments": (
            lambda b, a: jnp.sum(jnp.linalg.solve(a, b) ** 2),
            x,
            a,
        ),
        "a solve by the other argument": (lambda a, b: jnp.sum(jnp.linalg.solve(a, b) ** 2), a, x),
        "a triangular solve": (
            lambda a, b: jnp.sum(jax.scipy.linalg.solve_triangular(a, b, lower=True)),
            np.tril(a),
            x,
        ),
        "least squares": (
            lambda a, b: jnp.sum(jnp.linalg.solve(a.T @ a, a.T @ b)),
            a[:, :2],
            x,
        ),
        "a smooth norm at 0": (
            lambda x: smooth_norm(x) + jnp.sum(x),
            vector(0.0, 0.0),
        ),
        "safe norms, one of them 0 (jax#3058)": (safe_norms, np.eye(3, 2, dtype=np.float32)),
        "the square of a norm, as a sum (jax#4177)": (
            lambda x: jnp.sum(x**2) + jnp.sum(x),
            vector(0.0, 0.0),
        ),
        "a Gaussian process": (gaussian_process, np.float32(1.5), x),
        "a Kronecker product": (lambda a: jnp.trace(jnp.kron(a, a)), a),
        "the trace of a cube": (lambda a: jnp.trace(a @ a @ a), a),
        "an outer product": (lambda x, y: jnp.sum(jnp.outer(x, y) ** 2), x, vector(1.0, 2.0)),
        "distances of distinct points": (
            lambda x: jnp.sum(jnp.sqrt(jnp.sum((x[1:] - x[:-1]) ** 2, axis=1))),
            np.array([[0.0, 0.0], [1.0, 0.5], [2.0, 3.0]], np.float32),
        ),
        "the angle of vectors apart (jax#15798)": (
            lambda x: jnp.arccos(x @ jnp.array([1.0, 2.0, 0.5]) / jnp.linalg.norm(x) / 2.3),
            x,
        ),
        "a cosine similarity with a floor (pytorch#51912)": (
            lambda x, y: x @ y / jnp.maximum(jnp.linalg.norm(x) * jnp.linalg.norm(y), 1e-8),
            x,
            vector(1.0, 0.5, -1.0),
        ),
        "a Hermitian eigenproblem (jax#669)": (
            lambda z: jnp.linalg.eigvalsh(z)[0],
            np.array([[2.0, 1j], [-1j, 5.0]], np.complex64),
        ),
        "a rotation": (
            lambda t: jnp.stack([jnp.cos(t), -jnp.sin(t)]) @ jnp.array([1.0, 2.0]),
            np.float32(0.4),
        ),
    }
