"""Irregular structures and loops at small sizes: the exact number of entries, and every value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from benchmarks import adbench_problems as adbench
from benchmarks import irregular_problems as irregular
from benchmarks import loop_problems as loops
from benchmarks.loop_problems import FEATURES, HIDDEN, TIMES
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")

SAMPLES = 2
BLOCK = HIDDEN * TIMES * FEATURES
CASES = {
    "arrow": (irregular.arrow, 6, 16),
    "arrow, one element": (irregular.arrow, 1, 1),
    "arrow at": (irregular.arrow_at, 6, 16),
    "arrow joined": (irregular.arrow_joined, 6, 16),
    "arrow Hessian": (irregular.arrow_hessian, 6, 16),
    "arrow Hessian, whole": (irregular.arrow_hessian_whole, 6, 16),
    "messages": (irregular.messages, 8, 48),
    "messages, hubs": (irregular.messages_between_hubs, 8, 48),
    "message vectors": (irregular.message_vectors, 7, 16 * 42),
    "bundle": (adbench.bundle, 10, 290),
    "flow, scan": (loops.flow_scan, SAMPLES, 36 * SAMPLES),
    "flow, for": (loops.flow_for, SAMPLES, 36 * SAMPLES),
    "gru by inputs": (loops.gru_inputs, SAMPLES, BLOCK * SAMPLES),
    "gru, all states": (loops.gru_all_states, SAMPLES, HIDDEN**2 * TIMES * SAMPLES),
    "lstm by inputs": (loops.lstm_inputs, SAMPLES, BLOCK * SAMPLES),
    "lstm by state": (loops.lstm_state, SAMPLES, 4 * HIDDEN**2 * SAMPLES),
    "steps, for": (irregular.steps_for, 20, 140),
    "steps, while": (irregular.steps_while, 20, 140),
    "steps, until": (irregular.steps_until, 20, 400),
    "sine times doubling": (irregular.one_way, 6, 6),
    "memory": (adbench.memory_loss, 4, 2 * 8 * 14 + 3 * 14),
}


def in_float64(problem):
    return jax.tree.map(lambda x: x.astype("float64"), problem.args)


def reference(problem, args):
    plain = jax.jacfwd(problem.f) if problem.order == 1 else jax.hessian(problem.f)
    return np.asarray((problem.reference or jax.jit(plain))(*args))


@pytest.mark.parametrize("name", thinned(CASES, 3))
def test_entries_and_values(name):
    make, size, entries = CASES[name]
    problem = make(size)
    args = in_float64(problem)
    transform = jaxcalc.jacobian if problem.order == 1 else jaxcalc.hessian
    found = transform(problem.f, format="structured")(*args)
    expected = reference(problem, args)
    assert found.nnz == entries
    assert found.nnz == np.unique(found.rows.astype(np.int64) * found.shape[1] + found.cols).size
    np.testing.assert_allclose(found.todense(), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("make", [irregular.messages, irregular.messages_between_hubs])
def test_the_pattern_is_the_graph(make):
    nodes = 30
    skew = irregular.HUBS if make is irregular.messages_between_hubs else 0.0
    source, target = irregular.edges(nodes, 5 * nodes, skew=skew)
    expected = np.eye(nodes, dtype=bool)
    expected[target, source] = True
    problem = make(nodes)
    np.testing.assert_array_equal(jaxcalc.sparsity(problem.f, *problem.args).todense(), expected)


@pytest.mark.parametrize(
    ("make", "transform"),
    [
        (irregular.arrow, jaxcalc.jacobian),
        (irregular.arrow_at, jaxcalc.jacobian),
        (irregular.arrow_joined, jaxcalc.jacobian),
        (irregular.arrow_hessian, jaxcalc.hessian),
        (irregular.arrow_hessian_whole, jaxcalc.hessian),
    ],
)
def test_a_large_arrow_takes_no_square(make, transform):
    n = 20_000
    problem = make(n)
    derivative = transform(problem.f, format="structured")
    assert derivative(*problem.args).nnz == 3 * n - 2
    compiled = jax.jit(lambda x: derivative(x).values).lower(*problem.args).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 100 * 4 * n


@pytest.mark.parametrize("format", ["dense", "bcoo", "structured"])
@pytest.mark.parametrize("is_traced", [False, True])
def test_parts_of_opposite_modes_in_every_format(format, is_traced):  # noqa: A002
    problem = irregular.one_way(5)
    (x,) = in_float64(problem)
    transformed = jaxcalc.jacobian(problem.f, format=format)
    found = (jax.jit(transformed) if is_traced else transformed)(x)
    dense = found if format == "dense" else found.todense()
    expected = np.diag(8 * np.asarray(x) * np.cos(x) + 8 * np.sin(x))
    np.testing.assert_allclose(dense, expected, rtol=1e-12)


def test_bundle_adjustment_by_a_pytree():
    """The same entries when cameras, points and weights are arguments of their own."""
    problem = adbench.bundle(10)
    flat, features = in_float64(problem)

    def f(parts):
        return problem.f(jnp.concatenate([parts[0].ravel(), parts[1].ravel(), parts[2]]), features)

    parts = (flat[:22].reshape(2, 11), flat[22:34].reshape(4, 3), flat[34:])
    found, whole = jaxcalc.sparsity(f, parts), jaxcalc.sparsity(problem.f, flat, features)
    assert found.nnz == 290
    assert found == whole


def test_adbench_objectives_are_what_they_say():
    """The mixture by a loop over samples and components; the hand at rest; Rodrigues' formula."""
    problem = adbench.mixture(4)
    flat, x = (np.asarray(a) for a in in_float64(problem))
    weight, mean, factor = flat[:5], flat[5:55].reshape(5, 10), flat[55:].reshape(5, 55)
    whole = 0.0
    for sample in x:
        terms = []
        for k in range(5):
            lower = np.zeros((10, 10))
            lower[np.tril_indices(10, -1)] = factor[k, 10:]
            q = lower + np.diag(np.exp(factor[k, :10]))
            terms.append(weight[k] + factor[k, :10].sum() - ((q @ (sample - mean[k])) ** 2).sum() / 2)
        whole += np.log(np.exp(terms).sum()) - 5 * np.log(2 * np.pi)
    whole -= 4 * np.log(np.exp(weight).sum())
    prior = jax.jit(adbench._prior)(jnp.asarray(factor))
    np.testing.assert_allclose(jax.jit(problem.f)(flat, x), whole + prior, rtol=1e-12)

    rotate = jax.jit(adbench._rotated)
    rotations = jnp.array([[0.0, 0.0, jnp.pi / 2], [0.0, 0.0, 0.0]])
    turned = rotate(rotations, jnp.array([[1.0, 2.0, 3.0]] * 2))
    np.testing.assert_allclose(turned, [[-2, 1, 3], [1, 2, 3]], atol=1e-12)

    model = jax.jit(adbench._hand_model)()
    _, inverse, vertices, share = model
    rest = jax.jit(adbench._vertices)(jnp.zeros(26), *model)
    np.testing.assert_allclose(rest, vertices[:, :3], atol=1e-4)
    assert inverse.shape[0] == share.shape[1] == 21
