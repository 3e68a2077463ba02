"""Repeated calls go straight to the compiled derivative, and only where they may."""

import gc
import threading
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.call.request import Request

X = jnp.arange(1.0, 4.0)
FACTOR = 2.0
HELPER = jnp.sin


def scale(x):
    return FACTOR * x


def named(x):
    return scale(x) * x


def through_helper(x):
    return HELPER(x)


@pytest.fixture
def long_way(calls_of):
    """Counts the calls that are taken apart."""
    return calls_of(Request, "of")


def diagonal(J):
    return np.asarray((J if hasattr(J, "diagonal") else J.todense()).diagonal())


TRANSFORMS = {
    "jacobian": (lambda: jaxcalc.jacobian(lambda x: x * x, format="structured"), diagonal),
    "bcoo": (
        lambda: jaxcalc.jacobian(lambda x: x * x, format="bcoo"),
        lambda J: np.diag(J.todense()),
    ),
    "value_and_jacobian": (
        lambda: jaxcalc.value_and_jacobian(lambda x: {"y": x * x}, format="structured"),
        lambda pair: diagonal(pair[1]) + 0 * np.asarray(pair[0]["y"]),
    ),
    "hessian": (lambda: jaxcalc.hessian(lambda x: jnp.sum(x**3) / 3, format="structured"), diagonal),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_second_call_goes_straight_to_the_compiled_derivative(name, long_way):
    make, read = TRANSFORMS[name]
    f = make()
    first = f(X)
    assert len(long_way) == 1
    second = f(2 * X)
    assert len(long_way) == 1
    assert jax.tree.structure(first) == jax.tree.structure(second)
    np.testing.assert_allclose(read(first), 2 * np.asarray(X), rtol=1e-6)
    np.testing.assert_allclose(read(second), 4 * np.asarray(X), rtol=1e-6)
    np.testing.assert_allclose(read(jax.jit(f)(X)), read(first), rtol=1e-6)
    assert len(long_way) == 2  # a traced call goes the long way


def test_values_come_with_the_derivative(long_way):
    f = jaxcalc.value_and_jacobian(lambda x: {"y": x * x, "z": x[0]}, format="structured")
    for factor in (1.0, 2.0, 3.0):
        value, _ = f(factor * X)
        np.testing.assert_array_equal(value["y"], (factor * X) ** 2)
        assert float(value["z"]) == factor
    assert len(long_way) == 1


@pytest.mark.parametrize(
    "options", [{"format": "dense"}, {"format": "structured"}, {"format": "bcoo"}], ids=str
)
def test_calls_with_aux_go_the_long_way(options, long_way):
    f = jaxcalc.jacobian(lambda x: (x, 1), has_aux=True, **options)
    f(X)
    f(X)
    assert len(long_way) == 2


def test_arguments_that_differ_go_the_long_way(long_way):
    f = jaxcalc.jacobian(lambda x, n=1, *, key="a": x * n * {"a": 1, "b": 10}[key], format="structured")
    half = jnp.asarray(X, jnp.float16)
    calls = [
        ((X,), {}, 1),
        ((X, 3), {}, 3),
        ((X,), {"n": 3}, 3),
        ((X,), {"key": "b"}, 10),
        ((X, 3.0), {}, 3),
        ((X, True), {}, 1),
        ((X[:2],), {}, 1),
        ((half,), {}, 1),
        ((np.asarray(X),), {}, 1),
    ]
    for _ in range(2):
        for args, kwargs, expected in calls:
            seen = len(long_way)
            for _ in range(2):
                J = f(*args, **kwargs)
                assert diagonal(J).tolist() == [expected] * args[0].shape[0]
                assert J.dtype == jnp.result_type(args[0])
            assert len(long_way) <= seen + 1


def test_known_integers_are_part_of_a_call(long_way):
    f = jaxcalc.jacobian(lambda x, i: x[i], format="structured")
    first, second = jnp.array([0, 2]), jnp.array([1, 1])
    for _ in range(2):
        assert f(X, first).cols.tolist() == [0, 2]
        assert f(X, second).cols.tolist() == [1, 1]
    assert len(long_way) == 2
    places = np.array([0, 2])  # which may change
    assert f(X, places).cols.tolist() == [0, 2]
    places[0] = 1
    assert f(X, places).cols.tolist() == [1, 2]


def test_names_and_closures_that_are_bound_anew(monkeypatch, long_way):
    f = jaxcalc.jacobian(named, format="structured")
    assert diagonal(f(X)).tolist() == [4, 8, 12]
    monkeypatch.setitem(globals(), "FACTOR", 3.0)  # read by a function that f calls
    assert diagonal(f(X)).tolist() == [6, 12, 18]
    monkeypatch.setitem(globals(), "scale", lambda x: x)
    assert diagonal(f(X)).tolist() == [2, 4, 6]
    seen = len(long_way)
    assert diagonal(f(X)).tolist() == [2, 4, 6]
    assert len(long_way) == seen

    g = jaxcalc.jacobian(through_helper, format="structured")
    np.testing.assert_allclose(diagonal(g(X)), np.cos(X), rtol=1e-6)
    monkeypatch.setitem(globals(), "HELPER", jnp.exp)
    np.testing.assert_allclose(diagonal(g(X)), np.exp(X), rtol=1e-6)


def test_closures_defaults_and_partials_that_are_bound_anew():
    factor = 2.0

    def closes(x, power=2, *, more=1.0):
        return factor * more * x**power

    f = jaxcalc.jacobian(closes, format="structured")
    assert diagonal(f(X)).tolist() == [4, 8, 12]
    factor = 3.0
    assert diagonal(f(X)).tolist() == [6, 12, 18]
    closes.__defaults__ = (1,)
    assert diagonal(f(X)).tolist() == [3, 3, 3]
    closes.__kwdefaults__["more"] = 2.0
    assert diagonal(f(X)).tolist() == [6, 6, 6]
    closes.__kwdefaults__ = {"more": 1.0}
    assert diagonal(f(X)).tolist() == [3, 3, 3]
    part = partial(lambda x, c: x * c, c=2.0)
    g = jaxcalc.jacobian(part, format="structured")
    assert diagonal(g(X)).tolist() == [2, 2, 2]
    part.keywords["c"] = 5.0
    assert diagonal(g(X)).tolist() == [5, 5, 5]


def test_a_name_that_appears_later(monkeypatch):
    f = jaxcalc.jacobian(lambda x: x * abs(-2.0), format="structured")
    assert diagonal(f(X)).tolist() == [2, 2, 2]
    monkeypatch.setitem(globals(), "abs", lambda _: 7.0)
    assert diagonal(f(X)).tolist() == [7, 7, 7]


def test_an_object_at_the_place_of_one_that_died():
    box = [jnp.full(3, 2.0)]

    def make(weights):
        return lambda x: x * weights

    f = make(box.pop())
    J = jaxcalc.jacobian(lambda x: f(x), format="structured")  # noqa: PLW0108 (f is read by name)
    for factor in range(2, 12):
        f = make(jnp.full(3, float(factor)))
        gc.collect()
        assert diagonal(J(X)).tolist() == [factor] * 3


def test_settings_and_rules_that_change(x64, long_way):
    f = jaxcalc.jacobian(lambda x: jnp.sin(x), format="structured")  # noqa: PLW0108
    x = np.arange(3.0, dtype=np.float32)
    f(x)
    f(x)
    assert len(long_way) == 1
    with jax.numpy_dtype_promotion("strict"):
        f(x)
    assert len(long_way) == 2
    with jax.enable_x64(False):
        assert f(x).dtype == np.float32
    assert len(long_way) == 3
    f(x)
    jaxcalc.engine.register_rule("nothing_calls_this", lambda eqn, operands: operands[0])
    seen = len(long_way)
    f(x)
    assert len(long_way) == seen + 1


def test_few_calls_are_kept(long_way):
    f = jaxcalc.jacobian(lambda x: x * x, format="structured")
    for size in range(1, 9):
        f(jnp.ones(size))
    seen = len(long_way)
    f(jnp.ones(8))
    assert len(long_way) == seen
    f(jnp.ones(1))  # not kept any more
    assert len(long_way) == seen + 1


def test_nothing_is_kept_alive():
    class Weights:
        def __init__(self):
            self.value = 2.0

    def make():
        weights = Weights()

        def f(x):
            return x * weights.value

        return f, weakref.ref(f), weakref.ref(weights)

    f, function, weights = make()
    J = jaxcalc.jacobian(f, format="structured")
    J(X)
    J(X)
    del f, J
    gc.collect()
    assert function() is None
    assert weights() is None


def test_a_global_that_was_bound_anew_is_freed(monkeypatch):
    monkeypatch.setitem(globals(), "HELPER", partial(jnp.multiply, jnp.ones(3)))
    f = jaxcalc.jacobian(through_helper, format="structured")
    f(X)
    old = weakref.ref(HELPER)
    monkeypatch.undo()
    f(X)
    gc.collect()
    assert old() is None


def test_what_an_outer_trace_leaves_behind_is_not_used():
    def outer(c):
        f = jaxcalc.jacobian(lambda x: c * x, format="structured")
        return f(X).values + f(X).values

    np.testing.assert_array_equal(jax.jit(outer)(3.0), [6.0] * 3)
    f = jaxcalc.jacobian(lambda x: x * x, format="structured")
    np.testing.assert_array_equal(jax.jit(lambda _: f(X).values)(0.0), 2 * X)
    np.testing.assert_array_equal(f(X).values, 2 * X)
    np.testing.assert_array_equal(jax.jit(lambda _: f(X).values)(1.0), 2 * X)
    np.testing.assert_allclose(jax.jacfwd(lambda x: f(x).values)(X), 2 * np.eye(3))


def test_threads():
    f = jaxcalc.jacobian(lambda x: x * x, format="structured")
    failures = []

    def work(size):
        x = jnp.arange(float(size))
        failures.extend(size for _ in range(50) if not np.array_equal(f(x).values, 2 * x))

    threads = [threading.Thread(target=work, args=(size,)) for size in range(3, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_errors_stay():
    f = jaxcalc.jacobian(lambda x, y: x * y, format="structured")
    f(X, X)
    with pytest.raises(TypeError):
        f(X)
    with pytest.raises(TypeError, match=r"^jaxcalc.jacobian: x is int32"):
        f(jnp.arange(3), X)


def test_what_changes_inside_a_captured_container_is_seen():
    weights = {"scale": [2.0, jnp.ones(3)]}
    f = jaxcalc.jacobian(lambda x: x * weights["scale"][0] * weights["scale"][1], format="structured")
    assert diagonal(f(X)).tolist() == [2, 2, 2]
    weights["scale"][0] = 3.0
    assert diagonal(f(X)).tolist() == [3, 3, 3]
    weights["scale"][1] = jnp.array([1.0, 5.0, 1.0])
    assert diagonal(f(X)).tolist() == [3, 15, 3]
    weights["scale"] = [1.0, 1.0]
    assert diagonal(f(X)).tolist() == [1, 1, 1]


def test_signed_zeros_are_told_apart():
    zero = 0.0
    f = jaxcalc.jacobian(lambda x: x * jnp.copysign(1.0, zero), format="structured")
    assert diagonal(f(X)).tolist() == [1, 1, 1]
    zero = -0.0
    assert diagonal(f(X)).tolist() == [-1, -1, -1]
