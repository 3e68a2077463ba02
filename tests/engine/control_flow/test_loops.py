"""Loops and branches keep the structure of what they repeat: against dense JAX, entry by entry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from tests.dense_reference import (
    Case,
    assert_same,
    check,
    check_hessian,
    check_together,
    normal,
)
from tests.in_numpy import in_numpy

W, U, ROWS = (np.random.default_rng(i).normal(size=s) for i, s in enumerate([(4, 4), (3, 4), (5, 3)]))


def ring(x):
    """A periodic tridiagonal step."""
    return x + 0.1 * (jnp.roll(x, 1) - 2 * x + jnp.roll(x, -1)) * x


def coupled(y):
    """Lorenz' system of 1996, a state along the last axis."""
    return (jnp.roll(y, -1, -1) - jnp.roll(y, 2, -1)) * jnp.roll(y, 1, -1) - y + 8


def runge_kutta(y, h=0.01):
    a = coupled(y)
    b = coupled(y + h / 2 * a)
    c = coupled(y + h / 2 * b)
    return y + h / 6 * (a + 2 * b + 2 * c + coupled(y + h * c))


def recurrent(x, length=None):
    """A recurrent network over `[time, sample, feature]`: all hidden states."""

    def step(h, features):
        h = jnp.tanh(h @ W + features @ U)
        return h, h

    return lax.scan(step, jnp.zeros((x.shape[1], 4)), x, length=length)[1]


def per_sample(x):
    return lax.scan(lambda y, _: (runge_kutta(y), None), x, None, length=25)[0]


def beside_a_dense_part(x):
    """Followed, but run as a loop: most of what it carries is full at every step, its result is not."""

    def step(_, carry):
        dense, shifted = carry
        return jnp.sin(dense), 1.1 * jnp.roll(shifted, 1)

    dense = jnp.tile(jnp.asarray(ROWS[:, :1]) * jnp.sum(x**2), (5, 1))
    return lax.fori_loop(0, 40, step, (dense, jnp.sin(x)))[1] + 0.0


def until_large(step):
    def f(x):
        return lax.while_loop(lambda y: jnp.sum(y**2) < 1e3, step, x)

    return f


def counted(x):
    return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, ring(c[1])), (0, x))[1]


CASES = {
    "three tridiagonal steps": Case(lambda x: lax.fori_loop(0, 3, lambda _, y: ring(y), x), (20,), 140),
    "three steps that a counter counts": Case(counted, (20,), 140, ("forward",)),
    "steps that values count": Case(until_large(lambda y: 1.5 * y), (20,), 20, ("forward",)),
    "steps that values count, coupled": Case(until_large(ring), (8,), 64, ("forward",)),
    "a band too long to follow": Case(
        lambda x: lax.fori_loop(0, 300, lambda _, y: 0.99 * y + 0.01 * jnp.roll(y, 1), x), (6,), 36
    ),
    "an ODE for each sample": Case(per_sample, (3, 6), 108),
    "an ODE for each sample, few steps": Case(
        lambda x: lax.fori_loop(0, 3, lambda _, y: runge_kutta(y), x), (3, 6), 108
    ),
    "a loop under vmap": Case(
        jax.vmap(until_large(lambda y: 1.5 * y + jnp.roll(y, 1))), (3, 4), 48, ("forward",)
    ),
    "a recurrent network, its last state": Case(lambda x: recurrent(x)[-1], (30, 2, 3), 720),
    "a recurrent network, all states": Case(recurrent, (6, 2, 3)),
    "a recurrent network, all of many states": Case(recurrent, (24, 2, 3)),
    "a shift beside what is dense": Case(beside_a_dense_part, (6,), 6),
    "a map": Case(lambda x: lax.map(lambda r: jnp.sin(r) * r.sum(), x), (5, 3), 45),
    "a map by what all steps share": Case(
        lambda w: lax.map(lambda r: jnp.tanh(w @ r), jnp.asarray(ROWS)), (3, 3), 45
    ),
    "a map with a counter": Case(
        lambda x: lax.scan(lambda i, r: (i + 1, r * x[i]), 0, x)[1], (5, 2), 10
    ),
    "a shift": Case(lambda x: lax.fori_loop(0, 3, lambda _, y: jnp.roll(y, 1) * y, x), (12,), 48),
    "a loop in a loop": Case(
        lambda x: lax.fori_loop(
            0, 30, lambda _, y: lax.fori_loop(0, 2, lambda _, z: z + 0.01 * jnp.sin(z), y), x
        ),
        (4, 3),
        12,
    ),
    "backwards": Case(lambda x: lax.scan(lambda c, r: (c * r, c), x[0], x, reverse=True)[1], (5, 3)),
    "no steps": Case(lambda x: lax.scan(lambda c, _: (c * x, c), x, None, length=0)[0], (4,), 4),
    "one of two": Case(
        lambda x: lax.cond(x[0] > 0, lambda y: jnp.roll(y, 1) * y, lambda y: y * y, x), (6,), 12
    ),
    "one of two, neither": Case(
        lambda x: lax.cond(x[0] > 9, jnp.ones_like, lambda y: 0.0 * y + 3.0, x) * x, (6,), 6
    ),
    "one of three": Case(
        lambda x: lax.switch(
            jnp.argmax(x), [lambda y: jnp.roll(y, 1) * y, lambda y: y * y, jnp.sin], x
        ),
        (6,),
        12,
    ),
    "an associative scan": Case(lambda x: lax.associative_scan(jnp.multiply, x), (5,), 15),
}


