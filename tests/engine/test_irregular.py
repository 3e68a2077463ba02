"""Arrows and graphs: what has a few full rows or columns costs its entries, not n²."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from jaxcalc.heuristics import tuned
from tests.dense_reference import Case, check, check_hessian, normal
from tests.jaxpr_sizes import largest_value
from tests.thinned import thinned

N = 150
FIRST = np.eye(1, N)[0]
EDGES = np.random.default_rng(3).integers(0, 40, (2, N))
EDGES[1, :60] = 0  # one node that most edges arrive at
SOURCE, TARGET = EDGES

ARROWS = {
    "times a known vector": lambda x: x + jnp.asarray(FIRST, x.dtype) * jnp.sum(x**2) + x[0],
    "added at a place": lambda x: (x + x[0]).at[0].add(jnp.sum(x**2)),
    "written at a place": lambda x: (x * x[0]).at[0].set(jnp.sum(jnp.sin(x))),
    "concatenated": lambda x: jnp.concatenate([jnp.sum(x**3)[None], x[1:] * x[0]]),
    "chosen by a known mask": lambda x: jnp.where(jnp.arange(N) == 0, jnp.sum(jnp.sin(x)), x * x[0]),
    "padded": lambda x: jnp.pad(jnp.sum(x**2)[None], (0, N - 1)) + x * x[0],
}
AFTER = {
    "a nonlinear function": jnp.sin,
    "turned around": lambda y: y[::-1] * 2,
    "reshaped and transposed": lambda y: y.reshape(10, 15).T[2:, 1:],
    "multiplied": lambda y: y * y[3],
    "summed": lambda y: jnp.sum(y**2, keepdims=True),
    "summed in part": lambda y: jnp.sum(y.reshape(10, 15), axis=1),
    "gathered": lambda y: y[jnp.array([0, 0, 5, 149])],
    "scattered": lambda y: jnp.zeros(7).at[jnp.arange(N) % 5].add(2 * y),
    "a running sum": jnp.cumsum,
    "a matrix product": lambda y: jnp.asarray(np.tri(4, N)) @ y,
    "a convolution": lambda y: jnp.convolve(y, jnp.array([1.0, 2.0, 3.0]), "same"),
    "a loop": lambda y: lax.fori_loop(0, 3, lambda _, z: jnp.sin(z), y),
    "a branch": lambda y: lax.cond(y[1] > 0, jnp.sin, lambda z: z * z, y),
    "sorted": jnp.sort,
    "sliced where the data says": lambda y: lax.dynamic_slice(y, (jnp.argmax(y[:3]),), (4,)),
    "stacked": lambda y: jnp.stack([y, 2 * y[::-1]], 1),
}
GRAPHS = {
    "messages": lambda x: jax.ops.segment_sum(jnp.sin(x[SOURCE] - 2 * x[TARGET]), TARGET, 40),
    "messages, twice": lambda x: (
        jnp.tanh(jax.ops.segment_sum(jnp.sin(x[SOURCE] * x[TARGET]), TARGET, 40)[SOURCE] / 50)
        * x[TARGET]
    ),
    "messages with features": lambda x: jax.ops.segment_sum(
        jnp.outer(jnp.sin(x[SOURCE]), jnp.array([1.0, 2.0])) * x[TARGET, None], TARGET, 40
    ),
}


@pytest.fixture
def eager():
    """Leave lanes as soon as there is any waste, so that small cases take the irregular path."""
    with tuned(few_lanes=2, worth_entries=-1, waste=1, waste_of_sums=0):
        yield


@pytest.mark.parametrize("name", thinned(ARROWS, 3))
def test_arrows(name, x64, eager):
    check(Case(ARROWS[name], (N,), 3 * N - 2))


@pytest.mark.parametrize("name", thinned(AFTER, 3))
def test_what_follows_an_arrow(name, x64, eager):
    arrow = ARROWS["written at a place"]
    check(Case(lambda x: AFTER[name](arrow(x)), (N,), None))


@pytest.mark.parametrize("name", thinned(GRAPHS, 3))
def test_graphs(name, x64, eager):
    check(Case(GRAPHS[name], (40,), None))


def test_graphs_have_exactly_their_edges(x64):
    pattern = jaxcalc.sparsity(GRAPHS["messages"], jnp.ones(40))
    edges = set(zip(TARGET.tolist(), SOURCE.tolist(), strict=True)) | {(t, t) for t in TARGET.tolist()}
    assert set(zip(pattern.rows.tolist(), pattern.cols.tolist(), strict=True)) == edges


HESSIANS = {
    "all times the first": lambda x: jnp.sum(x[0] * x[1:] ** 2) + jnp.sum(x**3),
    "a function of x times the first": lambda x: jnp.sum(jnp.sin(x * x[0])),
}


@pytest.mark.parametrize("name", thinned(HESSIANS, 3))
def test_hessians(name, x64, eager):
    check_hessian(HESSIANS[name], normal(N), 3 * N - 2)


@pytest.mark.parametrize("way", ["forward", "reverse"])
@pytest.mark.parametrize("name", thinned(ARROWS, 3))
def test_a_large_arrow_takes_no_square(name, way, monkeypatch):
    n = 20_000
    first = np.eye(1, n)[0].astype(np.float32)
    large = {
        "times a known vector": lambda x: x + jnp.asarray(first) * jnp.sum(x**2) + x[0],
        "chosen by a known mask": lambda x: jnp.where(jnp.arange(n) == 0, jnp.sum(x**2), x * x[0]),
        "padded": lambda x: jnp.pad(jnp.sum(x**2)[None], (0, n - 1)) + x * x[0],
    }
    f = large.get(name, ARROWS[name])
    x = jax.ShapeDtypeStruct((n,), jnp.float32)
    transformed = jaxcalc.jacobian(f, format="structured", mode=way)
    jaxpr = jax.make_jaxpr(lambda x: transformed(x).values)(x)
    assert jaxpr.out_avals[0].shape == (3 * n - 2,)
    assert largest_value(jaxpr.jaxpr) <= 4 * n


@pytest.mark.parametrize("order", [1, 2])
def test_complex_numbers(order, x64, eager):
    """conj and real are not linear over the complex numbers: they see lanes."""
    arrow = ARROWS["added at a place"]

    def f(x):
        y = arrow(x * (1 + 2j))
        return jnp.real(jnp.conj(y) * 1j) + jnp.imag(y)

    if order == 1:
        check(Case(f, (N,), 3 * N - 2, ("forward", "reverse")))
    else:
        check_hessian(lambda x: jnp.sum(f(x) ** 2), normal(N), None)


def test_dense_results_and_products(x64, eager):
    f, x = ARROWS["concatenated"], normal(N)
    dense = jax.jit(jax.jacfwd(f))(x)
    np.testing.assert_allclose(jax.jit(jaxcalc.jacobian(f))(x), dense, rtol=1e-12)
    found = jaxcalc.jacobian(f, format="structured")(x)
    np.testing.assert_allclose(found @ x, dense @ x, rtol=1e-12)
    np.testing.assert_allclose(
        jax.jit(lambda x: jaxcalc.jacobian(f, format="bcoo")(x).todense())(x), dense
    )
