"""Eigenvectors, singular vectors and factors where rounding has chosen them."""

import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector

X = vector(1.0, 2.0, 3.0)
EQUAL = "eigh with equal eigenvalues"
RANK_TWO = np.array([[1.0, 2.0, 3.0], [2.0, 4.1, 6.0], [3.0, 6.1, 9.0], [1.0, 2.0, 3.0]], np.float32)
DIAGONAL = np.diag(vector(1.0, 2.0, 2.0000005))


@fault("warning", "derivative", EQUAL, X)
def eigenvectors_of_rank_one(x):
    """eigenvectors of a matrix of rank one, whose zeros rounding has split"""
    _, vectors = jnp.linalg.eigh(jnp.outer(x, x))  # <-
    return vectors @ x


@fault("warning", "derivative", "eigh with nearly equal eigenvalues", np.float32(2.0))
def nearly_equal_eigenvalues(t):
    """eigenvectors of nearly equal eigenvalues"""
    a = jnp.diag(jnp.array([1.0, 1.0, 3.0])) + 2e-6 * t * jnp.ones((3, 3))
    return jnp.linalg.eigh(a)[1][0, 0]  # <-


@fault("warning", "derivative", "svd with equal singular values", X)
def singular_vectors_of_rank_one(x):
    """singular vectors of a matrix of rank one"""
    u, _, _ = jnp.linalg.svd(jnp.outer(x, x) + 0.0)  # <-
    return jnp.sum(u[:, 1] * x)


@fault("warning", "derivative", "qr of a matrix without full rank", RANK_TWO)
def factor_of_dependent_columns(a):
    """Q of a matrix with columns that depend on each other"""
    q, _ = jnp.linalg.qr(a)  # <-
    return jnp.sum(q[:, 2] * jnp.arange(4.0))


@fault("warning", "derivative", EQUAL, np.stack([np.diag(X), np.outer(X, X)]))
def one_of_a_batch(a):
    """eigenvectors of a batch of matrices, one of rank one"""
    return jnp.sum(jnp.linalg.eigh(a)[1] * jnp.arange(3.0))  # <-


HEALTHY = {
    "the first eigenvector of a matrix of rank one": (
        lambda x: jnp.linalg.eigh(jnp.outer(x, x))[1][:, 2] @ vector(1.0, -1.0, 2.0),
        X,
    ),
    "eigenvalues of a matrix of rank one": (
        lambda x: jnp.sum(jnp.linalg.eigvalsh(jnp.outer(x, x)) ** 2),
        X,
    ),
    "singular values of a matrix of rank one": (
        lambda x: jnp.linalg.svd(jnp.outer(x, x), compute_uv=False)[0],
        X,
    ),
    "eigenvectors of separate eigenvalues": (
        lambda a: jnp.sum(jnp.linalg.eigh(a)[1] * jnp.arange(3.0)),
        np.diag(vector(1.0, 1.01, 3.0)),
    ),
    "Q and R of a matrix of full rank": (
        lambda a: jnp.sum(jnp.linalg.qr(a)[0] * jnp.arange(2.0)) + jnp.linalg.qr(a)[1][0, 0],
        np.array([[1.0, 2.0], [0.5, 1.0], [2.0, 0.1]], np.float32),
    ),
}
