"""The gradient of a scalar function: closed forms, JAX, pytrees, complex numbers, errors."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from jax import dtypes, lax

import jaxcalc


def surface(x, z):
    return 4 * x**4 * z**3


def exact(x, z):
    return 16 * x**3 * z**3, 12 * x**4 * z**2


class Variants(chex.TestCase, parameterized.TestCase):
    """The same gradients with and without `jit`, on the device and off it."""

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    @parameterized.parameters({"argnums": (0, 1)}, {"argnames": ("x", "z")}, {"argnums": [0, -1]})
    def test_two_arguments(self, **options):
        found = self.variant(jaxcalc.gradient(surface, **options))(1.5, 2.0)
        np.testing.assert_allclose(found, exact(1.5, 2.0), rtol=1e-6)

    @chex.variants(with_jit=True, without_jit=True, with_device=True, without_device=True)
    def test_one_vector(self):
        f = lambda v: surface(v[0], v[1])  # noqa: E731
        value, found = self.variant(jaxcalc.value_and_gradient(f))(jnp.array([1.5, 2.0]))
        np.testing.assert_allclose(found, exact(1.5, 2.0), rtol=1e-6)
        np.testing.assert_allclose(value, surface(1.5, 2.0), rtol=1e-6)


def loss(p, x):
    hidden = jnp.tanh(x @ p["w"] + p["b"])
    return jnp.mean(hidden**2) + jnp.sum(p["w"] * jnp.log1p(p["w"] ** 2))


@pytest.fixture
def parameters(rng):
    return {"w": jnp.asarray(rng.normal(size=(3, 2))), "b": jnp.asarray(rng.normal(size=2))}


@pytest.mark.usefixtures("x64")
def test_equals_jax_in_float64_plain_jitted_batched_nested_scanned(rng, parameters):
    x = jnp.asarray(rng.normal(size=(4, 3)))
    ours, theirs = jaxcalc.gradient(loss), jax.grad(loss)
    # a direct call is compiled, and XLA rounds once where it fuses two operations
    chex.assert_trees_all_close(ours(parameters, x), theirs(parameters, x), rtol=1e-14)
    chex.assert_trees_all_equal(jax.jit(ours)(parameters, x), jax.jit(theirs)(parameters, x))
    batched = (jax.vmap(g, in_axes=(None, 0))(parameters, x[:, None]) for g in (ours, theirs))
    chex.assert_trees_all_equal(*batched)
    norm = lambda g: lambda p: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(g(p, x)))  # noqa: E731
    chex.assert_trees_all_close(
        jaxcalc.gradient(norm(ours))(parameters), jax.grad(norm(theirs))(parameters), rtol=1e-12
    )
    step = lambda g: lambda p, row: (jax.tree.map(lambda a, b: a - b, p, g(p, row[None])), 0)  # noqa: E731
    finals = (lax.scan(step(g), parameters, x)[0] for g in (ours, theirs))
    chex.assert_trees_all_close(*finals, rtol=1e-12)


def test_value_and_aux_come_from_one_evaluation():
    calls = []

    def f(x):
        jax.debug.callback(lambda _: calls.append(1), x)
        return jnp.sum(x**2), {"text": "t", "x": x}

    (value, aux), slope = jaxcalc.value_and_gradient(f, has_aux=True)(jnp.array([1.0, 2.0]))
    jax.effects_barrier()
    assert len(calls) == 1
    assert (float(value), aux["text"], slope.tolist()) == (5.0, "t", [2.0, 4.0])
    slope, aux = jaxcalc.gradient(f, has_aux=True)(jnp.array([1.0, 2.0]))
    assert (aux["text"], slope.tolist()) == ("t", [2.0, 4.0])


def test_integers_give_float0_with_allow_int():
    p = {"w": jnp.ones(2), "n": jnp.arange(3), "k": 3}
    found = jaxcalc.gradient(lambda p: jnp.sum(p["w"]) * p["k"], allow_int=True)(p)
    expected = jax.grad(lambda p: jnp.sum(p["w"]) * p["k"], allow_int=True)(p)
    np.testing.assert_array_equal(found["w"], [3.0, 3.0])
    for name in ("n", "k"):
        assert found[name].dtype == dtypes.float0
        assert found[name].shape == np.shape(p[name]) == expected[name].shape


def test_complex_inputs_follow_jax():
    z = jnp.array([1 + 2j, -0.5j], jnp.complex64)
    modulus = lambda z: jnp.sum(jnp.abs(z) ** 2)  # noqa: E731
    np.testing.assert_allclose(jaxcalc.gradient(modulus)(z), 2 * np.conj(z), rtol=1e-6)
    np.testing.assert_array_equal(jaxcalc.gradient(modulus)(z), jax.grad(modulus)(z))
    cube = lambda z: jnp.sum(z**3)  # noqa: E731
    np.testing.assert_allclose(jaxcalc.gradient(cube, holomorphic=True)(z), 3 * z**2, rtol=1e-6)


def test_python_control_flow_works_eagerly():
    def f(x):
        total = 0.0
        for element in x:
            total = total + (element**2 if element > 0 else -element)
        return total

    np.testing.assert_array_equal(jaxcalc.gradient(f)(jnp.array([3.0, -1.0])), [6.0, -1.0])


def test_methods_partials_and_jitted_functions():
    class Model:
        scale = 3.0

        @jaxcalc.gradient
        def slope(self, x):
            return self * x**2

        def loss(self, x):
            return self.scale * x**2

    assert float(Model.slope(3.0, 2.0)) == 4.0
    assert float(jaxcalc.gradient(Model().loss)(2.0)) == 12.0
    jitted = jax.jit(lambda x, n: x**n, static_argnums=1)
    assert float(jaxcalc.gradient(jitted)(2.0, 3)) == 12.0
    wrapped = jaxcalc.gradient(surface)
    assert (wrapped.__name__, wrapped.__wrapped__) == ("surface", surface)
    static = jax.jit(
        jaxcalc.gradient(lambda x, mode: x**2 if mode == "a" else x), static_argnames="mode"
    )
    assert float(static(3.0, mode="a")) == 6.0


@pytest.mark.parametrize(
    ("f", "options", "text"),
    [
        (lambda x: x * 1j, {}, "the output of f is complex64, .* set holomorphic=True"),
        (
            lambda x: jnp.int32(1),
            {},
            "the output of f is int32, .* or return it as aux with has_aux=True",
        ),
        (
            lambda x: x,
            {"holomorphic": True},
            "holomorphic=True requires complex inputs, but x is float32",
        ),
        (
            lambda x: (x, x),
            {},
            "its derivative with respect to a scalar is a derivative|its derivative is a",
        ),
        (
            lambda x: (x, x, x),
            {"has_aux": True},
            r"must return a pair \(output, aux\), .* returned a tuple",
        ),
    ],
)
def test_errors(f, options, text):
    for transform in (jaxcalc.gradient, jaxcalc.value_and_gradient):
        with pytest.raises(TypeError, match=rf"^jaxcalc\.{transform.__name__}: .*{text}"):
            transform(f, **options)(jnp.float32(1.0))


def test_real_output_is_no_holomorphic_gradient():
    with pytest.raises(
        TypeError, match="output of abs is float32, which has no gradient; holomorphic=True is"
    ):
        jaxcalc.gradient(jnp.abs, holomorphic=True)(1j)


def doubled_until_nine(x):
    return jnp.sum(lax.while_loop(lambda c: jnp.max(c) < 9, lambda c: 2 * c, x))


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
@pytest.mark.parametrize("name", ["gradient", "value_and_gradient"])
def test_what_goes_forward_is_named(name, transform):
    """16 = 2^4 is the factor at 1, where the loop makes four steps."""
    text = (
        rf"^jaxcalc.{name}: doubled_until_nine has no reverse mode, because of while "
        r"\(test_transforms_gradient.py:\d+\) .* jaxcalc.jacobian, and jaxcalc.derivative for one"
    )
    with pytest.raises(ValueError, match=text):
        transform(getattr(jaxcalc, name)(doubled_until_nine))(jnp.ones(2))
    assert jaxcalc.jacobian(doubled_until_nine)(jnp.ones(2)).tolist() == [16, 16]
    assert float(jaxcalc.derivative(doubled_until_nine)(1.0)) == 16


def test_errors_of_the_function_itself_are_its_own():
    def f(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine"):
        jaxcalc.gradient(f)(1.0)
