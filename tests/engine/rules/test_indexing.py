"""Gather, scatter and slices at places that are known, and at places found when f runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal
from jax import lax

import jaxcalc
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")
I = np.array([2, 0, 2, 5, -1])  # 5 is out of bounds for four rows, -1 is the last one
ROWS = jnp.arange(4)


def largest(x):
    return jnp.argmax(x, -1)


def each(f):
    return jax.vmap(f)


KNOWN = {
    "take": Case(lambda x: x[np.array([2, 0, 2])], (4, 2), 6),
    "take from both axes": Case(lambda x: x[np.array([2, 0]), np.array([1, 0])], (4, 2), 2),
    "product of two takes": Case(lambda x: x[np.array([2, 0])] * x[np.array([1, 1])], (4,), 4),
    "clip": Case(lambda x: x.at[I].get(mode="clip"), (4,), 5),
    "fill": Case(lambda x: x.at[I].get(mode="fill", fill_value=7.0), (4,), 4),
    "in bounds": Case(lambda x: x.at[I[:3]].get(mode="promise_in_bounds"), (4,), 3),
    "take along an axis": Case(
        lambda x: jnp.take_along_axis(x, np.array([[0, 1], [1, 1]]), 1), (2, 2), 4
    ),
    "no places": Case(lambda x: x[np.zeros(0, int)], (3,), 0),
    "from lanes": Case(lambda x: jnp.cumsum(x, 1)[np.array([1, 1])][:, np.array([0, 2])], (2, 3), 8),
    "from one element": Case(lambda x: x[np.zeros(3, int)], (1,), 3),
    "add": Case(lambda x: x.at[np.array([1, 3])].add(x[:2] ** 2), (4,), 6),
    "add, the same place twice": Case(lambda x: x.at[np.array([1, 1, 3])].add(x[:3] ** 2), (5,), 7),
    "add, out of bounds": Case(lambda x: x.at[I].add(jnp.sin(x[np.array([0, 1, 2, 3, 3])])), (4,), 6),
    "add, clipped": Case(lambda x: jnp.zeros(4).at[I].add(x, mode="clip"), (5,), 5),
    "add to zeros": Case(lambda x: jnp.zeros(6).at[np.array([4, 0])].add(2 * x), (2,), 2),
    "add a constant": Case(lambda x: x.at[np.array([1])].add(3.0), (3,), 3),
    "add lanes": Case(
        lambda x: jnp.zeros((2, 3)).at[np.array([1, 1])].add(jnp.cumsum(x, 1)), (2, 3), 12
    ),
    "subtract": Case(lambda x: x.at[np.array([1, 1])].subtract(x[:2] ** 2), (4,), 5),
    "set": Case(lambda x: x.at[np.array([1, 3])].set(x[:2] ** 2), (5,), 5),
    "set, unique": Case(
        lambda x: x.at[np.array([1, 9, 3])].set(x[:3] ** 2, unique_indices=True), (5,), 5
    ),
    "set a constant": Case(lambda x: x.at[np.array([1, 3])].set(0.0), (5,), 3),
    "set, out of bounds": Case(lambda x: x.at[np.array([1, 9])].set(x[:2] ** 2), (5,), 5),
    "set, the same place twice": Case(lambda x: x.at[np.array([1, 1])].set(x[:2] ** 2), (5,), None),
    "multiply": Case(
        lambda x: x.at[np.array([1, 3])].multiply(x[:2] ** 2, unique_indices=True), (5,), 7
    ),
    "maximum": Case(lambda x: x.at[np.array([0, 1])].max(x[2:4]), (5,), None),
    "segments": Case(lambda x: jax.ops.segment_sum(x**2, jnp.arange(300) // 30, 10), (300,), 300),
    "segments, unordered": Case(
        lambda x: jax.ops.segment_sum(x, np.array([2, 0, 2, 9, 1]), 3), (5,), 4
    ),
    "slice": Case(lambda x: lax.dynamic_slice(x, (1, 0), (2, 3)), (4, 3), 6),
    "slice, start clamped": Case(lambda x: lax.dynamic_slice(x, (3,), (2,)), (4,), 2),
    "update": Case(lambda x: lax.dynamic_update_slice(x, x[:2] ** 2, (1, 0)), (4, 3), 12),
    "update, start clamped": Case(lambda x: lax.dynamic_update_slice(x, x[:2] ** 2, (9,)), (4,), 4),
    "update by a constant": Case(lambda x: lax.dynamic_update_slice(x, jnp.ones(2), (1,)), (4,), 2),
    "update a constant": Case(lambda x: lax.dynamic_update_slice(jnp.ones(4), x, (1,)), (2,), 2),
}

# the entries are those that some places could make nonzero, within what the places leave alone
TRACED = {
    "rows": Case(lambda x: x[jnp.argsort(x[:, 0])], (4, 3), 3 * 16),
    "one element": Case(lambda x: x[jnp.argmax(x)], (4,), 4),
    "fill": Case(lambda x: x.at[3 * jnp.argmax(x)].get(mode="fill", fill_value=1.0), (4,), 4),
    "sample by sample": Case(each(lambda a: a[jnp.argsort(a)]), (4, 3), 4 * 9),
    "sample by sample, rows": Case(each(lambda a: a[jnp.argsort(a[:, 0])]), (4, 3, 2), 4 * 2 * 9),
    "along an axis": Case(lambda x: jnp.take_along_axis(x, jnp.argsort(x, 1), 1), (4, 3), 4 * 9),
    "x[arange, labels]": Case(lambda x: x[ROWS, largest(x)], (4, 3), 12),
    "x[arange, :, labels]": Case(lambda x: x[ROWS, :, largest(x[:, 0])], (4, 2, 3), 24),
    "x[arange, arange, labels]": Case(
        lambda x: x[ROWS[:, None], jnp.arange(2)[None], largest(x)], (4, 2, 3), 24
    ),
    "x[labels, arange]": Case(lambda x: x[largest(x.T), jnp.arange(3)], (4, 3), 12),
    "x[arange, arange, labels], swapped": Case(
        lambda x: x[jnp.arange(2)[None], ROWS[:, None], largest(x).T], (2, 4, 3), 24
    ),
    "x[arange backwards, labels]": Case(lambda x: x[ROWS[::-1], largest(x)], (4, 3), 48),
    "x[part of arange, labels]": Case(lambda x: x[ROWS[:2], largest(x)[:2]], (4, 3), 24),
    "add": Case(lambda x: x.at[jnp.argmax(x)].add(x[0] ** 2), (5,), 9),
    "add, out of bounds": Case(lambda x: x.at[9 * jnp.argmax(x)].add(x[0] ** 2), (5,), 9),
    "add sample by sample": Case(each(lambda a: jnp.zeros(3).at[jnp.argsort(a)].add(a)), (4, 3), 4 * 9),
    "add at [arange, labels]": Case(lambda x: x.at[ROWS, largest(x)].add(x[:, 0] ** 2), (4, 3), 20),
    "subtract": Case(lambda x: x.at[jnp.argsort(x)].subtract(x**2), (5,), 25),
    "set at [arange, labels]": Case(lambda x: x.at[ROWS, largest(x)].set(x[:, 1] ** 2), (4, 3), 20),
    "set sample by sample": Case(each(lambda a: a.at[jnp.argmax(a)].set(a[0] ** 2)), (4, 3), 20),
    "set, unique": Case(lambda x: x.at[jnp.argsort(x)].set(x**2, unique_indices=True), (5,), 25),
    "multiply": Case(
        lambda x: x.at[ROWS, largest(x)].multiply(x[:, 0] ** 2, unique_indices=True), (4, 3), 20
    ),
    "slice": Case(lambda x: lax.dynamic_slice(x, (largest(x[:, 0]), 0), (2, 3)), (4, 3), 24),
    "slice sample by sample": Case(
        each(lambda a: lax.dynamic_slice(a, (largest(a[:, 0]), 0), (2, 2))), (3, 4, 2), 3 * 2 * 2 * 4
    ),
    "slice of lanes": Case(
        lambda x: lax.dynamic_slice(jnp.cumsum(x, 1), (0, largest(x[0])), (2, 2)), (2, 3), 12
    ),
    "update": Case(
        lambda x: lax.dynamic_update_slice(x, x[:2] ** 2, (largest(x[:, 0]), 0)), (4, 3), 30
    ),
    "update, sample by sample": Case(
        each(lambda a: lax.dynamic_update_slice(a, a[:2] ** 2, (jnp.argmax(a),))), (3, 4), 3 * 10
    ),
}


@pytest.mark.parametrize("name", thinned(KNOWN, 3))
def test_known_places(name):
    check(KNOWN[name])


@pytest.mark.parametrize("name", thinned(TRACED, 3))
def test_traced_places(name):
    check(TRACED[name])


def test_labels_given_as_an_argument_keep_samples_apart():
    def loss(x, labels):
        return -jax.nn.log_softmax(x)[jnp.arange(x.shape[0]), labels]

    x, labels = normal(5, 3), jnp.array([0, 2, 1, 1, 0])
    found = jaxcalc.jacobian(loss, format="structured", strict=True)(x, labels)
    np.testing.assert_allclose(found.todense(), jax.jacfwd(loss)(x, labels), atol=1e-12)
    assert found.nnz == 15


def test_many_places_with_axes_of_one_element():
    # numpy 2.4 finds wrong coordinates for more than 8192 places in such a shape
    n = 9000
    order = np.random.default_rng(0).permutation(n)
    pattern = jaxcalc.sparsity(lambda x: x[order], jax.ShapeDtypeStruct((n, 1), np.float64))
    np.testing.assert_array_equal(pattern.rows, np.arange(n))
    np.testing.assert_array_equal(pattern.cols, order)


def test_hessian_through_places():
    check_hessian(lambda x: jnp.sum(x[np.array([0, 0, 2])] ** 3), normal(4), 2)
    f = lambda x: jnp.sum(jax.ops.segment_sum(x, jnp.arange(6) // 2, 3) ** 2)  # noqa: E731
    check_hessian(f, normal(6), 12)
    g = lambda x: jnp.sum(x[jnp.argsort(x)] * jnp.arange(1.0, 5) ** 2 * x)  # noqa: E731
    check_hessian(g, normal(4), None)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_narrow_types(dtype):
    x = normal(4, 3, dtype=dtype)
    check(Case(lambda x: x[jnp.argsort(x[:, 0])] * x[np.array([0, 0, 1, 2])], (), None), x)
