"""A dense derivative runs f once a call, so that one which keeps a count gives what JAX gives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc

X = jnp.arange(1.0, 6.0)


class Counter:
    n = 0


def by_list():
    runs = []

    def f(x):
        runs.append(1)
        return x * len(runs)

    return f, lambda: len(runs)


def by_attribute():
    counter = Counter()

    def f(x):
        counter.n += 1
        return x * counter.n

    return f, lambda: counter.n


def by_closure():
    n = 0

    def f(x):
        nonlocal n
        n += 1
        return x * n

    return f, lambda: n


def value(f):
    return lambda x: jnp.sum(f(x) * x) / 2


TRANSFORMS = {
    "jacobian": jaxcalc.jacobian,
    "forward": partial(jaxcalc.jacobian, mode="forward"),
    "reverse": partial(jaxcalc.jacobian, mode="reverse"),
    "rows": partial(jaxcalc.jacobian, rows=[0]),
    "diagonal": partial(jaxcalc.jacobian, diagonal=True),
    "value_and_jacobian": lambda f: lambda x: jaxcalc.value_and_jacobian(f)(x)[1],
    "aux": lambda f: lambda x: jaxcalc.jacobian(lambda x: (f(x), "text"), has_aux=True)(x)[0],
    "hessian": lambda f: jaxcalc.hessian(value(f)),
    "gradient": lambda f: jaxcalc.gradient(lambda x: jnp.sum(f(x))),
    "value_and_gradient": lambda f: lambda x: jaxcalc.value_and_gradient(lambda x: jnp.sum(f(x)))(x)[1],
}


@pytest.mark.parametrize("count", [by_list, by_attribute, by_closure])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_three_calls_are_three_runs(name, count):
    f, runs = count()
    derivative = TRANSFORMS[name](f)
    found = [float(np.ravel(derivative(X))[0]) for _ in range(3)]
    assert found == [1, 2, 3]
    assert runs() == 3


def test_what_is_no_tracer_comes_back_as_it_is():
    note, state = {"text"}, Counter()

    def f(x, factor):
        state.n += 1
        return {"y": factor * x, "constant": np.ones(2)}, (note, factor, x)

    derivative, (same, factor, x) = jaxcalc.jacobian(f, has_aux=True)(X, 2.0)
    assert same is note
    assert factor == 2.0
    assert type(factor) is float
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(derivative["y"], 2 * np.eye(5))
    assert not derivative["constant"].any()
    assert state.n == 1


def test_other_arguments_keep_their_values():
    state = Counter()

    def f(x, t):
        state.n += 1
        return x**2 if t > 0 else -x  # a branch on a value, which is no input of the derivative

    J = jaxcalc.jacobian(f)
    np.testing.assert_array_equal(J(X, 1.0), np.diag(2 * X))
    np.testing.assert_array_equal(J(X, -1.0), -np.eye(5))
    assert state.n == 2


def test_a_rule_that_reads_a_value_of_f():
    state = Counter()

    def f(x):
        state.n += 1
        inner = jnp.sin(jax.lax.stop_gradient(x))

        @jax.custom_jvp
        def scaled(y):
            return inner * y

        scaled.defjvp(lambda p, t: (scaled(*p), inner * t[0]))
        return scaled(x)

    np.testing.assert_allclose(jaxcalc.jacobian(f)(X), jax.jacfwd(f)(X), rtol=1e-6)


def test_an_error_of_f_is_raised_as_it_is():
    state = Counter()

    def f(x):
        state.n += 1
        raise ZeroDivisionError("of its own")

    with pytest.raises(ZeroDivisionError, match="of its own"):
        jaxcalc.jacobian(f)(X)
