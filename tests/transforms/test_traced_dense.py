"""Dense derivatives under jit, forced through their structure, against JAX's own."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxpr_sizes import largest_value

import jaxcalc
from jaxcalc.heuristics import heuristics, tuned
from jaxcalc.planning import choose
from tests.in_numpy import in_numpy
from tests.thinned import thinned

W = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)


@pytest.fixture
def forced(request):
    """Take a structured method whatever it costs, in the direction of `way` where the test has one."""
    prices, first = replace(heuristics().prices, compiling=-1e18), {}
    if "way" in request.fixturenames:
        is_forward = request.getfixturevalue("way") == "forward"
        first = {"forward_advantage": np.inf if is_forward else 0, "alike": 0, "settled": np.inf}
    with tuned(fewest_inputs=0, must_save=-1e18, prices=prices, **first):
        yield


JACOBIANS = {
    "uniform index": (lambda x: jnp.tanh(jnp.sum(x * x) * jnp.arange(3.0) / 9), (4,)),
    "some inputs only": (lambda x: jnp.sum(x[2:5]) * x[2:4], (7,)),
    "few lanes": (lambda x: x[1:] * x[:-1], (6,)),
    "blocks side by side": (lambda x: jnp.tanh(x @ W), (3, 5)),
    "blocks apart": (lambda x: jnp.tanh(x[:, :5] @ W), (3, 8)),
    "blocks in the middle": (lambda x: jnp.sin(x[1:] @ W), (4, 5)),
    "blocks on the last axis": (lambda x: jnp.tanh(W.T @ x), (5, 3)),
    "irregular": (lambda x: x[jnp.array([0, 3, 3, 1])] * jnp.cumsum(x)[:4], (6,)),
    "scalar": (lambda x: x**2, ()),
    "no entries": (lambda x: jnp.ones((2, 2)), (3,)),
    "one element": (jnp.exp, (1, 1)),
}


@pytest.mark.parametrize("way", ["forward", "reverse"])
@pytest.mark.parametrize("name", thinned(JACOBIANS))
def test_jacobian(name, way, forced):
    f, shape = JACOBIANS[name]
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    found, wanted = jax.jit(jaxcalc.jacobian(f))(x), in_numpy(jax.jacfwd(f))(x)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", ["forward", "reverse"])
def test_pytrees_value_and_aux(way, forced):
    p = {"a": jnp.arange(6.0).reshape(2, 3), "b": jnp.arange(3.0)}

    def f(p, s):
        return {"y": jnp.tanh(p["a"] * p["b"] * s), "z": p["b"] ** 2}, jnp.sum(p["a"])

    transformed = jax.jit(jaxcalc.value_and_jacobian(f, has_aux=True))
    (value, aux), found = transformed(p, 0.3)
    wanted, wanted_aux = in_numpy(jax.jacfwd(f, has_aux=True))(p, 0.3)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)
    np.testing.assert_allclose(value["z"], p["b"] ** 2)
    np.testing.assert_allclose(aux, wanted_aux)


def test_hessian(forced):
    p = {"a": jnp.arange(6.0).reshape(2, 3) / 6, "b": jnp.arange(3.0)}
    f = lambda p: jnp.sum(jnp.tanh(p["a"] * p["b"]) ** 2)  # noqa: E731
    value, slope, found = jax.jit(jaxcalc.value_gradient_and_hessian(f))(p)
    wanted = in_numpy(jax.hessian(f))(p)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
    jax.tree.map(close, found, wanted)
    jax.tree.map(close, slope, jax.grad(f)(p))
    np.testing.assert_allclose(value, f(p), rtol=1e-6)
    vector = jax.jit(jaxcalc.hessian(lambda x: x**3))(jnp.arange(3.0))
    np.testing.assert_allclose(vector, in_numpy(jax.hessian(lambda x: x**3))(jnp.arange(3.0)))


def test_structure_is_used_where_it_pays_and_only_there():
    batch = jnp.ones((64, 5))
    per_sample = jax.make_jaxpr(jaxcalc.jacobian(lambda x: jnp.tanh(jnp.tanh(x @ W) @ W.T)))(batch)
    assert largest_value(per_sample.jaxpr) <= 64 * 5 * 64 * 5
    tiny = lambda x: jnp.sin(x) * x[0]  # noqa: E731
    ours = str(jax.make_jaxpr(jaxcalc.jacobian(tiny))(jnp.ones(3)))
    assert "mul" in ours
    choice = choose.prepare_dense
    assert choice(_request(tiny, jnp.ones(3)), "jacobian") is None


def _request(f, x):
    from jaxcalc.call.options import Options
    from jaxcalc.call.request import Request

    options = Options("jaxcalc.jacobian", False, False, False, "dense", "auto", None, False)
    return Request.of(f, options, 0, None, (x,), {})


def test_memory_of_the_tall_block_diagonal_case():
    # jax issue 215: the reverse mode of JAX takes gigabytes here
    def f(lm, uvw, fr):
        l, m = lm[:, 0], lm[:, 1]
        u, v, w = uvw.T
        n = jnp.sqrt(1 - l**2 - m**2) - 1
        phase = l[:, None] * u + m[:, None] * v + n[:, None] * w
        return phase[:, :, None] * fr

    rng = np.random.default_rng(0)
    args = [
        jnp.asarray(rng.uniform(0, 0.5, shape), jnp.float32) for shape in ((10, 2), (128, 3), (16,))
    ]
    assert jaxcalc.sparsity(f, *args).nnz == 40_960
    dense = 10 * 128 * 16 * 20 * 4
    for name in ("dense", "structured"):
        compiled = jax.jit(jaxcalc.jacobian(f, format=name)).lower(*args).compile()
        assert compiled.memory_analysis().temp_size_in_bytes <= 2 * dense
    np.testing.assert_allclose(
        jax.jit(jaxcalc.jacobian(f))(*args), in_numpy(jax.jacfwd(f))(*args), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["few lanes", "blocks side by side", "blocks in the middle"])
def test_no_mask_of_the_size_of_the_result_is_kept(name, forced):
    f, _ = JACOBIANS[name]
    x = jnp.linspace(0.1, 1.0, 6_000).reshape((-1, 5) if name.startswith("blocks") else -1)
    program = jax.make_jaxpr(jaxcalc.jacobian(f))(x)
    assert sum(np.size(constant) for constant in program.consts) < 20 * x.size


@pytest.mark.parametrize("name", ["few lanes", "blocks side by side", "blocks in the middle"])
def test_large_ones_against_a_product(name, forced):
    f, _ = JACOBIANS[name]
    x = jnp.linspace(0.1, 1.0, 5_500).reshape((-1, 5) if name.startswith("blocks") else -1)
    found = jax.jit(jaxcalc.jacobian(f))(x)
    tangent = jnp.sin(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape)
    _, expected = jax.jvp(f, (x,), (tangent,))
    np.testing.assert_allclose(jnp.tensordot(found, tangent, x.ndim), expected, rtol=1e-4, atol=1e-5)


class Oscillator:
    """A function with a state of its own."""

    def __init__(self, factor):
        self.factor = factor

    def forces(self, x):
        return self.factor * jnp.sin(x[1:] * x[:-1]) ** 2 / (1 + x[1:] ** 2)


SCALE = 1.0


def plain_forces(x):
    return SCALE * jnp.sin(x[1:] * x[:-1]) ** 2 / (1 + x[1:] ** 2)


def given_forces(x, forces):
    return forces(x)


@pytest.mark.parametrize("kind", ["method", "closure", "argument"])
def test_an_object_or_an_argument_that_changed_is_seen(kind, monkeypatch):
    x = jnp.linspace(0.1, 1.0, 400)
    system = Oscillator(1.0)
    before = in_numpy(jax.jacfwd(system.forces))(x)
    arguments = {"argument": (plain_forces,)}.get(kind, ())
    f = {"method": None, "closure": lambda x: system.forces(x), "argument": given_forces}[kind]  # noqa: PLW0108

    def call():
        J = jaxcalc.jacobian(f or system.forces)
        return jax.vmap(lambda x: J(x, *arguments))(x[None])[0]

    np.testing.assert_allclose(call(), before, atol=1e-6)
    system.factor = 3.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    np.testing.assert_allclose(call(), 3 * before, atol=1e-5)
