"""Sums along axes, running sums, and what averages and norms make of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal
from jax import lax

from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")
W = np.random.default_rng(5).normal(size=(3, 4))


def triangle(n):
    return n * (n + 1) // 2


def mixed(x):
    return jnp.tanh(x @ W)


CASES = {
    "sum": Case(jnp.sum, (4,), 4),
    "sum along one axis": Case(lambda x: x.sum(1), (3, 4), 12),
    "sum along all": Case(lambda x: (x * x).sum((0, 2)), (2, 3, 4), 24),
    "sum of nothing": Case(jnp.sum, (0,), 0),
    "sum along no elements": Case(lambda x: x.sum(1), (3, 0), 0),
    "sum over one element": Case(lambda x: x.sum(0), (1, 3), 3),
    "sum of lanes along their block": Case(lambda x: mixed(x).sum(1), (2, 3), 6),
    "sum of lanes across blocks": Case(lambda x: mixed(x).sum(0), (2, 3), 24),
    "sum of a broadcast value": Case(lambda x: jnp.broadcast_to(x[:, None], (3, 4)).sum(1), (3,), 3),
    "sum of shifted copies": Case(lambda x: jnp.stack([x, jnp.roll(x, 1), x]).sum(0), (5,), 10),
    "sum of a stencil": Case(lambda x: jnp.sum(x[1:] * x[:-1]), (5,), 5),
    "mean, variance": Case(lambda x: x.mean(1) + x.var(1), (3, 4), 12),
    "running sum": Case(jnp.cumsum, (6,), triangle(6)),
    "running sum from the end": Case(lambda x: lax.cumsum(x, 0, reverse=True), (5,), triangle(5)),
    "running sum along an axis": Case(lambda x: jnp.cumsum(x, 1), (3, 4), 3 * triangle(4)),
    "running sum of lanes along their block": Case(lambda x: jnp.cumsum(mixed(x), 1), (2, 3), 24),
    "running sum of lanes across blocks": Case(lambda x: jnp.cumsum(mixed(x), 0), (3, 3), 6 * 12),
    "running sum of nothing": Case(jnp.cumsum, (0,), 0),
    "running sum of one": Case(jnp.cumsum, (1,), 1),
    # sound, not tight: the second sum makes the first one dense
    "running sum twice": Case(lambda x: jnp.cumsum(jnp.cumsum(x)), (5,), 25),
    "scan in parallel": Case(lambda x: lax.associative_scan(jnp.multiply, x), (6,), triangle(6)),
    "product": Case(lambda x: jnp.prod(x, 1), (3, 4), 12),
    "largest": Case(lambda x: jnp.max(x, 1), (3, 4), 12),
    "smallest of all": Case(jnp.min, (3, 4), 12),
    "log of summed exponentials": Case(lambda x: jax.nn.logsumexp(x, 1), (3, 4), 12),
    "softmax": Case(lambda x: jax.nn.softmax(x, 1), (3, 4), 48),
    "softmax across": Case(lambda x: jax.nn.softmax(x, 0), (3, 4), 36),
    "norm": Case(lambda x: jnp.linalg.norm(x, axis=1), (3, 4), 12),
    "layer norm": Case(
        lambda x: (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5),
        (4, 6),
        4 * 36,
    ),
    "batch norm": Case(lambda x: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5), (4, 3), 3 * 16),
    "standardized twice": Case(
        lambda x: jax.nn.softmax(jax.nn.standardize(x, axis=-1) * 2, -1), (3, 4), 48
    ),
    "trapezoids": Case(lambda x: jnp.trapezoid(x, axis=1), (2, 4), 8),
    "sorted": Case(lambda x: jnp.sort(x, 1), (3, 4), 48),
    "sorted downwards": Case(lambda x: jnp.sort(x, 0, descending=True), (3, 4), 36),
    "median": Case(lambda x: jnp.median(x, 1), (3, 5), 15),
    "quantile": Case(lambda x: jnp.quantile(x, 0.3, axis=1), (3, 5), 15),
    "sorted by a key": Case(lambda x: lax.sort((x, jnp.sin(x)), num_keys=1)[1], (2, 4), 32),
    "largest two": Case(lambda x: lax.top_k(x, 2)[0], (3, 4), 24),
}


@pytest.mark.parametrize("name", thinned(CASES, 3))
def test_against_dense(name):
    check(CASES[name])


def test_hessians():
    check_hessian(lambda x: jnp.sum(jnp.sum(x, 1) ** 3), normal(3, 4), 3 * 16)
    check_hessian(lambda x: jnp.sum(jnp.cumsum(x) ** 3), normal(5), 25)
    check_hessian(lambda x: jnp.sum(jax.nn.logsumexp(x, 1)), normal(3, 4), 3 * 16)
    check_hessian(lambda x: jnp.sum(jnp.prod(x, 1)), normal(2, 3), None)

    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    check_hessian(rosenbrock, normal(10), 3 * 10 - 2)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_narrow_types(dtype):
    x = normal(3, 4, dtype=dtype)
    check(Case(lambda x: jnp.cumsum(x, 1) + x.sum(1, keepdims=True), (), None), x)


def test_complex():
    z = normal(2, 3, dtype=np.complex128)
    f = lambda z: jnp.cumsum(z * z, 1) * z.sum(1, keepdims=True)  # noqa: E731
    check(Case(lambda x: jnp.real(f(x + 0j)), (2, 3), 18))
    check(Case(lambda x: jnp.abs(f(lax.complex(x, x * x))), (2, 3), 18))
    del z
