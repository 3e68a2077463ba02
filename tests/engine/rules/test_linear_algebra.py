"""Solves, factorizations and transforms: dense within a matrix or a signal, separate in a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal
from jax import lax

from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")
B = np.random.default_rng(5).normal(size=(2, 3, 2))
A = np.random.default_rng(6).normal(size=(2, 3, 3)) + 4 * np.eye(3)
UPPER = np.triu(A)


def symmetric(x):
    return x + jnp.swapaxes(x, -1, -2)


def definite(x):
    return x @ jnp.swapaxes(x, -1, -2) + jnp.eye(3)


BLOCKS = 2 * 9  # two matrices of nine elements
MATRIX = {
    "solve": Case(lambda x: jnp.linalg.solve(x, B), (2, 3, 3), BLOCKS * 6),
    "solve a known system": Case(lambda x: jnp.linalg.solve(A, x), (2, 3, 2), 2 * 2 * 9),
    "inverse": Case(jnp.linalg.inv, (2, 3, 3), BLOCKS * 9),
    "determinant": Case(jnp.linalg.det, (2, 3, 3), BLOCKS),
    "determinant of four rows": Case(jnp.linalg.det, (2, 4, 4), 32),
    "log determinant": Case(lambda x: jnp.linalg.slogdet(x)[1], (2, 3, 3), BLOCKS),
    "Cholesky": Case(lambda x: jnp.linalg.cholesky(definite(x)), (2, 3, 3), None),
    "Cholesky solve": Case(
        lambda x: jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(definite(x)), True), B),
        (2, 3, 3),
        BLOCKS * 6,
    ),
    "QR": Case(lambda x: jnp.linalg.qr(x)[0], (2, 3, 3), None),
    "singular values": Case(lambda x: jnp.linalg.svd(x, compute_uv=False), (2, 3, 3), BLOCKS * 3),
    "singular vectors": Case(lambda x: jnp.linalg.svd(x)[0], (2, 3, 3), BLOCKS * 9),
    "eigenvalues": Case(lambda x: jnp.linalg.eigvalsh(symmetric(x)), (2, 3, 3), BLOCKS * 3),
    "eigenvectors": Case(lambda x: jnp.linalg.eigh(symmetric(x))[1], (2, 3, 3), BLOCKS * 9),
    "LU": Case(jax.vmap(lambda a: jax.scipy.linalg.lu_factor(a)[0]), (2, 3, 3), None),
    "pseudo-inverse": Case(jnp.linalg.pinv, (2, 3, 3), BLOCKS * 9),
    "least squares": Case(jax.vmap(lambda a: jnp.linalg.lstsq(a, B[0])[0]), (2, 3, 3), BLOCKS * 6),
    "nuclear norm": Case(lambda x: jnp.linalg.norm(x, "nuc", (-2, -1)), (2, 3, 3), BLOCKS),
    "norm": Case(lambda x: jnp.linalg.norm(x, axis=(-2, -1)), (2, 3, 3), BLOCKS),
    "trace": Case(lambda x: jnp.trace(x, axis1=1, axis2=2), (2, 3, 3), 6),
    "triangular": Case(
        lambda x: lax.linalg.triangular_solve(UPPER, x, left_side=True), (2, 3, 2), 2 * 2 * 9
    ),
    "triangular from the right": Case(
        lambda x: lax.linalg.triangular_solve(UPPER, x, lower=False, transpose_a=True),
        (2, 2, 3),
        2 * 2 * 9,
    ),
    "triangular, by the matrix": Case(
        lambda x: jax.scipy.linalg.solve_triangular(x, B), (2, 3, 3), None
    ),
}


@pytest.mark.parametrize("name", thinned(MATRIX, 3))
def test_matrices(name):
    case = MATRIX[name]
    n = case.shape[-1]
    shift = 3 * jnp.eye(n) if case.shape[-2] == n else 0.0
    check(case, normal(*case.shape) + shift)


def test_tridiagonal_solve():
    lower, diagonal, upper = np.array([0, 1.0, 1, 1]), 4 + np.arange(4.0), np.array([1.0, 1, 1, 0])

    def f(x):
        solve = lambda b: lax.linalg.tridiagonal_solve(lower, diagonal, upper, b)  # noqa: E731
        return jax.vmap(solve)(x)

    check(Case(f, (2, 4, 1), 32))


TRANSFORMS = {
    "real": Case(lambda x: jnp.real(jnp.fft.rfft(x)), (3, 6), 3 * 4 * 6),
    "magnitude": Case(lambda x: jnp.abs(jnp.fft.fft(x)), (2, 4), 32),
    "there and back": Case(lambda x: jnp.fft.irfft(jnp.fft.rfft(x) * np.arange(1, 4)), (2, 4), 32),
    "two axes": Case(lambda x: jnp.abs(jnp.fft.fft2(x)), (2, 3, 3), 2 * 81),
    "along the first axis": Case(lambda x: jnp.imag(jnp.fft.fft(x, axis=0)), (4, 2), 32),
    "one element": Case(lambda x: jnp.real(jnp.fft.fft(x)), (2, 1), 2),
    "of lanes": Case(lambda x: jnp.abs(jnp.fft.fft(jnp.cumsum(x, 1) ** 2)), (2, 4), 32),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    check(TRANSFORMS[name])


def test_hessian_of_log_determinants_keeps_matrices_apart():
    f = lambda x: jnp.sum(jnp.linalg.slogdet(x)[1])  # noqa: E731
    check_hessian(f, normal(2, 3, 3) + 3 * jnp.eye(3), 2 * 81)


def test_hessian_of_solves_keeps_systems_apart():
    f = lambda x: jnp.sum(jnp.linalg.solve(x, B) ** 2)  # noqa: E731
    check_hessian(f, normal(2, 3, 3) + 3 * jnp.eye(3), 2 * 81)
