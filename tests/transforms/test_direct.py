"""Dense derivatives outside of a trace: compiled where f can be watched, looked at anew elsewhere."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.transforms import eager

X = jnp.arange(1.0, 4.0)
FACTOR = 2.0
WEIGHTS = {"w": jnp.ones(3), "layers": [jnp.ones(3)]}
COUNT = 0


class Model:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x * x


def scaled(x):
    return FACTOR * x * x


def weighted(x):
    return WEIGHTS["w"] * WEIGHTS["layers"][0] * x * x


def counting(x):
    global COUNT  # noqa: PLW0603
    COUNT += 1
    return x * COUNT


@pytest.fixture
def anew(calls_of):
    """Whether the calls in which f is looked at were inside a trace."""
    return calls_of(eager.Direct, "_anew", lambda args, kwargs: args[1].call.is_inside_a_trace)


OUTCOMES = {
    "jacobian": (jaxcalc.jacobian, scaled, jax.jacfwd(scaled)),
    "value_and_jacobian": (
        jaxcalc.value_and_jacobian,
        scaled,
        lambda x: (scaled(x), jax.jacfwd(scaled)(x)),
    ),
    "hessian": (jaxcalc.hessian, lambda x: jnp.sum(x**3), lambda x: jnp.diag(6 * x)),
    "value_gradient_and_hessian": (
        jaxcalc.value_gradient_and_hessian,
        lambda x: jnp.sum(x**3),
        lambda x: (jnp.sum(x**3), 3 * x**2, jnp.diag(6 * x)),
    ),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_second_call_does_not_look_at_f(name, anew):
    transform, f, expected = OUTCOMES[name]
    transformed = transform(f)
    for factor in (1.0, 2.0, 3.0):
        found, wanted = transformed(factor * X), expected(factor * X)
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
            assert a.dtype == b.dtype
    assert anew == [True]
    transform(f)(X)  # another transformed function of the same f
    assert anew == [True]


def test_pytrees_and_options(anew):
    def f(p, n, *, q):
        return {"y": p["a"] * q**n, "z": (p["b"],)}

    J = jaxcalc.jacobian(f, mode="reverse")
    for _ in range(2):
        found = J({"a": X, "b": jnp.float32(2.0)}, 2, q=3.0)
    assert found["y"]["a"].tolist() == (9 * np.eye(3)).tolist()
    assert float(found["z"][0]["b"]) == 1
    assert len(anew) == 1


@pytest.mark.parametrize("kind", ["global", "container", "list"])
def test_what_changes_is_seen(kind, monkeypatch):
    f = {"global": scaled, "container": weighted, "list": weighted}[kind]
    J = jaxcalc.jacobian(f)
    before = np.asarray(J(X)).diagonal()
    np.testing.assert_array_equal(J(X), np.diag(before))
    if kind == "global":
        monkeypatch.setitem(globals(), "FACTOR", 3 * FACTOR)
    elif kind == "container":
        monkeypatch.setitem(WEIGHTS, "w", jnp.full(3, 3.0))
    else:
        monkeypatch.setitem(WEIGHTS, "layers", [jnp.full(3, 3.0)])
    np.testing.assert_array_equal(J(X), np.diag(3 * before))


def test_objects_are_looked_at_anew(anew):
    model = Model(2.0)
    for J in (jaxcalc.jacobian(model), jaxcalc.jacobian(lambda x: model(x))):  # noqa: PLW0108
        model.factor = 2.0
        np.testing.assert_array_equal(J(X), np.diag(4 * X))
        model.factor = 3.0
        np.testing.assert_array_equal(J(X), np.diag(6 * X))
    assert anew == [False] * 4


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    weights: jax.Array

    def __call__(self, x):
        return FACTOR * self.weights * x * x


class Parameters(NamedTuple):
    weights: jax.Array

    def __call__(self, x):
        return FACTOR * self.weights * x * x


@pytest.mark.parametrize(
    "given", [scaled, Layer(jnp.ones(3)), Parameters(jnp.ones(3))], ids=["function", "node", "tuple"]
)
def test_what_an_argument_reads_is_seen(given, monkeypatch):
    J = jaxcalc.jacobian(lambda x, given: given(x))
    for factor in (2.0, 3.0, 4.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        for _ in range(3):
            np.testing.assert_array_equal(J(X, given), np.diag(2 * factor * X))


def test_what_changes_inside_an_argument_is_seen():
    model = Model(2.0)
    J = jaxcalc.jacobian(lambda x, model: model(x))
    for factor in (2.0, 3.0):
        model.factor = factor
        np.testing.assert_array_equal(J(X, model), np.diag(2 * factor * X))


def test_a_function_that_writes_is_looked_at_anew(anew):
    J = jaxcalc.jacobian(counting)
    found = [float(J(X)[0, 0]) for _ in range(3)]
    assert found[0] < found[1] < found[2]
    assert anew == [False] * 3
    calls = []

    def f(x):
        calls.append(1)
        return x * len(calls)

    J = jaxcalc.jacobian(f)
    found = [float(J(X)[0, 0]) for _ in range(4)]
    assert found[0] < found[1] < found[2] < found[3]


def test_branches_on_values_are_taken_anew(anew):
    def f(x):
        return x * x if x[0] > 0 else -x

    J = jaxcalc.jacobian(f)
    np.testing.assert_array_equal(J(X), np.diag(2 * X))
    np.testing.assert_array_equal(J(-X), -np.eye(3))
    np.testing.assert_array_equal(J(X), np.diag(2 * X))
    assert anew.count(True) == 1  # it was tried once


def test_a_function_made_anew_for_each_call_is_not_compiled_each_time(anew):
    for i in range(5):
        np.testing.assert_array_equal(jaxcalc.jacobian(lambda x, i=i: x * x * i)(X), np.diag(2 * X * i))
    assert anew == [True, False, False, False, False]

    def power(x, n):
        return x**n

    J = jaxcalc.jacobian(power)
    for n in range(1, 5):
        np.testing.assert_allclose(J(X, n), np.diag(n * X ** (n - 1)), rtol=1e-6)
    assert anew[5:] == [True, False, False, False]
    J(X, 3)
    J(X, 3)
    assert anew[9:] == [True]


def test_errors_are_those_of_f():
    def f(x):
        if x.shape != (3,):
            raise IndexError("of its own")
        return x

    with pytest.raises(IndexError, match="of its own"):
        jaxcalc.jacobian(f)(jnp.ones(2))
    with pytest.raises(TypeError, match=r"^jaxcalc.jacobian: x is int32"):
        jaxcalc.jacobian(f)(jnp.arange(3))
    with pytest.raises(TypeError, match=r"^jaxcalc.jacobian: .*bool"):
        jaxcalc.jacobian(lambda x: x > 0)(X)


def test_effects_happen_at_every_call(capsys):
    def f(x):
        jax.debug.print("here")
        return x

    J = jaxcalc.jacobian(f)
    for _ in range(3):
        J(X)
    jax.effects_barrier()
    assert capsys.readouterr().out.count("here") == 3


def test_without_jit_f_is_run(anew):
    J = jaxcalc.jacobian(scaled)
    J(X)
    with jax.disable_jit():
        J(X)
    assert anew[-1] is False


def test_settings_matter(x64):
    J = jaxcalc.jacobian(lambda x: x * jnp.float32(2))
    x = np.arange(3.0)
    assert J(x).dtype == jnp.float64
    with jax.enable_x64(False):
        assert J(x).dtype == jnp.float32
    assert J(x).dtype == jnp.float64


def test_a_tracer_that_f_captures_is_not_kept():
    def outer(c):
        return jaxcalc.jacobian(lambda x: c * x * x)(X)

    np.testing.assert_array_equal(jax.jit(outer)(2.0), np.diag(4 * X))
    np.testing.assert_array_equal(jax.vmap(outer)(jnp.array([1.0, 2.0]))[1], np.diag(4 * X))


@pytest.mark.parametrize(
    "x",
    [3.0, np.float64(3.0), np.ones((2, 0)), np.ones(1, np.float16), jnp.ones(2, jnp.bfloat16)],
    ids=repr,
)
def test_inputs_of_every_kind(x):
    f = lambda x: jnp.sin(x) * 2  # noqa: E731
    J, wanted = jaxcalc.jacobian(f), jax.jacfwd(f)(x)
    for _ in range(2):
        found = J(x)
        assert found.dtype == wanted.dtype
        assert found.weak_type == wanted.weak_type
        np.testing.assert_allclose(np.float32(found), np.float32(wanted), rtol=1e-2)
