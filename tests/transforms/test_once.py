"""A dense derivative runs f once a call, so that one which keeps a count gives what JAX gives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.engine.jaxprs.derivative_rules import stand_alone
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


@jax.custom_jvp
def squared(x):
    return x * x


squared.defjvp(lambda xs, ts: (squared(xs[0]), 2 * xs[0] * ts[0]))


@jax.custom_vjp
def clipped(x):
    return jnp.sin(x)


clipped.defvjp(lambda x: (clipped(x), x), lambda x, d: (jnp.clip(d, -1, 1) * squared(jnp.cos(x)),))


@pytest.mark.parametrize("rule", [squared, clipped], ids=["jvp", "vjp"])
@pytest.mark.parametrize("name", FIRST_CALLS)
def test_a_first_call_runs_a_function_with_rules_of_its_own_once(name, rule):
    def with_rule(x):
        return rule(x[1:]) * x[:-1] + rule(x[:-1])

    assert runs_of(with_rule, lambda: FIRST_CALLS[name](with_rule)) == 1


fixed = jax.lax.stop_gradient


def reading(scale):
    """A rule that reads a value of its maker's."""

    @jax.custom_jvp
    def inner(x):
        return x * scale

    inner.defjvp(lambda xs, ts: (inner(xs[0]), scale * ts[0]))
    return inner


@jax.custom_vjp
def through(x):
    return x * x


through.defvjp(lambda x: (through(x), x), lambda x, d: (reading(2.0)(x) * d,))

ALONE = {
    "reads nothing": (lambda x: squared(x) + clipped(x), True),
    "reads a number": (reading(3.0), True),
    "reads an array": (reading(jnp.arange(5.0)), True),
    "reads an array that f makes": (lambda x: reading(jnp.arange(5.0) + 1)(2 * x), False),
    "reads what f computes": (lambda x: reading(jnp.sum(fixed(x)))(jnp.sin(x)), False),
    "one within another": (through, True),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_program_is_used_where_its_rules_stand_alone(name):
    f, alone = ALONE[name]
    assert stand_alone(jax.make_jaxpr(f)(X).jaxpr) == alone
    for derivative in (jaxcalc.jacobian(f), jax.jit(jaxcalc.jacobian(f))):
        np.testing.assert_allclose(derivative(X), jax.jacrev(f)(X), rtol=1e-6)


IN_PROGRAMS = {
    "branch": lambda x: jax.lax.cond(x[0] > 0, reading(fixed(x[1])), jnp.sin, x),
    "loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, y: reading(fixed(x[0]))(y), x),
    "nested jit": jax.jit(lambda y: reading(fixed(y[0]))(y)),
    "input": lambda x: reading(x[0])(x),
}


@pytest.mark.parametrize("name", IN_PROGRAMS)
def test_rules_that_jax_refuses_do_not_stand_alone(name):
    assert not stand_alone(jax.make_jaxpr(IN_PROGRAMS[name])(X).jaxpr)
    with pytest.raises(TypeError):  # as in `jax.jacrev`
        jax.jit(jaxcalc.jacobian(IN_PROGRAMS[name]))(X)


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