# each kind of a loop or a branch, with programs that stay short
SHORT = (
    "three steps that a counter counts",
    "steps that values count",
    "a band too long to follow",
    "a loop under vmap",
    "a recurrent network, all states",
    "a shift beside what is dense",
    "a map",
    "a map by what all steps share",
    "a map with a counter",
    "a shift",
    "a loop in a loop",
    "backwards",
    "no steps",
    "one of two",
    "one of two, neither",
    "one of three",
)


def test_they_are_exact_with_these_entries(x64):
    check_together({name: CASES[name] for name in SHORT})


@pytest.mark.parametrize("name", [name for name in CASES if name not in SHORT])
def test_it_is_exact_with_these_entries(name, x64):
    """In numpy: steps that are written out are long programs, which take seconds to compile."""
    check(CASES[name], run=in_numpy)


@pytest.mark.eager
@pytest.mark.parametrize("name", ["a shift", "steps that values count", "one of two"])
def test_step_by_step(name, x64):
    case = CASES[name]
    x = normal(*case.shape)
    found = jaxcalc.jacobian(case.f, format="structured", mode="forward", strict=True)(x)
    assert_same(found, in_numpy(jax.jacfwd(case.f))(x), case.entries, name)


@pytest.mark.parametrize("name", ["three tridiagonal steps", "an ODE for each sample", "a map"])
def test_hessians(name, x64):
    f = CASES[name].f
    x = normal(*CASES[name].shape)
    check_hessian(lambda x: jnp.sum(f(x) ** 2), x, run=in_numpy)


def test_dtypes():
    f = CASES["three tridiagonal steps"].f
    xs = {dtype: normal(12, dtype=dtype) for dtype in ("float32", "bfloat16", "complex64")}

    def both(dtype, x):
        options = {"holomorphic": True} if dtype == "complex64" else {}
        structured = jaxcalc.jacobian(f, format="structured", mode="forward", **options)
        return jax.jit(jax.jacfwd(f, **options))(x), structured(x)

    results = jax.jit(lambda xs: {dtype: both(dtype, x) for dtype, x in xs.items()})(xs)
    for dtype, (dense, found) in results.items():
        assert dense.dtype == dtype
        assert_same(found, np.asarray(dense), 84, dtype)


