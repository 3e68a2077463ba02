"""The Jacobian in every mode: closed forms, JAX, directions, evaluations of f, complex, errors."""

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


def curve(x):
    return jnp.stack([x[0] * x[1], jnp.sin(x[1]), x[2] ** 2 * x[0], x[0]])


def curve_jacobian(x):
    a, b, c = x
    return np.array([[b, a, 0], [0, np.cos(b), 0], [c**2, 0, 2 * c * a], [1, 0, 0]])


class Variants(chex.TestCase):
    """The same Jacobian with and without `jit`, on the device and off it."""

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_closed_form(self):
        x = np.array([0.5, 1.5, -2.0], np.float32)
        for mode in MODES:
            value, found = self.variant(jaxcalc.value_and_jacobian(curve, mode=mode))(x)
            np.testing.assert_allclose(found, curve_jacobian(x), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(value, curve(x), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("x64")
def test_generalized_jacobian(rng, mode):
    x = jnp.asarray(rng.normal(size=(2, 3)))
    f = lambda x: {"gram": x @ x.T, "sum": jnp.sum(x, axis=0)}  # noqa: E731
    found = jaxcalc.jacobian(f, mode=mode)(x)
    gram = np.einsum("ik,jl->ijkl", np.eye(2), np.asarray(x)) + np.einsum(
        "jk,il->ijkl", np.eye(2), np.asarray(x)
    )
    np.testing.assert_allclose(found["gram"], gram, atol=1e-15)
    np.testing.assert_array_equal(found["sum"], np.broadcast_to(np.eye(3)[:, None], (3, 2, 3)))


CLOSE = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)


def transformed(jacobian, again):
    """What each of JAX's transformations makes of a Jacobian, and the Jacobian of it by `again`."""
    return lambda x: {
        "plain": jacobian(x[0]),
        "batched": jax.vmap(jacobian)(x),
        "in reverse": jax.jacrev(jacobian)(x[0]),
        "nested": again(jacobian)(x[0]),
        "scanned": lax.scan(lambda c, row: (c, jacobian(row)), 0.0, x)[1],
        "gradient": jax.grad(lambda x: jnp.sum(jacobian(x) ** 3))(x[0]),
    }


@pytest.mark.usefixtures("x64")
def test_equals_jax_in_float64_plain_batched_nested_scanned(rng):
    def everything(x):
        transforms = {mode: partial(jaxcalc.jacobian, mode=mode) for mode in MODES}
        return {mode: transformed(t(curve), t)(x) for mode, t in transforms.items()}

    x = rng.normal(size=(5, 3))
    wanted = in_numpy(transformed(jax.jacfwd(curve), jax.jacfwd))(x)
    for found in jax.jit(everything)(x).values():
        jax.tree.map(CLOSE, found, wanted)
    for mode in MODES:
        CLOSE(jaxcalc.jacobian(curve, mode=mode)(x[0]), wanted["plain"])


@pytest.mark.eager
@pytest.mark.usefixtures("x64")
def test_equals_jax_in_float64_step_by_step(rng):
    x = rng.normal(size=(5, 3))
    wanted = in_numpy(transformed(jax.jacfwd(curve), jax.jacfwd))(x)
    jax.tree.map(CLOSE, transformed(jaxcalc.jacobian(curve), jaxcalc.jacobian)(x), wanted)


@pytest.mark.parametrize(("mode", "jit", "size"), thinned_product(MODES, [False, True], [2, 100]))
def test_f_is_evaluated_once(mode, jit, size):
    calls = []

    def f(x):
        jax.debug.callback(lambda _: calls.append(1), x.sum())
        return jnp.sin(x) * x, {"aux": x}

    transformed = jaxcalc.value_and_jacobian(f, has_aux=True, mode=mode)
    x = jnp.arange(float(size))
    (value, aux), slope = (jax.jit(transformed) if jit else transformed)(x)
    jax.effects_barrier()
    assert len(calls) == 1
    np.testing.assert_allclose(value, np.sin(x) * x, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(aux["aux"], x)
    np.testing.assert_allclose(np.diag(slope), np.cos(x) * x + np.sin(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_a_function_that_branches_in_python_works_eagerly(mode):
    def f(x):
        return x**2 if x[0] > 0 else -x[:1]

    jacobian = jaxcalc.jacobian(f, mode=mode)
    np.testing.assert_array_equal(jacobian(jnp.array([1.0, 2.0])), [[2.0, 0.0], [0.0, 4.0]])
    np.testing.assert_array_equal(jacobian(jnp.array([-1.0, 2.0])), [[-1.0, 0.0]])

    for f in (
        lambda x: x[: x[0].astype(int)],
        lambda x: x.reshape(x[0].astype(int), -1),
        lambda x: x[: int(x[0])],
        lambda x: x[x > 1],
    ):
        x = jnp.array([1.0, 2.0])
        np.testing.assert_array_equal(jaxcalc.jacobian(f, mode=mode)(x), jax.jacfwd(f)(x))
        total = lambda g: lambda x: jnp.sum(g(x) * x[0])  # noqa: E731
        np.testing.assert_array_equal(
            jax.grad(total(jaxcalc.jacobian(f, mode=mode)))(x), jax.grad(total(jax.jacfwd(f)))(x)
        )
        with pytest.raises((TypeError, IndexError)):
            jax.jit(jaxcalc.jacobian(f, mode=mode))(jnp.array([1.0, 2.0]))


@jax.custom_vjp
def only_reverse(x):
    return x**2


only_reverse.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))


def only_forward(x):
    return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, x))[1]


