"""The diagonal alone: cheap where the structure says so, else right, and bounded in memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxpr_sizes import largest_value

import jaxcalc
from jaxcalc.engine.tangents.to_diagonal import diagonal_of
from jaxcalc.methods.diagonal import Diagonal
from tests.in_numpy import in_numpy
from tests.thinned import thinned

N = 60
WEIGHTS = np.random.default_rng(0).normal(size=(N, N)) / 8
GRAPH = np.random.default_rng(1).integers(0, N, (2, 200))


def dense(x):
    return jnp.tanh(WEIGHTS.astype(x.dtype) @ x) * x[::-1]


def stencil(x):
    p = jnp.pad(x, 1)
    return jnp.sin(p[:-2]) * x**2 + p[2:]


def arrow(x):
    return jnp.concatenate([jnp.sum(x**2)[None], x[1:] * x[0] + x[1:] ** 3])


def graph(x):
    return jnp.zeros(N, x.dtype).at[GRAPH[0]].add(jnp.sin(x[GRAPH[1]])) + x * x


def wide(x):
    return x[::2] * x[: N // 2] + jnp.cumsum(x)[: N // 2]


def tall(x):
    return jnp.concatenate([x * x[0], jnp.cos(x), x[:3]])


FUNCTIONS = [dense, stencil, arrow, graph, wide, tall, jnp.sin, lambda x: x[::-1] * 2.0]


@pytest.fixture
def by_products(calls_of):
    """Counts the calls that go through products."""
    return calls_of(Diagonal, "run")


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("f", thinned(FUNCTIONS, 4))
def test_against_dense_jax(f, mode, x64):
    x = np.linspace(0.1, 1, N)
    expected = np.diagonal(in_numpy(jax.jacfwd(f))(x))
    for limit in (None, 30_000) if mode == "auto" else (None,):
        found = jaxcalc.jacobian(f, diagonal=True, mode=mode, memory_limit=limit)
        assert found(x).shape == expected.shape
        np.testing.assert_allclose(found(x), expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(jax.jit(found)(x), expected, rtol=1e-12, atol=1e-15)
        value, same = jaxcalc.value_and_jacobian(f, diagonal=True, mode=mode)(x)
        np.testing.assert_allclose(value, in_numpy(f)(x), rtol=1e-12)
        np.testing.assert_allclose(same, expected, rtol=1e-12, atol=1e-15)


def test_which_way_is_taken(by_products):
    x = np.linspace(0.1, 1, N)
    for f in (stencil, arrow, graph, jnp.sin):
        jaxcalc.jacobian(f, diagonal=True)(x)
    assert not by_products
    jaxcalc.jacobian(dense, diagonal=True)(x)
    assert by_products
    del by_products[:]
    jaxcalc.jacobian(lambda x: x * 2.0 if x[0] > 0 else x, diagonal=True)(x)  # not to be traced
    assert by_products


def test_other_lanes_are_not_computed():
    """The structure of five diagonals has five times the entries, and their coefficients."""

    def f(x):
        p = jnp.pad(x, 2)
        return sum(jnp.sin((k + 1) * p[k : k + x.size]) for k in range(5))

    x = np.linspace(0, 1, 10_000)

    def flops(f):
        return jax.jit(f).lower(x).compile().cost_analysis()["transcendentals"]

    whole = flops(lambda x: jaxcalc.jacobian(f, format="structured")(x).values)
    assert flops(jaxcalc.jacobian(f, diagonal=True)) <= 0.3 * whole


def test_the_memory_of_a_dense_function_is_bounded():
    n = 2_000
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(40, n)), jnp.float32) / 40
    f = lambda x: jnp.tanh(weights.T @ jnp.tanh(weights @ x)) * jnp.sum(x)  # noqa: E731
    x = np.linspace(-1, 1, n)
    for limit in (None, 200_000):
        found = jaxcalc.jacobian(f, diagonal=True, memory_limit=limit)
        assert largest_value(jax.make_jaxpr(found)(x).jaxpr) <= 256 * n
    temporary = jax.jit(found).lower(x).compile().memory_analysis().temp_size_in_bytes
    assert temporary <= limit
    np.testing.assert_allclose(found(x), np.diagonal(in_numpy(jax.jacfwd(f))(x)), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match=r"jaxcalc.jacobian: memory_limit=100 \(100 B\) is less"):
        jaxcalc.jacobian(dense, diagonal=True, memory_limit=100)(jnp.ones(N))


def test_pytrees_complex_aux_and_one_way_functions(x64):
    def f(p):
        return {"u": p["b"] * p["a"][0], "v": jnp.cos(p["a"]) + jnp.sum(p["b"])}, {"kept": "text"}

    p = {"a": np.linspace(0, 1, 5), "b": np.linspace(1, 2, 3)}
    whole = jaxcalc.jacobian(lambda p: f(p)[0], format="structured")(p).toarray()
    (value, aux), found = jaxcalc.value_and_jacobian(f, diagonal=True, has_aux=True)(p)
    np.testing.assert_allclose(found, np.diagonal(whole), rtol=1e-12)
    np.testing.assert_allclose(value["v"], in_numpy(lambda p: f(p)[0])(p)["v"])
    assert aux == {"kept": "text"}

    z = np.linspace(0, 1, 4) + 1j
    w = jnp.arange(16.0).reshape(4, 4) * (1 + 1j)
    holomorphic = lambda z: (w @ z) ** 2 * z  # noqa: E731
    found = jaxcalc.jacobian(holomorphic, diagonal=True, holomorphic=True)(z)
    expected = np.diagonal(in_numpy(jax.jacfwd(holomorphic, holomorphic=True))(z))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    out = lambda x: (w @ x) ** 2  # noqa: E731
    found = jaxcalc.jacobian(out, diagonal=True)(z.real)
    np.testing.assert_allclose(found, np.diagonal(in_numpy(jax.jacfwd(out))(z.real)), rtol=1e-12)
    real = lambda z: jnp.abs(w @ z) ** 2  # noqa: E731
    found = jaxcalc.jacobian(real, diagonal=True)(z)
    np.testing.assert_allclose(found, np.diagonal(in_numpy(jax.jacrev(real))(z)), rtol=1e-12)

    @jax.custom_vjp
    def clipped(x):
        return jnp.tanh(WEIGHTS @ x)

    clipped.defvjp(lambda x: (clipped(x), x), lambda x, ct: (jax.vjp(dense_tanh, x)[1](ct)[0] * 2,))
    x = np.linspace(0.1, 1, N)
    for mode in ("auto", "reverse", "forward"):
        found = jaxcalc.jacobian(clipped, diagonal=True, mode=mode)(x)
        np.testing.assert_allclose(
            found, 2 * np.diagonal(in_numpy(jax.jacrev(dense_tanh))(x)), rtol=1e-10
        )


def dense_tanh(x):
    return jnp.tanh(WEIGHTS @ x)


def test_the_diagonal_of_a_hessian(x64):
    loss = lambda x: jnp.sum(jnp.sin(x[1:] * x[:-1]) ** 2)  # noqa: E731
    x = np.linspace(0, 1, 30)
    found = jaxcalc.jacobian(jaxcalc.gradient(loss), diagonal=True)(x)
    np.testing.assert_allclose(
        found, np.diagonal(in_numpy(jax.hessian(loss))(x)), rtol=1e-11, atol=1e-14
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3))
def test_any_shape(inputs, outputs, seed):
    places = np.random.default_rng(seed).integers(0, max(1, inputs), outputs)

    def f(x):
        return jnp.sin(x)[places] * jnp.sum(x) if inputs else jnp.zeros(outputs)

    x = np.linspace(1, 2, inputs)
    found = jaxcalc.jacobian(f, diagonal=True)(x)
    np.testing.assert_allclose(found, np.diagonal(in_numpy(jax.jacfwd(f))(x)), rtol=1e-5, atol=1e-6)


def test_transformations_of_it(x64):
    found = jaxcalc.jacobian(stencil, diagonal=True)
    exact = lambda x: jnp.diagonal(jax.jacfwd(stencil)(x))  # noqa: E731
    xs = np.linspace(0.1, 1, 20).reshape(2, 10)

    def both(diagonal):
        return lambda xs: (
            jax.vmap(diagonal)(xs),
            jax.grad(lambda x: jnp.sum(diagonal(x) ** 2))(xs[0]),
        )

    (batched, slope), wanted = jax.jit(both(found))(xs), in_numpy(both(exact))(xs)
    np.testing.assert_allclose(batched, wanted[0], rtol=1e-12)
    np.testing.assert_allclose(slope, wanted[1], rtol=1e-10)


def test_nothing_at_all():
    assert diagonal_of([], 0, np.dtype(np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"rows": [1]}, "does not go with rows="),
        ({"columns": [1], "rows": [2]}, "rows=, columns="),
        ({"format": "bcoo"}, "format='bcoo'"),
        ({"progress": True}, "progress="),
    ],
)
def test_what_does_not_go_with_it(given, text):
    with pytest.raises(ValueError, match=rf"jaxcalc.jacobian: diagonal=True .*{text}"):
        jaxcalc.jacobian(stencil, diagonal=True, **given)


@pytest.mark.parametrize("options", [{"diagonal": True}, {"format": "bcoo"}, {"format": "structured"}])
@pytest.mark.parametrize("f", [lambda x: jnp.cumsum(x) * 1j, lambda x: dense(x) * 1j])
def test_a_complex_output_in_reverse(f, options):
    with pytest.raises(TypeError, match=r"jaxcalc.jacobian: a complex output goes forward here"):
        jaxcalc.jacobian(f, mode="reverse", **options)(jnp.ones(N))
