"""A dense derivative runs f once a call, so that one which keeps a count gives what JAX gives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from tests.runs import runs_of

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


def stencil(x):
    return jax.nn.relu(x[1:] * x[:-1])  # whose rule is JAX's own, and reads nothing else


FIRST_CALLS = {
    "structured": lambda f: jaxcalc.jacobian(f, format="structured")(X),
    "bcoo": lambda f: jaxcalc.jacobian(f, format="bcoo", mode="reverse")(X),
    "rows, structured": lambda f: jaxcalc.jacobian(f, format="structured", rows=[0])(X),
    "has_aux": lambda f: jaxcalc.jacobian(lambda x: (f(x), x), format="structured", has_aux=True)(X),
    "Hessian, structured": lambda f: jaxcalc.hessian(lambda x: jnp.sum(f(x)), format="structured")(X),
    "in jit": lambda f: jax.jit(jaxcalc.jacobian(f))(X),
    "Hessian in jit": lambda f: jax.jit(jaxcalc.hessian(lambda x: jnp.sum(f(x) ** 2)))(X),
    "under vmap": lambda f: jax.vmap(jaxcalc.jacobian(f, format="structured"))(jnp.ones((2, 5))),
    "under grad": lambda f: jax.grad(lambda x: jnp.sum(jaxcalc.jacobian(f)(x)))(X),
    "sparsity": lambda f: jaxcalc.sparsity(f, X),
    "explain": lambda f: jaxcalc.explain(f, X),
    "explain, dense": lambda f: jaxcalc.explain(f, X, format="dense"),
}


@pytest.mark.parametrize("name", FIRST_CALLS)
def test_a_first_call_runs_f_once(name):
    fresh = lambda x: stencil(x)  # noqa: E731, PLW0108 (nothing is kept of it)
    assert runs_of(fresh, lambda: FIRST_CALLS[name](fresh)) == 1


@pytest.mark.parametrize("transform", [jaxcalc.jacobian, jaxcalc.hessian])
def test_it_may_read_what_surrounds_it(transform):
    """Values of an outer trace, and the axis of an outer vmap, are read at each of its calls."""

    def outer(of):
        def whole(w, x):
            f = lambda x: jnp.sin(w * x) * jax.lax.psum(x[0], "i")  # noqa: E731
            return jnp.sum(of(f if transform is jaxcalc.jacobian else lambda x: jnp.sum(f(x)))(x))

        batched = jax.vmap(jax.grad(whole), (None, 0), axis_name="i")
        return jax.jit(batched)(2.0, jnp.arange(1.0, 7.0).reshape(2, 3))

    reference = jax.jacfwd if transform is jaxcalc.jacobian else jax.hessian
    np.testing.assert_allclose(outer(transform), outer(reference), rtol=1e-5)


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
    np.testing.assert_allclose(jax.jit(jaxcalc.jacobian(f))(X), jax.jacfwd(f)(X), rtol=1e-6)


@pytest.mark.parametrize(
    "surround", [lambda d: d, jax.jit, lambda d: lambda x: jax.vmap(d)(x[None])[0]]
)
def test_a_backward_rule_that_reads_a_value_of_f(surround):
    def f(x):
        scale = jnp.sum(jax.lax.stop_gradient(x))

        @jax.custom_vjp
        def scaled(y):
            return y * y

        scaled.defvjp(lambda y: (y * y, y), lambda y, d: (scale * y * d,))
        return scaled(jnp.sin(x))

    for derivative, reference in (
        (jaxcalc.jacobian(f), jax.jacrev(f)),
        (gradient_of(f), jax.grad(value(f))),
    ):
        np.testing.assert_allclose(surround(derivative)(X), reference(X), rtol=1e-5)


def gradient_of(f):
    return jaxcalc.gradient(value(f))


def test_an_error_of_f_is_raised_as_it_is():
    state = Counter()

    def f(x):
        state.n += 1
        raise ZeroDivisionError("of its own")

    with pytest.raises(ZeroDivisionError, match="of its own"):
        jaxcalc.jacobian(f)(X)