@pytest.mark.parametrize("jit", [False, True])
def test_automatic_mode_takes_the_direction_that_f_allows(jit):
    wide, tall = jnp.ones(5), lambda g: lambda x: jnp.concatenate([g(x), g(x), g(x)])
    maybe_jit = jax.jit if jit else (lambda g: g)
    # more outputs than inputs: forward would be cheaper, but JAX has no forward rule
    for mode in MODES:
        found = maybe_jit(jaxcalc.jacobian(tall(only_reverse), mode=mode))(wide)
        np.testing.assert_array_equal(found, np.tile(2 * np.eye(5), (3, 1)))
    # fewer outputs than inputs: reverse would be cheaper, but a while loop has no reverse mode
    f = lambda x: jnp.sum(only_forward(x))  # noqa: E731
    np.testing.assert_allclose(maybe_jit(jaxcalc.jacobian(f))(wide), maybe_jit(jax.jacfwd(f))(wide))
    for transform in (jaxcalc.jacobian, jaxcalc.hessian):
        text = rf"^jaxcalc.{transform.__name__}: f has no reverse mode, .* leave mode='reverse' out"
        with pytest.raises(ValueError, match=text):
            maybe_jit(transform(f, mode="reverse"))(wide)


@pytest.mark.parametrize("mode", MODES)
def test_integers_give_the_same_float0_zeros_in_every_mode(mode):
    p = {"w": jnp.ones(2), "n": jnp.arange(3), "k": 3, "flag": True}
    f = lambda p: {"y": p["w"] * p["k"], "z": jnp.float32(1.0)}  # noqa: E731
    for transform in (jaxcalc.jacobian(f, allow_int=True, mode=mode),):
        found = transform(p)
        np.testing.assert_array_equal(found["y"]["w"], 3 * np.eye(2))
        for output, shape in (("y", (2,)), ("z", ())):
            for name in ("n", "k", "flag"):
                leaf = found[output][name]
                assert isinstance(leaf, np.ndarray)
                assert (leaf.dtype, leaf.shape) == (dtypes.float0, shape + np.shape(p[name]))
    integers = jaxcalc.jacobian(lambda n: n * 1.0, allow_int=True, mode=mode)(jnp.arange(2))
    assert (integers.dtype, integers.shape) == (dtypes.float0, (2, 2))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_real_to_complex(mode, dtype):
    x = jnp.asarray([0.5, 1.0, 2.0], dtype)
    f = lambda x: {"z": jnp.exp(1j * x), "r": x[:2]}  # noqa: E731
    transformed = jaxcalc.jacobian(f, mode=mode)
    compiled, expected = jax.jit(lambda x: (transformed(x), jax.jacfwd(f)(x)))(x)
    for found in (transformed(x), compiled):
        assert found["z"].dtype == expected["z"].dtype == jnp.complex64
        tolerance = 1e-6 if dtype == "float32" else 1e-2
        np.testing.assert_allclose(found["z"], expected["z"], atol=tolerance)
        np.testing.assert_array_equal(found["r"], expected["r"])


