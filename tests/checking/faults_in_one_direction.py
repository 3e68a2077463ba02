"""Functions whose derivative is NaN or infinite in forward mode, or in reverse mode, alone."""

import jax
import jax.numpy as jnp

from tests.checking.faults import FAULTS, fault, vector

FORWARD = "and times a tangent of zero it is NaN (in forward mode alone"
ROOT = f"sqrt has an infinite derivative at 0, {FORWARD}"
X = vector(1.0, 0.5, 2.0)


@fault("error", "derivative", ROOT, X)
def padded_root(x):
    """sqrt of the zeros of a padding"""
    return jnp.sqrt(jnp.pad(x**2, 1))  # <-


@fault("error", "derivative", ROOT, X)
def joined_root(x):
    """sqrt of zeros that were joined to the numbers"""
    return jnp.sqrt(jnp.concatenate([x, jnp.zeros(2)]))  # <-


@fault("error", "derivative", ROOT, X)
def root_of_written_zeros(x):
    """sqrt of an array of zeros that numbers were written into"""
    return jnp.sum(jnp.sqrt(jnp.zeros(5).at[:3].set(x)))  # <-


@fault("error", "derivative", ROOT, X)
def root_of_a_triangle(x):
    """sqrt of the zeros beside a triangle"""
    return jnp.sum(jnp.sqrt(jnp.triu(jnp.outer(x, x))))  # <-


@fault("error", "derivative", ROOT, X)
def root_of_an_empty_segment(x):
    """sqrt of the sum of a segment without elements"""
    sums = jax.ops.segment_sum(x**2, jnp.array([0, 0, 2]), 3)
    return jnp.sum(jnp.sqrt(sums))  # <-


@fault("error", "derivative", f"where JAX gives NaN, {FORWARD}", X)
def norm_of_an_empty_rest(x):
    """the norm of no elements"""
    return jnp.sum(x) + jnp.linalg.norm(x[3:])  # <-


@fault("error", "derivative", f"where JAX gives NaN, {FORWARD}", vector(0.5, 2.0, -1.0))
def norms_of_masked_rows(x):
    """the norms of rows, one of which is masked throughout"""
    rows = jnp.where(jnp.array([True, False])[:, None], x[None, :], 0.0)
    return jnp.sum(jnp.sqrt(jnp.sum(rows**2, axis=1)))  # <-


@fault("error", "derivative", "log has an infinite derivative at 0, in a branch", vector(0.0, 1.0))
def masked_logarithm(x):
    """a logarithm in the branch not taken, that of a number which is not negative"""
    logs = jnp.log(jnp.maximum(x, 0.0) + 0.0)  # <-
    return jnp.sum(jnp.where(x > 0.5, jnp.exp(logs), 0.0))


@fault("error", "derivative", "the derivative overflows in mul", vector(1e-30))
def tangent_overflows(x):
    """a tangent that overflows between numbers of ordinary size"""
    y = x * 1e30
    z = y * 1e30  # <-
    return jnp.sum(z * 1e-35)


FAULTY = [f for f in FAULTS if f.function.__module__ == __name__]


def _safe_norms(x):
    squares = jnp.sum(jnp.where(jnp.array([True, False])[:, None], x[None, :], 0.0) ** 2, axis=1)
    safe = jnp.where(squares > 0, squares, 1.0)
    return jnp.sum(jnp.where(squares > 0, jnp.sqrt(safe), 0.0))


HEALTHY = {
    "padding after a root": (lambda x: jnp.pad(jnp.sqrt(x), 1), X),
    "root of a padding by ones": (lambda x: jnp.sqrt(jnp.pad(x**2, 1, constant_values=1.0)), X),
    "logarithms of a padding, masked": (
        lambda x: jnp.where(jnp.pad(x, 1) > 0, jnp.log(jnp.pad(x, 1)), 0.0),
        X,
    ),
    "norms of masked rows with a safe operand": (_safe_norms, X),
    "root of a constant zero": (
        lambda x: jnp.sum(x) + jnp.sqrt(jax.lax.stop_gradient(0.0 * x))[0],
        X,
    ),
    "the sum of no elements": (lambda x: jnp.sum(x) + jnp.exp(jnp.sum(x[3:])), X),
    "large and small factors": (lambda x: jnp.sum(x * 1e-20 * 1e30 * 1e-10), X),
}
