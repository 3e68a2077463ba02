"""The Hessian in every mode, with value and gradient: closed forms, JAX, evaluations, errors."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import dtypes, lax

import jaxcalc
from tests.in_numpy import in_numpy
from tests.thinned import thinned_product

MODES = ("auto", "forward", "reverse")


def surface(v):
    return 4 * v[0] ** 4 * v[1] ** 3


def exact(x, z):
    return np.array([[48 * x**2 * z**3, 48 * x**3 * z**2], [48 * x**3 * z**2, 24 * x**4 * z]])


class Variants(chex.TestCase):
    """The same Hessian with and without `jit`, on the device and off it."""

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_closed_form(self):
        v = np.array([1.5, 2.0], np.float32)
        for mode in MODES:
            whole = self.variant(jaxcalc.value_gradient_and_hessian(surface, mode=mode))
            value, gradient, hessian = whole(v)
            np.testing.assert_allclose(value, surface(v), rtol=1e-6)
            np.testing.assert_allclose(gradient, [16 * 1.5**3 * 8, 12 * 1.5**4 * 4], rtol=1e-6)
            np.testing.assert_allclose(hessian, exact(1.5, 2.0), rtol=1e-6)


def loss(p, x):
    return jnp.sum(jnp.tanh(x @ p["w"] + p["b"]) ** 2) + jnp.sum(p["w"] ** 3)


def transformed(hessian):
    return lambda p, x: {
        "plain": hessian(p, x),
        "batched": jax.vmap(hessian, in_axes=(None, 0))(p, x[:, None]),
        "gradient": jax.grad(lambda p: jnp.sum(hessian(p, x)["w"]["b"] ** 2))(p),
    }


@pytest.mark.usefixtures("x64")
def test_equals_jax_in_float64_plain_jitted_batched_nested(rng):
    p = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    x = rng.normal(size=(4, 3))
    ours = {mode: jaxcalc.hessian(loss, mode=mode) for mode in MODES}
    wanted = in_numpy(transformed(jax.hessian(loss)))(p, x)
    close = partial(chex.assert_trees_all_close, rtol=1e-11, atol=1e-13)
    for found in jax.jit(lambda p, x: [transformed(h)(p, x) for h in ours.values()])(p, x):
        close(found, wanted)
    for hessian in ours.values():
        close(hessian(p, x), wanted["plain"])


@pytest.mark.usefixtures("x64")
def test_inside_a_scan():
    def newton(x, _):
        gradient, hessian = jaxcalc.value_gradient_and_hessian(f)(x)[1:]
        return x - jnp.linalg.solve(hessian, gradient), None

    target = jnp.array([0.5, -1.5])
    f = lambda x: jnp.sum(jnp.cosh(x - target)) + (x[0] - 0.5) ** 2 * 3  # noqa: E731
    found, _ = lax.scan(newton, jnp.zeros(2), None, length=8)
    np.testing.assert_allclose(found, target, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_two_arguments_nest_twice(mode):
    f = lambda x, z: jnp.sum(x**2) * z  # noqa: E731
    found = jaxcalc.hessian(f, argnames=("z", "x"), mode=mode)(jnp.array([1.0, 2.0]), 3.0)
    (zz, zx), (xz, xx) = found
    assert float(zz) == 0.0
    np.testing.assert_array_equal(zx, [2.0, 4.0])
    np.testing.assert_array_equal(xz, [2.0, 4.0])
    np.testing.assert_array_equal(xx, 6 * np.eye(2))


@pytest.mark.parametrize("mode", MODES)
def test_vector_output_gives_a_hessian_for_each_element(mode):
    f = lambda x: {"y": jnp.stack([x[0] * x[1], x[1] ** 3])}  # noqa: E731
    found = jaxcalc.hessian(f, mode=mode)(jnp.array([2.0, 3.0]))["y"]
    np.testing.assert_array_equal(found, [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 18.0]]])


@pytest.mark.parametrize(("mode", "jit", "size"), thinned_product(MODES, [False, True], [2, 100]))
def test_f_is_evaluated_once(mode, jit, size):
    calls = []

    def f(x):
        jax.debug.callback(lambda _: calls.append(1), x.sum())
        return jnp.sum(x**3), {"text": "aux", "x": x}

    def whole(x):
        (value, aux), gradient, hessian = jaxcalc.value_gradient_and_hessian(
            f, has_aux=True, mode=mode
        )(x)
        return value, aux["x"], gradient, hessian

    x = jnp.arange(float(size))
    value, aux, gradient, hessian = (jax.jit(whole) if jit else whole)(x)
    jax.effects_barrier()
    assert len(calls) == 1
    np.testing.assert_allclose(value, np.sum(np.arange(size) ** 3.0), rtol=1e-5)
    np.testing.assert_array_equal(aux, x)
    np.testing.assert_allclose(gradient, 3 * x**2, rtol=1e-5)
    np.testing.assert_allclose(hessian, np.diag(6 * x), rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_integers_give_the_same_float0_zeros_in_every_mode(mode):
    p = {"w": jnp.ones(2), "n": jnp.arange(3)}
    found = jaxcalc.hessian(lambda p: jnp.sum(p["w"] ** 2), allow_int=True, mode=mode)(p)
    np.testing.assert_array_equal(found["w"]["w"], 2 * np.eye(2))
    for outer, inner, shape in (("w", "n", (2, 3)), ("n", "w", (3, 2)), ("n", "n", (3, 3))):
        assert (found[outer][inner].dtype, found[outer][inner].shape) == (dtypes.float0, shape)


@pytest.mark.parametrize("mode", MODES)
def test_python_control_flow_works_eagerly(mode):
    f = lambda x: x**3 if x > 0 else -(x**2)  # noqa: E731
    assert float(jaxcalc.hessian(f, mode=mode)(2.0)) == 12.0
    assert float(jaxcalc.hessian(f, mode=mode)(-2.0)) == -2.0


def test_automatic_mode_takes_the_directions_that_f_allows():
    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    x = jnp.array([1.0, 2.0])
    # no forward mode: reverse over reverse
    np.testing.assert_array_equal(jaxcalc.hessian(lambda x: jnp.sum(square(x)))(x), 2 * np.eye(2))
    # no reverse mode: forward over forward
    loop = lambda x: jnp.sum(  # noqa: E731
        lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * x), (0, x))[1]
    )
    np.testing.assert_array_equal(jaxcalc.hessian(loop)(x), np.diag(6 * np.array([1.0, 2.0])))


def test_holomorphic_and_complex_inputs():
    z = jnp.array([1 + 2j, -0.5j], jnp.complex64)
    cubes = lambda z: jnp.sum(z**3)  # noqa: E731
    for mode in MODES:
        found = jaxcalc.hessian(cubes, holomorphic=True, mode=mode)(z)
        np.testing.assert_allclose(found, np.diag(6 * np.asarray(z)), rtol=1e-6)
    with pytest.raises(
        TypeError, match=r"^jaxcalc.hessian: z is complex64; a complex input needs holom"
    ):
        jaxcalc.hessian(lambda z: jnp.sum(jnp.abs(z) ** 2))(z)


def test_errors():
    with pytest.raises(TypeError, match=r"^jaxcalc.hessian: output is int32, which has no derivative"):
        jaxcalc.hessian(lambda x: jnp.int32(1))(1.0)
    with pytest.raises(
        TypeError, match=r"^jaxcalc.value_gradient_and_hessian: a gradient needs a scalar"
    ):
        jaxcalc.value_gradient_and_hessian(lambda x: x)(jnp.ones(2))
    with pytest.raises(
        ValueError, match=r"^jaxcalc.hessian: mode|^jaxcalc.hessian: a sparse Hessian is"
    ):
        jaxcalc.hessian(surface, format="structured", mode="reverse")(jnp.ones(2))