def test_real_to_complex_hessian_in_every_mode():
    f = lambda x: jnp.exp(1j * x[0]) * x[1]  # noqa: E731
    x = jnp.array([0.5, 2.0])
    mixed = 1j * np.exp(0.5j)
    expected = np.array([[-2 * np.exp(0.5j), mixed], [mixed, 0]])
    for mode in MODES:
        np.testing.assert_allclose(jaxcalc.hessian(f, mode=mode)(x), expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_holomorphic(mode):
    z = jnp.array([1 + 2j, -0.5j], jnp.complex64)
    found = jaxcalc.jacobian(lambda z: z**3, holomorphic=True, mode=mode)(z)
    np.testing.assert_allclose(found, np.diag(3 * np.asarray(z) ** 2), rtol=1e-6)


@pytest.mark.parametrize("mode", ["auto", "reverse"])
def test_complex_to_real_follows_jacrev(mode):
    z = jnp.array([1 + 2j, -0.5j], jnp.complex64)
    f = lambda z: jnp.stack([z.real[0] * z.imag[1], jnp.abs(z[0]) ** 2, z.real[1]])  # noqa: E731
    np.testing.assert_array_equal(jaxcalc.jacobian(f, mode=mode)(z), jax.jacrev(f)(z))


@pytest.mark.parametrize("mode", MODES)
def test_nothing_to_differentiate_by(mode):
    f = lambda p: {"y": jnp.ones(2)}  # noqa: E731
    assert jaxcalc.jacobian(f, mode=mode)({}) == {"y": {}}
    value, found = jaxcalc.value_and_jacobian(f, mode=mode)(None)
    np.testing.assert_array_equal(value["y"], [1.0, 1.0])
    assert found == {"y": None}
    assert jaxcalc.jacobian(lambda x: (), mode=mode)(1.0) == ()


@pytest.mark.parametrize("mode", MODES)
def test_aux_may_be_anything(mode):
    found, aux = jaxcalc.jacobian(lambda x: (x**2, {"text": "t", "x": x}), has_aux=True, mode=mode)(3.0)
    assert (float(found), aux["text"], float(aux["x"])) == (6.0, "t", 3.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "backward"}, r"unknown mode 'backward'; it can be 'auto', 'forward', 'reverse'\."),
        ({"mode": ["auto"]}, "unknown mode"),
        ({"format": "csr"}, "unknown format 'csr'; it can be 'bcoo', 'dense', 'structured'"),
        ({"memory_limit": 0}, "memory_limit must be a positive number of bytes, got 0"),
        (
            {"memory_limit": "1 Gbit"},
            "memory_limit must .* bytes, got '1 Gbit'; give .* '256MiB' or",
        ),
    ],
)
@pytest.mark.parametrize(
    "name", ["jacobian", "value_and_jacobian", "hessian", "value_gradient_and_hessian"]
)
def test_options_are_refused_when_the_transformation_is_made(name, options, text):
    with pytest.raises(ValueError, match=rf"^jaxcalc\.{name}: {text}"):
        getattr(jaxcalc, name)(curve, **options)


@pytest.mark.parametrize(
    ("f", "x", "options", "text"),
    [
        (
            lambda z: z * 2,
            1j,
            {"mode": "forward"},
            "z is complex64; a complex input needs holomorphic=True",
        ),
        (
            lambda z: z * 2,
            1j,
            {"mode": "reverse"},
            "z is complex64 and output is complex64: .*holomorphic",
        ),
        (lambda z: z * 2, 1j, {}, "z is complex64"),
        (
            lambda x: x,
            1.0,
            {"holomorphic": True},
            "holomorphic=True requires complex inputs, but x is float32",
        ),
        (
            jnp.abs,
            1j,
            {"holomorphic": True},
            "holomorphic=True requires complex outputs, but output is float",
        ),
        (
            lambda x: {"n": jnp.int32(3)},
            1.0,
            {"mode": "reverse"},
            r"output\['n'\] is int32, which has no",
        ),
        (lambda x: ["text"], 1.0, {}, r"the function returned 'text' of type str in output\[0\]"),
    ],
)
def test_errors(f, x, options, text):
    with pytest.raises(TypeError, match=rf"^jaxcalc.jacobian: {text}"):
        jaxcalc.jacobian(f, **options)(x)


def test_no_direction_at_all_is_an_error_that_says_why():
    f = lambda x: jnp.abs(only_forward(x)) * (1 + 0j)  # noqa: E731
    for kind in ("dense", "structured"):
        with pytest.raises(TypeError, match=r"^jaxcalc.jacobian: .*(neither direction|holomorphic)"):
            jaxcalc.jacobian(f, format=kind)(jnp.ones(2) * 1j)
