"""Integer arrays that change from call to call are traced, where that loses no entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.call.request import Request
from tests.notes import noted

X = jnp.linspace(0.1, 1.0, 12).reshape(4, 3)
W = jnp.linspace(-1.0, 1.0, 15).reshape(3, 5)
LABELS = [jnp.array(np.random.default_rng(i).integers(0, 5, 4)) for i in range(6)]


def losses(W, x, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(x @ W), labels[:, None], 1)[:, 0]


def noisy(x, key):
    return x * jax.random.normal(key, x.shape)


def batch(w, places):
    return jnp.tanh(X[places] @ w)


KEYS = [jax.random.PRNGKey(i) for i in range(6)]
CASES = {
    "labels": (losses, [(W, X, labels) for labels in LABELS]),
    "labels of numpy": (losses, [(W, X, np.asarray(labels)) for labels in LABELS]),
    "raw keys": (noisy, [(X[0], key) for key in KEYS]),
    "indices of a minibatch": (batch, [(W[:, 0], labels[:2] % 4) for labels in LABELS]),
    "a mask": (lambda x, m: jnp.where(m, jnp.sin(x), x), [(X[0], X[0] > 0.1 * i) for i in range(6)]),
}


def dense(J):
    """The matrix [M, N] of a derivative in any format."""
    found = J.todense() if hasattr(J, "todense") else J
    return np.asarray(found).reshape(-1)


@pytest.mark.parametrize("kind", ["structured", "dense"])
@pytest.mark.parametrize("name", CASES)
def test_from_the_third_array_on_nothing_is_compiled(name, kind, staged):
    f, calls = CASES[name]

    def derivative(*args):
        return jaxcalc.jacobian(f, format=kind)(*args)  # a new one each time, of the same f

    found = [derivative(*args) for args in calls[:2]]
    seen = len(staged)
    found += [derivative(*args) for args in calls[2:]]
    assert len(staged) == seen
    if kind == "structured":  # the trees of two calls match
        sums = jax.tree.map(lambda *xs: sum(xs), *found)
        assert sums.nnz == found[0].nnz
    for J, args in zip(found, calls, strict=True):
        np.testing.assert_allclose(dense(J), dense(jax.jacrev(f)(*args)), rtol=2e-5, atol=1e-6)


def test_hessians_parts_and_values(staged):
    loss = lambda W, x, labels: losses(W, x, labels).sum()  # noqa: E731
    transforms = [
        jaxcalc.hessian(loss, format="structured"),
        jaxcalc.jacobian(losses, rows=[0, 2], format="structured"),
        jaxcalc.gradient(loss),
        jaxcalc.value_and_gradient(loss),
    ]
    for transformed in transforms:
        for labels in LABELS[:3]:
            transformed(W, X, labels)
        seen = len(staged)
        transformed(W, X, LABELS[4])
        assert len(staged) == seen
    value, slope = transforms[-1](W, X, LABELS[5])
    wanted, slope_of_jax = jax.value_and_grad(loss)(W, X, LABELS[5])
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    np.testing.assert_allclose(slope, slope_of_jax, rtol=1e-5, atol=1e-6)


def test_an_array_that_narrows_the_pattern_stays_known():
    x, f = jnp.arange(6.0), lambda x, i: x[i] ** 2
    J = jaxcalc.jacobian(f, format="structured")
    with noted(r"^jaxcalc\.jacobian: the entries .*int32\[2\]") as lines:
        for i in range(5):
            assert J(x, jnp.array([i, 5])).cols.tolist() == [i, 5]
    assert len(lines) == 1
    assert "test_changing_arrays.py:" in lines[0]


def test_of_two_arrays_the_one_that_may_be_is_traced(staged):
    w = jnp.arange(1.0, 5.0)
    J = jaxcalc.jacobian(lambda w, rows, scale: (w**2 * scale)[rows], format="structured")
    scales = [labels + 1 for labels in LABELS]  # a known zero would narrow the pattern too
    J(w, jnp.array([0, 3]), scales[0])
    J(w, jnp.array([1, 3]), scales[1])
    with noted("int32"):
        J(w, jnp.array([2, 3]), scales[2])
    J(w, jnp.array([2, 3]), scales[3])
    seen = len(staged)
    for scale in scales[4:]:
        found = J(w, jnp.array([2, 3]), scale)
        assert found.cols.tolist() == [2, 3]
        np.testing.assert_array_equal(found.values, (2 * w * scale)[2:])
    assert len(staged) == seen


def test_what_needs_the_values_stays_as_it_is():
    def f(x, n):
        return x[: int(n)] ** 2

    for kind in ("structured", "dense"):
        J = jaxcalc.jacobian(f, format=kind)
        for n in (1, 2):
            assert J(jnp.arange(3.0), jnp.array(n)).shape == (n, 3)


def test_few_executables_are_kept(staged):
    x, f = jnp.arange(6.0), lambda x, i: x[i] ** 2
    J = jaxcalc.jacobian(f, format="structured")
    arrays = [jnp.array([i, 5]) for i in range(6)]
    J(x, arrays[0])
    J(x, arrays[1])
    with noted("int32"):
        J(x, arrays[2])
    for places in arrays[3:]:
        J(x, places)
    seen = len(staged)
    for places in arrays[2:]:
        J(x, places)
    assert len(staged) == seen
    J(x, arrays[0])
    assert len(staged) > seen


def test_methods_of_objects_too(staged):
    class Classifier:
        scale = 1.0

        def losses(self, W, labels):
            return self.scale * losses(W, X, labels)

    model = Classifier()
    J = jaxcalc.jacobian(model.losses, format="structured")
    for labels in LABELS[:3]:
        J(W, labels)
    seen = len(staged)
    found = J(W, LABELS[3])
    assert len(staged) == seen
    model.scale = 3.0
    np.testing.assert_allclose(J(W, LABELS[3]).values, 3 * found.values, rtol=1e-5)


def test_typed_keys_are_recalled(calls_of):
    long_way = calls_of(Request, "of")
    for kind in ("structured", "dense"):
        J = jaxcalc.jacobian(noisy, format=kind)
        keys = [jax.random.key(i) for i in range(3)]
        first = J(X[0], keys[0])
        seen = len(long_way)
        found = [first, *(J(X[0], key) for key in keys[1:])]
        assert len(long_way) == seen
        for J_of_key, key in zip(found, keys, strict=True):
            wanted = jnp.diag(jax.random.normal(key, (3,)))
            np.testing.assert_allclose(dense(J_of_key), dense(wanted), rtol=1e-6)
