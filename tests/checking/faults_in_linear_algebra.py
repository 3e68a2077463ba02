"""Matrices, norms and angles whose derivative, or value, is NaN, infinite or noise."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault(
    "error",
    "derivative",
    "eigh with equal eigenvalues",
    np.diag([4.0, 1.0, 1.0]).astype(np.float32),
)
def simple_eigenvector_beside_equal_ones(a):
    """the eigenvector of a simple eigenvalue, beside equal ones (jax#4646)"""
    vectors = jnp.linalg.eigh(a)[1]  # <-
    return vectors[0, 2] * vectors[1, 2]


@fault("warning", "derivative", "eigh with equal eigenvalues", vector(1.0, 2.0, 3.0))
def eigenvectors_of_rank_one(x):
    """eigenvectors of a matrix of rank one (jax#10527)"""
    a = jnp.outer(x, x)
    vectors = jnp.linalg.eigh(a)[1]  # <-
    return vectors @ x


@fault("error", "derivative", "svd with equal singular values", np.diag([1.0, 1, 2]).astype(np.float32))
def matrix_from_its_svd(a):
    """the norm of a matrix put together from its svd, with equal singular values (jax#8732)"""
    u, s, v = jnp.linalg.svd(a, full_matrices=False)  # <-
    return jnp.linalg.norm((u * s) @ v)


@fault("error", "value", "singular matrix", np.ones((2, 2), np.float32))
def singular_inverse(a):
    """the inverse of a singular matrix"""
    return jnp.sum(jnp.linalg.inv(a))  # <-


@fault("error", "value", "singular matrix", np.diag([1.0, 0.0]).astype(np.float32))
def singular_triangle(a):
    """a triangular system with a zero on its diagonal"""
    return jnp.sum(jax.scipy.linalg.solve_triangular(a, jnp.ones(2)))  # <-


@fault("error", "value", "not positive definite", np.diag([1.0, -0.5]).astype(np.float32))
def gaussian_of_indefinite(a):
    """the density of a normal distribution with an indefinite covariance"""
    triangle = jnp.linalg.cholesky(a)  # <-
    return jnp.sum(jax.scipy.linalg.solve_triangular(triangle, jnp.ones(2), lower=True) ** 2)


@fault(
    "error", "derivative", "sqrt has an infinite derivative at 0", np.diag([0.0, 1]).astype(np.float32)
)
def root_of_semidefinite(a):
    """the roots of the eigenvalues of a semidefinite matrix"""
    return jnp.sum(jnp.sqrt(jnp.linalg.eigvalsh(a)))  # <-


@fault("error", "derivative", "norm at 0 has no derivative", vector(0.0, 0.0))
def squared_norm(x):
    """the square of a norm at 0, where the derivative is 0 (jax#21723, jax#4177)"""
    return jnp.linalg.norm(x) ** 2  # <-


@fault("error", "derivative", "norm at 0 has no derivative", np.float32(1.0))
def weight_of_zero(w):
    """the norm of a weight times data that are 0 (jax#2377)"""
    data = jnp.zeros(2)
    return (jnp.sqrt(jnp.sum((w * data) ** 2)) - 1.0) ** 2  # <-


@fault(
    "error", "derivative", "norm at 0 has no derivative", np.eye(2, dtype=np.float32) * [[0.0], [1.0]]
)
def norms_below_a_threshold(x):
    """norms of rows that where replaces below a threshold (jax#347)"""
    lengths = jnp.sqrt(jnp.sum(x**2, axis=1))  # <-
    return jnp.sum(jnp.where(lengths > 0.5, lengths, 1.0))


@fault("error", "derivative", "norm at 0 has no derivative", vector(0.0, 0.0))
def radius_above_a_limit(x):
    """a radius of 0 that maximum replaces (mlx#3692)"""
    radius = jnp.sqrt(x[0] ** 2 + x[1] ** 2)  # <-
    return jnp.maximum(radius, 1e-10)


@fault("error", "derivative", "sqrt has an infinite derivative at 0", vector(1.0, 3.0))
def root_of_square(x):
    """sqrt((x - 1)**2) at 1 (pytorch#6394)"""
    return jnp.sum(jnp.sqrt((x - 1.0) ** 2))  # <-


@fault("error", "value", "0 / 0 is NaN", vector(0.0, 0.0))
def cosine_of_zero(x):
    """the cosine similarity of a zero vector (LightRAG#3421)"""
    weights = jnp.array([1.0, 2.0])
    return (x @ weights) / (jnp.linalg.norm(x) * jnp.linalg.norm(weights))  # <-


@fault("error", "value", "overflow in", vector(2e38, 3e38))
def cosine_of_large(x):
    """the cosine similarity of large vectors (pytorch#51912)"""
    product = x[0] + x[1]  # <-
    return product / (jnp.max(x) * 2.0)


@fault("error", "derivative", "has an infinite derivative at 0", vector(1.0, 2.0))
def fractional_distance(x):
    """a distance of power 1/2 between equal numbers (pytorch#36493)"""
    difference = jnp.abs(x - jnp.array([1.0, 1.0]))
    return jnp.sum(difference**0.5) ** 2.0  # <-


@fault("error", "derivative", "acos has an infinite derivative at 1", vector(0.25, 0.25))
def angle_between_equal_distributions(p):
    """the angle between equal distributions (jax#15798)"""
    overlap = 2.0 * jnp.sum(jnp.sqrt(p) * jnp.sqrt(jnp.full(2, 0.25)))
    return jnp.arccos(overlap)  # <-


@fault("error", "derivative", "acosh", vector(1.0, 2.0))
def hyperbolic_distance_of_equal(x):
    """the hyperbolic distance of equal points"""
    return jnp.sum(jnp.arccosh(x))  # <-


@fault("error", "derivative", "holds an infinity", np.array([np.inf + 0j], np.complex64))
def size_of_infinity(z):
    """the absolute value of a complex infinity (jax#25681)"""
    return jnp.sum(jnp.minimum(jnp.abs(z), 1.0))  # <-


@fault("error", "derivative", "division by zero", vector(1.0, 1.0, 2.0))
def knots_that_coincide(knots):
    """interpolation between knots that coincide (PyAutoArray#281)"""
    place = jnp.searchsorted(jax.lax.stop_gradient(knots), 1.0, side="right") - 1
    slope = 1.0 / (knots[place] - knots[place - 1])  # <-
    return jnp.where(slope > 1e3, 0.0, slope) * knots[0]


@fault("error", "value", "overflow in", 60.0 * np.eye(2, dtype=np.float32))
def exponential_of_large(a):
    """the squares of a matrix, up to the eighth, of large entries"""
    for _ in range(5):
        a = a @ a  # <-
    return jnp.trace(a)


@fault("warning", "derivative", "qr of a matrix without full rank", np.ones((3, 2), np.float32))
def basis_of_dependent_columns(a):
    """an orthonormal basis of dependent columns"""
    q, _ = jnp.linalg.qr(a)  # <-
    return jnp.sum(q * jnp.arange(2.0))