def test_under_jit_vmap_and_grad(x64):
    def norm(x):
        return jnp.sum(jaxcalc.jacobian(per_sample, format="structured")(x).values ** 2)

    def reference(x):
        return jnp.sum(jax.jit(jax.jacfwd(per_sample))(x) ** 2)

    def transformed(f):
        return in_numpy(lambda x: (f(x[0]), jax.vmap(f)(x), jax.grad(f)(x[0])))

    x = normal(2, 3, 6)
    value, values, slope = transformed(norm)(x)
    one, several, gradient = transformed(reference)(x)
    np.testing.assert_allclose(jax.jit(norm)(x[0]), one, rtol=1e-12)
    np.testing.assert_allclose(value, one, rtol=1e-12)
    np.testing.assert_allclose(values, several, rtol=1e-12)
    np.testing.assert_allclose(slope, gradient, rtol=1e-10)


def test_a_long_loop_stays_a_loop(x64):
    text = str(
        jax.make_jaxpr(lambda x: jaxcalc.jacobian(per_sample, format="structured")(x).values)(
            normal(3, 6)
        )
    )
    assert text.count("scan[") == 1, "values and coefficients together"


def test_the_random_keys_of_a_loop_are_left_alone(x64):
    def f(x):
        def step(carry, _):
            y, key = carry
            key, now = jax.random.split(key)
            return (y * (1 + 0.1 * jax.random.normal(now, ())), key), None

        return lax.scan(step, (x, jax.random.key(0)), None, length=300)[0][0]

    check(Case(f, (5,), 5))


def test_a_rule_that_is_not_linear_is_what_jacrev_says(x64):
    """A gradient that is clipped by its norm: one pass for each basis vector, and told so."""

    @jax.custom_vjp
    def clipped(x):
        return x * 1.0

    def backward(_, cotangent):
        return (cotangent / jnp.maximum(0.5, jnp.linalg.norm(cotangent)),)

    clipped.defvjp(lambda x: (x * 1.0, None), backward)

    def f(x):
        return lax.fori_loop(0, 30, lambda _, y: clipped(y) + 0.01 * jnp.roll(y, 1), x)

    x = normal(6)
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacrev(f))(x), rtol=1e-12)
    assert found.nnz == 36


AFTER_A_LOOP = {
    "writing": lambda x: x.at[np.array([2])].set(0.5),
    "select": lambda x: jnp.select([x > 1, x > 0], [x**2, jnp.sin(x)], x),
    "cholesky": lambda x: jnp.linalg.cholesky(jnp.outer(x, x) + 9 * jnp.eye(3)),
}


@pytest.mark.parametrize("name", AFTER_A_LOOP)
def test_hessians_of_open_loops(name, x64):
    """Forward over forward: reverse mode does not go through a loop of unknown length."""

    def loss(x):
        y = lax.while_loop(lambda c: c[0] < 1, lambda c: (c[0] + 1, jnp.cos(c[1])), (0, x))[1]
        return jnp.sum(AFTER_A_LOOP[name](y) ** 2)

    @in_numpy
    def both(x):
        return jaxcalc.hessian(loss, format="structured")(x).todense(), jax.jacfwd(jax.jacfwd(loss))(x)

    found, expected = both(normal(3))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


def read(x):
    return lax.dynamic_slice(x, (jnp.int32(jnp.round(10 * x[0])),), (2,)) ** 2


def write(x):
    return lax.dynamic_update_slice(x, x[:2] ** 2, (jnp.int32(jnp.round(10 * x[0])),))


@jax.jit
def by_traced_places(x):
    """What JAX gives, and both directions, of a read and of a write."""
    return {
        f.__name__: [jax.jit(jax.jacfwd(f))(x)]
        + [
            jaxcalc.jacobian(f, format="structured", mode=mode)(x).todense()
            for mode in ("forward", "reverse")
        ]
        for f in (read, write)
    }


@pytest.mark.parametrize("start", [-9, -6, -1, 0, 2, 7])
def test_traced_places_far_outside(start, x64):
    x = np.array([start / 10.0, 2.0, 3.0, 4.0])
    for name, (expected, *found) in by_traced_places(x).items():
        for mode, each in zip(("forward", "reverse"), found, strict=True):
            np.testing.assert_allclose(each, expected, rtol=1e-12, err_msg=f"{name}, {mode}")
