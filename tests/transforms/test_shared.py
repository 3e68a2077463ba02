"""Outputs of which some are differentiated forward and the others in reverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.methods.mixed_shares import shares
from tests.in_numpy import in_numpy

FEW, MANY = 3, 300


def both(p):
    """A curve of few parameters, and a loss of many others."""
    t = jnp.linspace(0.0, 1.0, MANY)
    curve = p["s"][0] * jnp.sin(p["s"][1] * t) * jnp.exp(-p["s"][2] * t)
    layer = jnp.tanh(p["w"].reshape(20, 15) @ jnp.linspace(-1.0, 1.0, 15))
    return {"curve": curve, "loss": jnp.sum(layer**2), "none": jnp.ones(2)}


def point(dtype=np.float32):
    w = np.sin(np.arange(MANY, dtype=dtype))
    return {"s": np.array([1.0, 2.0, 0.5], dtype), "w": w}


def shares_of(f, p):
    leaves, tree = jax.tree.flatten(p)
    program = jax.make_jaxpr(lambda *xs: jax.tree.leaves(f(tree.unflatten(xs))))(*leaves).jaxpr
    return shares(program, program.invars, len(program.outvars))


def test_each_output_has_its_direction():
    forward, reverse = shares_of(both, point())
    assert forward == ("forward", [0, 2], [0], 3)
    assert reverse == ("reverse", [1], [1], 1)


@pytest.mark.parametrize(
    "f",
    [
        lambda p: {"a": p["s"][0] * p["w"], "b": jnp.sum(p["w"])},  # all depend on the long one
        lambda p: {"a": p["s"] * 2, "b": jnp.sum(p["w"])},  # few outputs: reverse does for all
        lambda p: {"a": jnp.outer(p["s"], p["s"]), "b": p["w"] * 2},
    ],
)
def test_one_direction_does_for_all(f):
    assert shares_of(f, point()) == []


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["direct", "jit"])
@pytest.mark.parametrize("memory_limit", [None, 200_000])
def test_the_result_is_that_of_jax(wrap, memory_limit, x64):
    p = point(np.float64)
    found = wrap(jaxcalc.jacobian(both, memory_limit=memory_limit))(p)
    wanted = in_numpy(jax.jacfwd(both))(p)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_no_basis_of_the_long_leaf_is_pushed():
    cost = jax.jit(jaxcalc.jacobian(both)).lower(point()).compile().cost_analysis()["flops"]
    alone = jax.jit(both).lower(point()).compile().cost_analysis()["flops"]
    forward = jax.jit(jax.jacfwd(both)).lower(point()).compile().cost_analysis()["flops"]
    assert cost < 20 * alone
    assert forward > 100 * alone


def test_value_and_aux():
    f = lambda p: (both(p), {"n": 1, "s": p["s"]})  # noqa: E731
    p = point()
    (value, aux), J = jaxcalc.value_and_jacobian(f, has_aux=True)(p)
    loss, slope = in_numpy(jax.value_and_grad(lambda p: both(p)["loss"]))(p)
    np.testing.assert_allclose(value["loss"], loss, rtol=1e-6)
    assert aux["n"] == 1
    np.testing.assert_array_equal(aux["s"], p["s"])
    np.testing.assert_allclose(J["loss"]["w"], slope["w"], rtol=1e-4, atol=1e-5)


def test_it_composes():
    def everything(jacobian):
        total = lambda p: jnp.sum(jacobian(p)["loss"]["w"] ** 2)  # noqa: E731
        return lambda p, batch: (
            jax.grad(total)(p)["w"],
            jax.vmap(jacobian)(batch)["curve"]["s"],
        )

    p = point()
    args = p, jax.tree.map(lambda x: np.stack([x, 2 * x]), p)
    slope, batched = jax.jit(everything(jaxcalc.jacobian(both)))(*args)
    wanted, each = in_numpy(everything(jax.jacrev(both)))(*args)
    np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(batched, each, rtol=1e-4, atol=1e-5)
