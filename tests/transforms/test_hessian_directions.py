"""Hessians of custom_vjp functions: their gradient has the rules in their place, and goes forward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from tests.in_numpy import dense, in_numpy
from tests.thinned import thinned

X = jnp.array([1.2, 0.5, -0.7])
WRAPS = {"direct": lambda f: f, "jit": jax.jit}


def loop(v):
    return lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * 2, c[1] + 1), (v, 0))[0] / 8


@jax.custom_jvp
def called_out(v):
    return jax.pure_callback(np.asarray, v, v, vmap_method="expand_dims")


called_out.defjvp(lambda vs, ts: (called_out(*vs), ts[0]))


def cube_by(forward, backward):
    cube = jax.custom_vjp(lambda x: x**3)
    cube.defvjp(lambda x: (forward(x**3), x), lambda x, g: (backward(3 * x**2 * g),))
    return cube


def same(v):
    return v


def calling_itself():
    cube = jax.custom_vjp(lambda x: x**3)
    slope = cube_by(same, same)  # x**3 again, of which the rule below makes x**2
    cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * slope(x) / x * g,))
    return cube


CUBES = {
    "plain": cube_by(same, same),
    "a loop forward": cube_by(loop, same),
    "a loop back": cube_by(same, loop),
    "a loop in both": cube_by(loop, loop),
    "a callback forward": cube_by(called_out, same),
    "a solve back": cube_by(same, lambda g: jax.scipy.sparse.linalg.cg(lambda v: 2 * v, 2 * g)[0]),
    "a rule that calls another": calling_itself(),
}


def curve(x):
    """Second derivatives of the sum of sin(x**3) x."""
    return np.diag(12 * x**2 * np.cos(x**3) - 9 * x**5 * np.sin(x**3))


@pytest.mark.parametrize("name", thinned(CUBES))
def test_the_hessian(name):
    f = lambda x: jnp.sum(jnp.sin(CUBES[name](x)) * x)  # noqa: E731
    close = lambda found: np.testing.assert_allclose(found, curve(X), rtol=1e-4, atol=1e-5)  # noqa: E731
    if name != "a rule that calls another":  # that one JAX has no forward mode of
        close(in_numpy(jax.hessian(f))(X))
    each = [jaxcalc.hessian(f, format=kind) for kind in ("dense", "structured", "bcoo")]
    for found in (*jax.jit(lambda x: [h(x) for h in each])(X), *(h(X) for h in each)):
        close(dense(found))
    value, slope, H = jaxcalc.value_gradient_and_hessian(f)(X)
    np.testing.assert_allclose(value, np.sum(np.sin(X**3) * X), rtol=1e-5)
    np.testing.assert_allclose(slope, np.sin(X**3) + 3 * X**3 * np.cos(X**3), rtol=1e-5)
    close(H)
    H, aux = jaxcalc.hessian(lambda x: (f(x), "aux"), has_aux=True)(X)
    close(H)
    assert aux == "aux"


@pytest.mark.parametrize("name", ["plain", "a loop forward", "a loop back"])
def test_twice_forward(name):
    f = lambda x: jnp.sum(jnp.sin(CUBES[name](x)) * x)  # noqa: E731
    H = jaxcalc.hessian(f, mode="forward")(X)
    np.testing.assert_allclose(H, curve(X), rtol=1e-4, atol=1e-5)


def test_what_is_explained_is_what_is_done():
    for name in ("plain", "a loop forward"):
        f = lambda x: jnp.sum(jnp.sin(CUBES[name](x)) * x)  # noqa: E731
        assert (
            jaxcalc.explain(f, X, order=2, format="dense").chosen.name == "dense, forward over reverse"
        )
    f = lambda x: jnp.sum(jnp.sin(CUBES["a rule that calls another"](x)) * x)  # noqa: E731
    assert jaxcalc.explain(f, X, order=2, format="dense").chosen.name == "dense, reverse over reverse"


def test_the_gradient_of_a_rule_that_calls_another_and_loops():
    inner = calling_itself()
    outer = jax.custom_vjp(lambda x: x**3)
    outer.defvjp(lambda x: (loop(x**3), x), lambda x, g: (loop(3 * inner(x) / x * g),))
    f = lambda x: jnp.sum(jnp.sin(outer(x)) * x)  # noqa: E731
    for kind in ("dense", "structured"):
        H = jaxcalc.hessian(f, format=kind)(X)
        H = H if kind == "dense" else H.todense()
        np.testing.assert_allclose(H, curve(X), rtol=1e-4, atol=1e-5)
