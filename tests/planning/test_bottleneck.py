"""Cuts where few numbers pass, and the products of the parts' Jacobians."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.methods.bottleneck import cut, inlined, size_of, work
from jaxcalc.methods.chain import Chain, multiplied, one_dtype


def weights(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=s) / np.sqrt(s[0])) for s in pairwise(sizes)]


def network(*sizes):
    layers = weights(*sizes)

    def f(x):
        for w in layers:
            x = jnp.tanh(x @ w)
        return x

    return f


def chain_of(f, *leaves):
    closed = jax.make_jaxpr(f)(*leaves)
    return Chain(closed, lambda eqns, outs: cut(eqns, closed.jaxpr.invars, outs))


@pytest.mark.parametrize("under_jit", [False, True])
def test_an_hourglass_is_cut_at_its_waist(under_jit, x64):
    f = network(60, 60, 3, 60, 60)
    f = jax.jit(f) if under_jit else f
    x = jnp.linspace(-1, 1, 60)
    chain = chain_of(f, x)
    assert [(size_of(p.inputs), size_of(p.outputs)) for p in chain.parts] == [(60, 3), (3, 60)]
    for block in (7, 1000):
        (value,), matrix = chain([x], block)
        np.testing.assert_allclose(value, f(x), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(matrix, jax.jacfwd(f)(x), rtol=1e-11, atol=1e-15)


def test_two_waists(x64):
    f, x = network(50, 50, 4, 50, 50, 2, 50, 50), jnp.linspace(-1, 1, 50)
    chain = chain_of(f, x)
    assert [size_of(p.outputs) for p in chain.parts] == [2, 50], "two passes do, on both sides"
    _, matrix = chain([x], 100)
    np.testing.assert_allclose(matrix, jax.jacrev(f)(x), rtol=1e-11, atol=1e-15)


def test_what_has_no_waist_is_left_whole():
    assert len(chain_of(network(20, 20, 20), jnp.ones(20)).parts) == 1
    assert len(chain_of(network(20, 3), jnp.ones(20)).parts) == 1
    # a value that goes around the waist makes it wide
    f = network(60, 3, 60)
    assert len(chain_of(lambda x: f(x) + x, jnp.ones(60)).parts) == 1


def test_integers_and_constants_pass_a_cut(x64):
    first, last = network(40, 40, 2), network(2, 40, 40)

    def f(x):
        narrow = first(x)
        place = jnp.argmax(narrow)
        return last(narrow * narrow[place]) * jnp.arange(40.0)

    x = jnp.linspace(-1, 1, 40)
    chain = chain_of(f, x)
    assert len(chain.parts) == 2
    _, matrix = chain([x], 100)
    np.testing.assert_allclose(matrix, jax.jacfwd(f)(x), rtol=1e-11, atol=1e-15)


def test_a_function_that_is_called_twice_is_inlined_twice(x64):
    layer = jax.jit(lambda x: jnp.sin(x) * 2)
    closed = jax.make_jaxpr(lambda x: layer(layer(x)))(jnp.ones(3))
    equations, _, outputs = inlined(closed)
    assert [e.primitive.name for e in equations] == ["sin", "mul", "sin", "mul"]
    x = jnp.linspace(0, 1, 3)
    chain = Chain(closed, lambda eqns, outs: cut(eqns, closed.jaxpr.invars, outs))
    (value,), matrix = chain([x], 10)
    np.testing.assert_allclose(value, layer(layer(x)))
    np.testing.assert_allclose(matrix, jax.jacfwd(lambda x: layer(layer(x)))(x))
    assert outputs[0] is equations[-1].outvars[0]


def test_the_order_of_products_is_the_cheapest():
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=s) for s in [(30, 2), (2, 40), (40, 3), (3, 30)]]
    found = jax.make_jaxpr(multiplied)([jnp.asarray(m) for m in matrices])
    shapes = [e.outvars[0].aval.shape for e in found.eqns if e.primitive.name == "dot_general"]
    assert (30, 40) not in shapes, "2 x 40 x 3 comes first"
    np.testing.assert_allclose(
        multiplied([jnp.asarray(m) for m in matrices]),
        np.linalg.multi_dot(matrices),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_work_of_a_part_counts_its_cheaper_direction():
    tall, wide = (chain_of(network(*s), jnp.ones(s[0])).parts[0] for s in [(4, 100), (100, 4)])
    assert work(tall) == pytest.approx(4 * work(wide) / 4, rel=25)
    assert one_dtype([jnp.ones(2), jnp.ones(3)]) == jnp.float32
    assert one_dtype([jnp.ones(2), jnp.ones(3, jnp.bfloat16)]) is None
    assert one_dtype([jnp.ones(2, jnp.complex64)]) is None
