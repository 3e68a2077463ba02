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


def known(f, i):
    return lambda x: f(x, i)


def traced(f, i):
    return lambda x: f(x, jnp.asarray(i) + jnp.int64(0 * x[0]))


@pytest.mark.parametrize("name", thinned(CASES))
def test_formats_agree_in_each_direction(name, x64):
    f = CASES[name]

    @jax.jit
    def program(x):
        found = {}
        for mode, transform in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
            found[mode] = {"by JAX": transform(known(f, OUTSIDE))(x)}
            for places in (known, traced):
                J = jaxcalc.jacobian(places(f, OUTSIDE), mode=mode, format="structured")(x)
                found[mode][f"structured, {places.__name__}"] = J.todense()
            found[mode]["dense"] = jaxcalc.jacobian(known(f, OUTSIDE), mode=mode)(x)
        return found

    for mode, found in program(X).items():
        expected = found.pop("by JAX")
        for way, value in found.items():
            np.testing.assert_allclose(value, expected, rtol=1e-14, err_msg=f"{mode}, {way}")


@pytest.mark.eager
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_formats_agree_step_by_step(mode, x64):
    f = CASES["as written"]
    transform = {"forward": jax.jacfwd, "reverse": jax.jacrev}[mode]
    expected = jax.jit(transform(known(f, OUTSIDE)))(X)
    for places in (known, traced):
        J = jaxcalc.jacobian(places(f, OUTSIDE), mode=mode, format="structured")(X)
        np.testing.assert_allclose(J.todense(), expected, rtol=1e-14)
    found = jaxcalc.jacobian(known(f, OUTSIDE), mode=mode)(X)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_clamped_read_forward_and_in_reverse(x64):
    f = lambda x: x[OUTSIDE]  # noqa: E731
    forward = jaxcalc.jacobian(f, mode="forward", format="structured")(X).todense()
    reverse = jaxcalc.jacobian(f, mode="reverse", format="structured")(X).todense()
    np.testing.assert_array_equal(forward, np.eye(3)[[0, 2, 2, 0, 2]])
    np.testing.assert_array_equal(reverse, [[1, 0, 0], [0] * 3, [0, 0, 1], [0] * 3, [0] * 3])


LONG = np.linspace(0.5, 2.5, 12)  # more inputs than outputs: reverse mode is the cheaper one
FEW = np.array([0, 17, -1, -19])


POINTS = {"short": (X, OUTSIDE), "long": (LONG, FEW)}
TAKEN = {"rows": (lambda J: J[1:2]), "diagonal": np.diagonal}


def by_jax(f, x, i):
    g = known(f, i)
    return jax.jacfwd(g)(x), jax.jacfwd(jax.jacfwd(total(g)))(x)


def total(g):
    return lambda x: jnp.sum(jnp.sin(g(x)))


def jacobians(f, x, i):
    """By mode auto, of f where the places are known."""
    g = known(f, i)
    return {
        "dense": jaxcalc.jacobian(g)(x),
        "structured": jaxcalc.jacobian(g, format="structured")(x).todense(),
        "with the value": jaxcalc.value_and_jacobian(g)(x)[1],
        "rows": jaxcalc.jacobian(g, rows=[1])(x),
        "diagonal": jaxcalc.jacobian(g, diagonal=True)(x),
    }


def hessians(f, x, i):
    loss = total(known(f, i))
    return {
        "dense": jaxcalc.hessian(loss)(x),
        "structured": jaxcalc.hessian(loss, format="structured")(x).todense(),
    }


def require_same(expected, found, curved, second):
    for way, value in found.items():
        wanted = TAKEN[way](expected) if way in TAKEN else expected
        np.testing.assert_allclose(value, wanted, rtol=1e-13, atol=1e-13, err_msg=way)
    for way, value in second.items():
        np.testing.assert_allclose(value, curved, rtol=1e-13, atol=1e-13, err_msg=f"hessian, {way}")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", thinned(CASES, 4))
def test_auto_says_what_the_values_say(name, point, x64):
    """For calls on a value, as outside of a trace, and on a traced argument."""
    f, (given, i) = CASES[name], POINTS[point]

    @jax.jit
    def program(x, places):
        found = jacobians(f, x, i) | {"traced places": jaxcalc.jacobian(f)(x, places)}
        found["dense, of a value"] = jaxcalc.jacobian(known(f, i))(given)
        second = hessians(f, x, i)
        second["dense, of a value"] = jaxcalc.hessian(total(known(f, i)))(given)
        return *by_jax(f, x, i), found, second

    expected, curved, found, second = program(given, i)
    require_same(expected, found, curved, second)


@pytest.mark.eager
def test_auto_says_what_the_values_say_step_by_step(x64):
    f, (x, i) = CASES["as written"], POINTS["long"]
    expected, curved = jax.jit(lambda x: by_jax(f, x, i))(x)
    require_same(expected, jacobians(f, x, i), curved, hessians(f, x, i))


def test_gradients_are_those_of_jax(x64):
    loss = lambda x: jnp.sum(x[FEW] ** 2)  # noqa: E731
    np.testing.assert_array_equal(jaxcalc.gradient(loss)(LONG), jax.grad(loss)(LONG))


def test_inside_loops_and_calls(x64):
    def f(x):
        def step(carry, i):
            return carry + jax.jit(lambda x, i: x[i])(x, i) ** 2, carry

        total, _ = jax.lax.scan(step, 0.0, jnp.asarray(FEW))
        return jnp.stack([total, jax.nn.relu(x[FEW[1]])])

    @jax.jit
    def program(x):
        J = jaxcalc.jacobian(f, format="structured")(x)
        return jax.jacfwd(f)(x), jaxcalc.jacobian(f)(x), J.todense()

    expected, *found = program(LONG)
    for value in (*found, jaxcalc.jacobian(f)(LONG)):
        np.testing.assert_allclose(value, expected, rtol=1e-13)


def test_the_diagonal_by_products_says_what_the_values_say(x64, rng):
    """In reverse alone: a complex input, and real outputs each of which depends on all of it."""
    matrix, z = rng.normal(size=(5, 3)), X + 1j

    def f(mode):
        return lambda z: jnp.abs(jnp.fft.fft(z.at[OUTSIDE].get(mode=mode)) @ matrix) ** 2

    found = jax.jit(jaxcalc.jacobian(f("promise_in_bounds"), diagonal=True))(z)
    expected = jax.jit(lambda z: jnp.diagonal(jax.jacrev(f("clip"))(z)))(z)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
