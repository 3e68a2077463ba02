"""What f reads may change between calls in ways that nobody sees: each call is that of f as it is."""

import gc
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc

X = jnp.arange(1.0, 4.0)


class Model:
    def __init__(self, factor=2.0, weights=None):
        self.factor = factor
        self.weights = np.ones(3, np.float32) if weights is None else weights

    def residual(self, x):
        return self.factor * self.weights * x**2

    __call__ = residual

    @property
    def scaled(self):
        return lambda x: self.residual(x)  # noqa: PLW0108


class Slotted:
    __slots__ = ("__weakref__", "factor", "weights")
    __init__, residual, __call__ = Model.__init__, Model.residual, Model.residual


class Jitted(Model):
    """Its function is compiled anew, by name of the same, when the weights change."""

    def __init__(self):
        super().__init__()
        self.compile()

    def compile(self):
        factor, weights = self.factor, self.weights.copy()
        self.run = jax.jit(lambda x: factor * jnp.asarray(weights) * x**2)

    def residual(self, x):
        return self.run(x)


def of_argument(model):
    return partial(lambda model, x: model.residual(x), model)


WAYS = {
    "a bound method": (Model, lambda m: m.residual),
    "a callable object": (Model, lambda m: m),
    "an object in a closure": (Model, lambda m: lambda x: m.residual(x)),  # noqa: PLW0108
    "an object in a default": (Model, lambda m: lambda x, m=m: m.residual(x)),
    "an object in a partial": (Model, of_argument),
    "an object in a list": (Model, lambda m: lambda x, box=[m]: box[0].residual(x)),
    "a property": (Model, lambda m: lambda x: m.scaled(x)),  # noqa: PLW0108
    "slots": (Slotted, lambda m: m.residual),
    "a jitted method": (Jitted, lambda m: m.residual),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_changed_object_is_seen(name, staged):
    make, function = WAYS[name]
    model = make()
    J = jaxcalc.jacobian(function(model), format="structured")
    changed = getattr(model, "compile", lambda: None)

    def diagonal():
        changed()
        found, wanted = J(X).toarray(), np.diag(2 * model.factor * np.asarray(model.weights * X))
        np.testing.assert_array_equal(found, wanted)

    diagonal()
    seen = len(staged)
    diagonal()
    assert len(staged) == seen  # traced again, and known again
    model.factor = 5.0
    diagonal()
    model.weights = np.array([1.0, 5.0, 2.0], np.float32)
    diagonal()
    model.weights[1] = 7.0  # in place
    diagonal()
    seen = len(staged)
    model.factor, model.weights = 2.0, np.ones(3, np.float32)
    diagonal()  # as it was first, with other arrays of the same values
    assert len(staged) == seen


@pytest.mark.parametrize("kind", ["bcoo", "dense"])
def test_other_formats_and_the_hessian(kind):
    model = Model()
    J = jaxcalc.jacobian(model.residual, format=kind)
    H = jaxcalc.hessian(lambda x: jnp.sum(model(x)), format=kind)
    dense = (lambda x: x) if kind == "dense" else lambda x: x.todense()
    for factor in (2.0, 5.0):
        model.factor = factor
        np.testing.assert_array_equal(dense(J(X)), jnp.diag(2 * factor * X))
        np.testing.assert_array_equal(dense(H(X)), 2 * factor * np.eye(3))


def test_an_object_that_is_an_argument():
    J = jaxcalc.jacobian(lambda x, model: model.residual(x), format="structured")
    model = Model()
    for factor in (2.0, 5.0):
        model.factor = factor
        np.testing.assert_array_equal(J(X, model).values, 2 * factor * X)


def test_patterns_are_those_of_the_object_as_it_is():
    class Graph:
        def __init__(self, edges):
            self.edges = np.array(edges)

        def __call__(self, x):
            return x[self.edges[0]] * x[self.edges[1]]

    graph = Graph([[0, 1], [1, 2]])
    assert jaxcalc.sparsity(graph, X).todense().tolist() == [[1, 1, 0], [0, 1, 1]]
    graph.edges = np.array([[2, 2], [0, 0]])
    assert jaxcalc.sparsity(graph, X).todense().tolist() == [[1, 0, 1], [1, 0, 1]]
    graph.edges[1, 1] = 1
    assert jaxcalc.sparsity(graph, X).todense().tolist() == [[1, 0, 1], [0, 1, 1]]
    model = Model(0.0)
    assert jaxcalc.explain(model.residual, X).pattern.nnz == 0
    model.factor = 1.0
    assert jaxcalc.explain(model.residual, X).pattern.nnz == 3


def test_aux_is_that_of_this_call():
    model = Model()
    J = jaxcalc.jacobian(lambda x: (model(x), model.factor), has_aux=True, format="structured")
    for factor in (2.0, 5.0):
        model.factor = factor
        derivative, aux = J(X)
        assert aux == factor
        np.testing.assert_array_equal(derivative.values, 2 * factor * X)


def test_under_jit_each_trace_sees_the_object():
    model = Model()
    J = jaxcalc.jacobian(model.residual, format="structured")
    for factor in (2.0, 5.0):
        model.factor = factor
        np.testing.assert_array_equal(jax.jit(lambda x: J(x).values)(X), 2 * factor * X)


def test_a_rule_that_changed_is_the_one_that_is_differentiated():
    """The derivative of a derivative asks the rules of what the inner one only evaluates."""
    slope = [2.0]

    class Ruled:
        def __call__(self, x, w):
            @jax.custom_jvp
            def twice(w):
                return 2 * w

            factor = slope[0]
            twice.defjvp(lambda p, t: (twice(*p), factor * t[0]))
            return twice(w) * x

    values = lambda w: jaxcalc.jacobian(ruled, format="structured")(X, w).values.sum()  # noqa: E731
    ruled = Ruled()
    assert float(jax.grad(values)(1.0)) == 6
    slope[0] = 5.0
    assert float(jax.grad(values)(1.0)) == 15


def test_no_more_than_four_variants_are_kept(staged):
    model = Model()
    J = jaxcalc.jacobian(model.residual, format="structured")
    for factor in range(1, 7):
        model.factor = float(factor)
        J(X)
    seen = len(staged)
    for factor in range(3, 7):
        model.factor = float(factor)
        J(X)
    assert len(staged) == seen
    model.factor = 1.0
    J(X)
    assert len(staged) > seen


def test_objects_are_freed():
    model = Model()
    J = jaxcalc.jacobian(model.residual, format="structured")
    J(X)
    J(X)
    dead = weakref.ref(model)
    del model, J
    gc.collect()
    assert dead() is None


def test_large_arrays_of_numpy_are_watched_by_a_copy(staged):
    weights = np.ones(100_000, np.float32)
    J = jaxcalc.jacobian(lambda x: x * weights.sum(), format="structured")
    assert J(X).values.tolist() == [1e5] * 3
    seen = len(staged)
    assert J(X).values.tolist() == [1e5] * 3
    assert len(staged) == seen
    weights[50_000] = 3
    assert J(X).values.tolist() == [1e5 + 2] * 3
