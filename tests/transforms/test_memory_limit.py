"""The workspace stays in its limit, whatever the blocks; bottlenecks and results that do not fit."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxpr_sizes import largest_value

import jaxcalc
from jaxcalc.call import memory
from jaxcalc.heuristics import tuned
from tests.in_numpy import in_numpy
from tests.thinned import thinned_product

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(size=(2, 37, 37)) / 6


def compiled_temporary(f, x):
    return jax.jit(f).lower(x).compile().memory_analysis().temp_size_in_bytes


def layers(x):
    # of the dtype of x: a product with float64, once run in 64 bits, fails in 32 (JAX 0.10)
    return jnp.tanh(jnp.tanh(x @ FIRST.astype(x.dtype)) @ SECOND.astype(x.dtype))


def pytree(p):
    return {
        "sum": p["a"] @ FIRST + jnp.sum(p["b"]),
        "rest": (jnp.sin(p["b"]), p["a"][:2] * p["b"][0, 0]),
    }


@pytest.mark.parametrize(
    ("mode", "limit"), thinned_product(["auto", "forward", "reverse"], [1_300, 1_700, 4_000, 10**9])
)
def test_results_are_the_same_for_every_block(mode, limit, x64):
    x = np.linspace(-1, 1, 37)
    found, wanted = (
        jaxcalc.jacobian(layers, mode=mode, memory_limit=limit),
        in_numpy(jax.jacfwd(layers))(x),
    )
    np.testing.assert_allclose(found(x), wanted, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(found)(x), wanted, rtol=1e-12)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_pytrees(mode, x64):
    p = {"a": jnp.linspace(0, 1, 37), "b": jnp.linspace(1, 2, 6).reshape(2, 3)}
    expected = in_numpy(jax.jacfwd(pytree))(p)
    value, found = jaxcalc.value_and_jacobian(pytree, mode=mode, memory_limit=2_000)(p)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), value, pytree(p))


def test_hessians_and_aux(x64):
    def f(x):
        return jnp.sum(layers(x) ** 2), {"kept": x[0]}

    x = jnp.linspace(-1, 1, 37)
    found, aux = jaxcalc.hessian(f, has_aux=True, memory_limit=4_000)(x)
    wanted = in_numpy(jax.hessian(lambda x: f(x)[0]))(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-13)
    assert aux["kept"] == x[0]


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_the_compiled_program_stays_inside(mode):
    def temporary(limit):
        f = jax.jit(jaxcalc.jacobian(wide, mode=mode, memory_limit=limit))
        return f.lower(x).compile().memory_analysis().temp_size_in_bytes

    def wide(x):
        for _ in range(3):
            x = jnp.tanh(jnp.tile(x, 20)[: 20 * 300].reshape(300, 20) @ weights).reshape(-1)[:300]
        return x

    weights = jnp.asarray(RNG.normal(size=(20, 1)), jnp.float32)
    x = jnp.linspace(-1, 1, 300)
    assert temporary(200_000) <= 200_000 < temporary(10**9)


def test_under_vmap_and_grad(x64):
    def everything(f):
        return lambda x: (jax.vmap(f)(x), jax.grad(lambda x: jnp.sum(f(x) ** 2))(x[0]))

    x = np.linspace(-1, 1, 74).reshape(2, 37)
    batched, slope = jax.jit(everything(jaxcalc.jacobian(layers, memory_limit=2_000)))(x)
    wanted = in_numpy(everything(jax.jacfwd(layers)))(x)
    np.testing.assert_allclose(batched, wanted[0], rtol=1e-12)
    np.testing.assert_allclose(slope, wanted[1], rtol=1e-9)


def test_a_limit_below_one_product_is_an_error():
    with pytest.raises(
        ValueError, match=r"jaxcalc.jacobian: memory_limit=10 \(10 B\) is less than .* one"
    ):
        jaxcalc.jacobian(layers, memory_limit=10)(jnp.ones(37))
    for wrong in (0, -1, "1 Gbit", None.__class__):
        with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes"):
            jaxcalc.jacobian(layers, memory_limit=wrong)


def test_a_result_that_does_not_fit_is_an_error_before_it_is_made(monkeypatch):
    x = jnp.ones(131_072)
    with (
        tuned(memory_bytes=16 << 30),
        pytest.raises(ValueError, match=r"131071 x 131072 float32, needs 64 GiB") as caught,
    ):
        jaxcalc.jacobian(lambda x: x[1:] * x[:-1])(x)
    assert re.search(
        r"there are 16 GiB; format='bcoo' and format='structured' need 3 MiB", str(caught.value)
    )
    with pytest.raises(ValueError, match="products with a vector"):
        jaxcalc.jacobian(lambda x: jnp.cumsum(x) * jnp.sum(x))(x)
    assert memory.in_words(64 << 30) == "64 GiB"


@pytest.mark.parametrize("kind", ["dense", "structured", "bcoo"])
def test_a_wide_gather_takes_its_rows(kind):
    """jax issue 719: ten million inputs of which ten are used; forward mode runs out of memory."""
    size = 10_000_000
    places, weights = RNG.integers(0, size, 10), np.asarray(RNG.random((10, 10)), np.float32)
    found = jaxcalc.jacobian(lambda x: jnp.sum(x[places] @ weights), format=kind)
    x = jax.ShapeDtypeStruct((size,), jnp.float32)
    assert largest_value(jax.make_jaxpr(found)(x).jaxpr) <= 5 * size
    assert compiled_temporary(found, x) <= 5 * 4 * size
    slope = jax.tree.leaves(found(jnp.ones(size)))[0]
    expected = np.zeros(size if kind == "dense" else 0, np.float32)
    if kind == "dense":
        np.add.at(expected, places, weights.sum(axis=1))
        np.testing.assert_allclose(slope, expected, rtol=1e-5)
    else:
        assert slope.shape == (len(set(places)),)
        np.testing.assert_allclose(np.sum(slope), weights.sum(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "structured", "bcoo"])
def test_a_tall_function_takes_its_columns(kind):
    """jax issue 215: 20 inputs, 20,480 outputs; reverse mode makes a basis of 20,480 vectors."""

    def delays(lm):
        l, m = lm[:, 0, None, None], lm[:, 1, None, None]
        return (u * l + v * m + w * (jnp.sqrt(1 - l**2 - m**2) - 1)) * frequencies

    u, v, w = jnp.asarray(RNG.normal(size=(3, 1, 128, 1)), jnp.float32)
    frequencies = jnp.linspace(1, 2, 16)
    found = jaxcalc.jacobian(delays, format=kind)
    lm = jnp.linspace(0, 0.3, 20).reshape(10, 2)
    assert largest_value(jax.make_jaxpr(found)(lm).jaxpr) <= 20 * 20_480
    assert compiled_temporary(found, lm) <= 2 * 4 * 20 * 20_480
    J = found(lm)
    whole = J if kind == "dense" else J.todense()
    np.testing.assert_allclose(whole, in_numpy(jax.jacfwd(delays))(lm), rtol=1e-4, atol=1e-5)


def test_a_dense_derivative_of_a_deep_network_stays_inside():
    """A small one of R^4000 to R^4000 within 256 MiB, which is a benchmark."""
    layers = jnp.asarray(RNG.normal(size=(4, 250, 250)), jnp.float32) / 16

    def network(x):
        for layer in layers:
            x = jnp.tanh(layer @ x)
        return x

    x, limit = jnp.linspace(-1, 1, 250), 62_500
    bounded = jaxcalc.jacobian(network, memory_limit=limit)
    assert compiled_temporary(bounded, x) <= limit < compiled_temporary(jaxcalc.jacobian(network), x)
    np.testing.assert_allclose(bounded(x), in_numpy(jax.jacrev(network))(x), rtol=1e-4, atol=1e-5)


def test_bottlenecks_are_split(x64):
    narrow, back = RNG.normal(size=(37, 3)), RNG.normal(size=(3, 37))

    def f(x):
        return jnp.tanh(jnp.tanh(jnp.tanh(x @ FIRST) @ narrow) @ back) @ SECOND

    x = jnp.linspace(-1, 1, 37)
    for found in (jaxcalc.jacobian(f), jax.jit(jaxcalc.jacobian(f))):
        np.testing.assert_allclose(found(x), in_numpy(jax.jacfwd(f))(x), rtol=1e-10, atol=1e-14)
    shapes = {
        v.aval.shape
        for eqn in jax.make_jaxpr(jax.jit(jaxcalc.jacobian(f)))(x).eqns[0].params["jaxpr"].eqns
        for v in eqn.outvars
    }
    assert (37, 3) in shapes or (3, 37) in shapes
    value, found = jaxcalc.value_and_jacobian(lambda x: (f(x), {"n": 3, "y": x[0]}), has_aux=True)(x)
    assert value[1]["n"] == 3
    np.testing.assert_allclose(found, in_numpy(jax.jacfwd(f))(x), rtol=1e-10, atol=1e-14)


def samples(x):
    """A batch of 32 samples that do not mix, with hidden layers far wider than both ends."""
    w = WIDE.astype(x.dtype)
    return jnp.tanh(jnp.tanh(x @ w[:6]) @ w / 9) @ w[:, :5]


def stencil(x):
    for _ in range(2):
        x = jnp.sin(x) * (jnp.roll(x, 1) - jnp.roll(x, -1))
    return {"y": x, "sum": x[::7] * x[0]}


def energy(x):
    return jnp.sum(samples(x) ** 2)


WIDE = RNG.normal(size=(96, 96))
SPARSE = {
    "samples": (jaxcalc.jacobian, samples, (32, 6), 95_000),
    "stencil": (jaxcalc.jacobian, stencil, (2_000,), 120_000),
    "energy": (jaxcalc.hessian, energy, (32, 6), 210_000),
}


@pytest.mark.parametrize("kind", ["structured", "bcoo"])
@pytest.mark.parametrize("name", ["samples", "energy"])
def test_sparse_formats_stay_inside_too(name, kind):
    transform, f, shape, limit = SPARSE[name]
    x = jnp.sin(jnp.arange(np.prod(shape), dtype=jnp.float32)).reshape(shape)
    free = transform(f, format=kind)
    assert compiled_temporary(free, x) > limit
    bounded = transform(f, format=kind, memory_limit=limit)
    assert compiled_temporary(bounded, x) <= limit
    expected = jax.tree.leaves(free(x))
    for found in (bounded(x), bounded(x), jax.jit(bounded)(x)):
        for a, b in zip(jax.tree.leaves(found), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_results_are_the_same_for_every_block(name, x64):
    transform, f, shape, limit = SPARSE[name]
    x = jnp.sin(jnp.arange(np.prod(shape), dtype=jnp.float64)).reshape(shape)
    expected = transform(f, format="structured")(x)
    for factor in (2, 2.5, 3, 4, 5, 20):
        found = transform(f, format="structured", memory_limit=int(factor * limit))(x)
        # the other direction, which has them in another order, may be the one that fits
        assert found.layout.has_entries_of(expected.layout)
        values = found.sorted().values
        np.testing.assert_allclose(values, expected.sorted().values, rtol=1e-9, atol=1e-9)


def test_sparse_values_gradients_and_modes_with_a_limit(x64):
    _, f, shape, limit = SPARSE["samples"]
    x = jnp.linspace(-1, 1, np.prod(shape)).reshape(shape)
    expected = in_numpy(jax.jacfwd(f))(x).reshape(160, 192)
    for mode in ("forward", "reverse"):
        value, J = jaxcalc.value_and_jacobian(
            f, format="structured", mode=mode, memory_limit=3 * limit
        )(x)
        np.testing.assert_allclose(value, f(x), rtol=1e-12)
        np.testing.assert_allclose(J.toarray(), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(J.blocks(), jax.vmap(jax.jacfwd(f))(x), rtol=1e-9, atol=1e-12)
    value, slope, H = jaxcalc.value_gradient_and_hessian(
        energy, format="structured", memory_limit=6 * limit
    )(x)
    np.testing.assert_allclose(value, energy(x), rtol=1e-12)
    np.testing.assert_allclose(slope, jax.grad(energy)(x), rtol=1e-9, atol=1e-12)
    full = in_numpy(jax.hessian(energy))(x).reshape(192, 192)
    np.testing.assert_allclose(H.toarray(), full, rtol=1e-8, atol=1e-9)
    diagonal = jaxcalc.jacobian(f, format="structured", memory_limit=3 * limit)(x).diagonal()
    np.testing.assert_allclose(diagonal, np.diagonal(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SPARSE)
def test_a_limit_below_what_a_sparse_format_needs(name):
    transform, f, shape, _ = SPARSE[name]
    message = (
        rf"jaxcalc.{transform.__name__}: memory_limit=2000 \(1.95 KiB\) is less than the workspace"
    )
    with pytest.raises(ValueError, match=rf"{message} that format='bcoo' takes here, about .* KiB"):
        transform(f, format="bcoo", memory_limit=2_000)(jnp.ones(shape))
