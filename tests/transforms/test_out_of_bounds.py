"""Places out of bounds: each format says what JAX says in the same direction.

`x[i]` promises that i is in bounds. Its value is clamped, and so is its forward derivative; the reverse
one adds to places, and leaves those out that are not there.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from tests.thinned import thinned

X = np.array([0.5, 1.5, 2.5])
OUTSIDE = np.array([0, 7, -1, -9, 3])


def read(mode):
    return lambda x, i: x.at[i].get(mode=mode, fill_value=0.0) ** 2


CASES = {
    "as written": lambda x, i: x[i] ** 2,
    **{mode: read(mode) for mode in ("promise_in_bounds", "clip", "fill")},
    "take": lambda x, i: jnp.take(x, i, fill_value=0.0) ** 2,
    "take, clipped": lambda x, i: jnp.take(x, i, mode="clip") ** 2,
    "along an axis": lambda x, i: jnp.take_along_axis(x, i, 0, mode="clip") ** 2,
    "slices": lambda x, i: jax.lax.dynamic_slice(x, (i[1],), (2,)) ** 2,
    "written": lambda x, i: x.at[i].set(x[:1] ** 2),
    "added": lambda x, i: x.at[i].add(x[:1] ** 2),
    "written, promised": lambda x, i: x.at[i].add(x[:1] ** 2, mode="promise_in_bounds"),
}


@pytest.mark.parametrize("name", thinned(CASES))
def test_formats_agree_in_each_direction(name, x64):
    f = CASES[name]
    known = lambda x: f(x, OUTSIDE)  # noqa: E731
    traced = lambda x: f(x, jnp.asarray(OUTSIDE) + jnp.int64(0 * x[0]))  # noqa: E731
    for mode, transform in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
        expected = transform(known)(X)
        for g in (known, traced):
            found = jaxcalc.jacobian(g, mode=mode, format="structured")(X)
            np.testing.assert_allclose(found.todense(), expected, rtol=1e-14, err_msg=mode)
        np.testing.assert_allclose(jaxcalc.jacobian(known, mode=mode)(X), expected, rtol=1e-14)


def test_a_clamped_read_forward_and_in_reverse(x64):
    f = lambda x: x[OUTSIDE]  # noqa: E731
    forward = jaxcalc.jacobian(f, mode="forward", format="structured")(X).todense()
    reverse = jaxcalc.jacobian(f, mode="reverse", format="structured")(X).todense()
    np.testing.assert_array_equal(forward, np.eye(3)[[0, 2, 2, 0, 2]])
    np.testing.assert_array_equal(reverse, [[1, 0, 0], [0] * 3, [0, 0, 1], [0] * 3, [0] * 3])


LONG = np.linspace(0.5, 2.5, 12)  # more inputs than outputs: reverse mode is the cheaper one
FEW = np.array([0, 17, -1, -19])


@pytest.mark.parametrize("name", thinned(CASES))
def test_auto_says_what_the_values_say(name, x64):
    f = CASES[name]
    for x, i in ((X, OUTSIDE), (LONG, FEW)):
        places = jnp.asarray(i)
        known = lambda x: f(x, i)  # noqa: E731
        loss = lambda x: jnp.sum(jnp.sin(f(x, i)))  # noqa: E731
        expected = jax.jacfwd(known)(x)
        curved = jax.jacfwd(jax.jacfwd(loss))(x)
        found = {
            "direct": jaxcalc.jacobian(known)(x),
            "jit": jax.jit(jaxcalc.jacobian(known))(x),
            "traced places": jax.jit(jaxcalc.jacobian(f))(x, places),
            "structured": jaxcalc.jacobian(known, format="structured")(x).todense(),
            "with the value": jaxcalc.value_and_jacobian(known)(x)[1],
        }
        for way, value in found.items():
            np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-13, err_msg=way)
        np.testing.assert_allclose(jaxcalc.jacobian(known, rows=[1])(x), expected[1:2], atol=1e-13)
        np.testing.assert_allclose(
            jaxcalc.jacobian(known, diagonal=True)(x), np.diagonal(expected), atol=1e-13
        )
        found = {
            "dense": jaxcalc.hessian(loss)(x),
            "jit": jax.jit(jaxcalc.hessian(loss))(x),
            "structured": jaxcalc.hessian(loss, format="structured")(x).todense(),
        }
        for way, value in found.items():
            np.testing.assert_allclose(value, curved, rtol=1e-13, atol=1e-13, err_msg=way)


def test_gradients_are_those_of_jax(x64):
    loss = lambda x: jnp.sum(x[FEW] ** 2)  # noqa: E731
    np.testing.assert_array_equal(jaxcalc.gradient(loss)(LONG), jax.grad(loss)(LONG))


def test_inside_loops_and_calls(x64):
    def f(x):
        def step(carry, i):
            return carry + jax.jit(lambda x, i: x[i])(x, i) ** 2, carry

        total, _ = jax.lax.scan(step, 0.0, jnp.asarray(FEW))
        return jnp.stack([total, jax.nn.relu(x[FEW[1]])])

    expected = jax.jacfwd(f)(LONG)
    np.testing.assert_allclose(jaxcalc.jacobian(f)(LONG), expected, rtol=1e-13)
    found = jaxcalc.jacobian(f, format="structured")(LONG).todense()
    np.testing.assert_allclose(found, expected, rtol=1e-13)
