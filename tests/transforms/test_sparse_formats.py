"""Jacobians and Hessians in sparse formats, against dense JAX, in every surrounding."""

import functools
import gc
import threading
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jaxpr_sizes import largest_value

import jaxcalc
from jaxcalc.heuristics import tuned
from tests.in_numpy import in_numpy


def stencil(x):
    p = jnp.pad(x, 1)
    return p[:-2] - 2 * x + p[2:] + jnp.sin(x) ** 2


def network(p, scale):
    return {"y": jnp.tanh(p["a"] * p["b"] * scale), "z": p["b"] ** 2}


def chain(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def assert_same(found, wanted, tolerance=1e-5):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


PARAMETERS = {"a": jnp.arange(6.0).reshape(2, 3) / 5, "b": jnp.array([0.5, -1.0, 2.0])}


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_structured_is_the_dense_one_with_fewer_numbers(mode):
    J = jaxcalc.jacobian(network, format="structured", mode=mode)(PARAMETERS, 2.0)
    assert (J.shape, J.nnz) == ((9, 9), 15)
    assert_same(J.todense(), in_numpy(jax.jacfwd(network))(PARAMETERS, 2.0))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_bcoo_leaves_are_unique_and_unpadded(mode):
    found = jaxcalc.jacobian(network, format="bcoo", mode=mode)(PARAMETERS, 2.0)
    dense = in_numpy(jax.jacfwd(network))(PARAMETERS, 2.0)
    assert_same(
        jax.tree.map(lambda b: b.todense(), found, is_leaf=lambda b: hasattr(b, "todense")), dense
    )
    block = found["y"]["a"]
    assert block.nse == 6
    assert block.unique_indices
    assert block.indices.shape == (6, 4)  # one column for each axis


def test_chosen_by_name_and_by_several_positions():
    def f(x, w):
        return x[1:] * w * x[:-1]

    x, w = jnp.arange(1.0, 5.0), jnp.array(3.0)
    by_name = jaxcalc.jacobian(f, argnames="w", format="structured")(x, w=w)
    np.testing.assert_allclose(by_name.toarray()[:, 0], x[1:] * x[:-1])
    both = jaxcalc.jacobian(f, argnums=(0, 1), format="structured")(x, w)
    assert_same(both.todense(), jax.jacfwd(f, argnums=(0, 1))(x, w))


def test_value_aux_and_jacobian_come_from_one_evaluation():
    calls = []

    def f(x):
        jax.debug.callback(lambda: calls.append(1))
        return x * jnp.sin(x), {"total": jnp.sum(x)}

    x = jnp.arange(3.0)
    transformed = jaxcalc.value_and_jacobian(f, has_aux=True, format="structured")
    (value, aux), J = transformed(x)
    jax.effects_barrier()
    assert len(calls) == 1
    np.testing.assert_allclose(value, x * jnp.sin(x), rtol=1e-6)
    assert float(aux["total"]) == 3.0
    np.testing.assert_allclose(J.diagonal(), jnp.sin(x) + x * jnp.cos(x), rtol=1e-6)
    _, aux = jaxcalc.jacobian(f, has_aux=True, format="bcoo")(x)
    assert float(aux["total"]) == 3.0


def test_hessian_value_and_gradient():
    x = jnp.linspace(-1, 1, 7)
    value, slope, H = jaxcalc.value_gradient_and_hessian(chain, format="structured")(x)
    np.testing.assert_allclose(value, chain(x), rtol=1e-6)
    np.testing.assert_allclose(slope, jax.grad(chain)(x), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(H.toarray(), in_numpy(jax.hessian(chain))(x), rtol=1e-5, atol=1e-3)
    assert H.nnz == 3 * 7 - 2


def test_hessian_of_a_pytree():
    def f(p):
        return jnp.sum(jnp.tanh(p["a"] * p["b"]) ** 2)

    H = jaxcalc.hessian(f, format="structured")(PARAMETERS)
    assert_same(H.todense(), in_numpy(jax.hessian(f))(PARAMETERS))
    blocks = jaxcalc.hessian(f, format="bcoo")(PARAMETERS)
    assert blocks["a"]["b"].shape == (2, 3, 3)


def test_inside_jit_vmap_grad_and_scan(x64):
    x = jnp.linspace(0.5, 2, 6)
    sparse = jaxcalc.jacobian(stencil, format="structured")
    dense = jax.jacfwd(stencil)
    np.testing.assert_allclose(jax.jit(sparse)(x).toarray(), dense(x), rtol=1e-12)

    batch = jnp.stack([x, 2 * x])
    batched = jax.vmap(sparse)(batch)
    wanted = np.stack([dense(row)[sparse(x).rows, sparse(x).cols] for row in batch])
    np.testing.assert_allclose(batched.values, wanted, rtol=1e-12)

    def loss(x):
        return jnp.sum(sparse(x).values ** 3)

    np.testing.assert_allclose(
        jax.grad(loss)(x), jax.grad(lambda x: jnp.sum(dense(x) ** 3))(x), rtol=1e-12
    )
    carried, _ = lax.scan(lambda c, _: (c + sparse(c) @ c / 10, None), x, None, length=3)
    expected = x
    for _ in range(3):
        expected = expected + dense(expected) @ expected / 10
    np.testing.assert_allclose(carried, expected, rtol=1e-12)


def test_second_derivatives_through_the_boundary(x64):
    # enough expensive coefficients used in many lanes that they are computed behind a branch
    def wave(u):
        p = jnp.pad(u, 1)
        return jnp.sin(u) * (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u)

    u = jnp.linspace(0, 1, 64 * 64).reshape(64, 64)
    sparse = jaxcalc.jacobian(wave, format="structured")
    assert "cond" in str(jax.make_jaxpr(sparse)(u))
    v = jnp.ones(u.size)
    found = jax.grad(lambda u: jnp.sum((sparse(u) @ v) ** 2))(u)
    wanted = jax.grad(lambda u: jnp.sum(jax.jvp(wave, (u,), (v.reshape(u.shape),))[1] ** 2))(u)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    batch = jnp.stack([u, 2 * u])
    np.testing.assert_allclose(jax.vmap(sparse)(batch).values[1], sparse(2 * u).values, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtypes_are_kept(dtype):
    x = jnp.linspace(0, 1, 5).astype(dtype)
    J = jaxcalc.jacobian(stencil, format="structured")(x)
    assert J.dtype == x.dtype
    np.testing.assert_allclose(
        J.toarray().astype(jnp.float32), in_numpy(jax.jacfwd(stencil))(x).astype(jnp.float32), atol=2e-2
    )


def test_complex():
    z = jnp.array([1 + 2j, 3 - 1j])
    J = jaxcalc.jacobian(lambda z: z * z, format="structured", holomorphic=True)(z)
    np.testing.assert_allclose(J.diagonal(), 2 * z)
    x = jnp.array([1.0, 2.0])

    def rotate(x):
        return jnp.exp(1j * x)

    J = jaxcalc.jacobian(rotate, format="structured")(x)
    np.testing.assert_allclose(J.diagonal(), 1j * jnp.exp(1j * x), rtol=1e-6)
    with pytest.raises(TypeError, match="mode='reverse'"):
        jaxcalc.jacobian(jnp.abs, format="structured", mode="forward")(z)
    J = jaxcalc.jacobian(lambda z: jnp.abs(z) ** 2, format="structured")(z)
    np.testing.assert_allclose(J.diagonal(), jax.jacrev(lambda z: jnp.abs(z) ** 2)(z).diagonal())


def test_integer_leaves():
    p = {"w": jnp.ones(3), "n": jnp.arange(3)}

    def f(p):
        return p["w"] * p["n"]

    with pytest.raises(TypeError, match=r"p\['n'\] is int32"):
        jaxcalc.jacobian(f, format="structured")(p)
    J = jaxcalc.jacobian(f, format="structured", allow_int=True)(p)
    assert J.shape == (3, 3)
    assert J.todense()["n"].dtype == jax.dtypes.float0


def test_known_integers_are_part_of_the_structure_and_traced_ones_are_sound():
    def f(x, places):
        return x[places] ** 2

    x = jnp.arange(1.0, 7.0)
    places = np.array([3, 1])
    exact = jaxcalc.jacobian(f, format="structured")(x, places)
    assert exact.nnz == 2
    moved = jaxcalc.jacobian(f, format="structured")(x, np.array([0, 5]))
    np.testing.assert_allclose(moved.toarray(), in_numpy(jax.jacfwd(f))(x, np.array([0, 5])))
    traced = jax.jit(jaxcalc.jacobian(f, format="structured"))(x, jnp.array(places))
    assert traced.nnz == 12
    np.testing.assert_allclose(traced.toarray(), exact.toarray())


def test_empty_and_single_elements():
    assert jaxcalc.jacobian(lambda x: x * 2, format="structured")(jnp.zeros(0)).shape == (0, 0)
    assert jaxcalc.jacobian(jnp.sum, format="structured")(jnp.zeros((3, 0))).nnz == 0
    J = jaxcalc.jacobian(lambda x: x * x, format="structured")(3.0)
    assert J.todense().shape == ()
    assert float(J.todense()) == 6.0
    constant = jaxcalc.jacobian(lambda x: jnp.ones(2), format="bcoo")(jnp.ones(3))
    assert constant.nse == 0
    assert constant.shape == (2, 3)


def test_python_control_flow_is_for_the_dense_format():
    def f(x):
        return x**2 if x[0] > 0 else -x

    x = jnp.arange(1.0, 4.0)
    np.testing.assert_allclose(jaxcalc.jacobian(f)(x), jnp.diag(2 * x))
    with pytest.raises(TypeError, match=r"format='bcoo'.*lax.cond or jnp.where"):
        jaxcalc.jacobian(f, format="bcoo")(x)


def test_strict_names_the_primitive_and_the_line():
    @jax.custom_vjp
    def clipped(x):
        return x * 2

    def backward(_, cotangent):
        return (cotangent / jnp.maximum(1, jnp.sum(cotangent**2)),)

    clipped.defvjp(lambda x: (x * 2, None), backward)

    def f(x):
        return jnp.sin(3 * clipped(x))

    with pytest.raises(
        NotImplementedError, match=r"\(test_sparse_formats.py:\d+\) is not linear.*strict"
    ):
        jaxcalc.jacobian(f, format="structured", mode="reverse", strict=True)(jnp.ones(3))
    assert_same(
        jaxcalc.jacobian(f, format="structured", mode="reverse")(jnp.ones(3)).todense(),
        in_numpy(jax.jacrev(f))(jnp.ones(3)),
    )


def test_a_hessian_of_a_complex_output_is_refused():
    f = lambda x: jnp.exp(1j * x[0]) * x[1]  # noqa: E731
    for kind in ("structured", "bcoo"):
        with pytest.raises(TypeError, match=r"needs a real output.*returns complex64.*imaginary parts"):
            jaxcalc.hessian(f, format=kind)(jnp.ones(2))
    z = jnp.ones(2, jnp.complex64)
    H = jaxcalc.hessian(lambda z: z[0] ** 2 * z[1] * 1j, holomorphic=True, format="structured")(z)
    np.testing.assert_allclose(H.toarray(), [[2j, 2j], [2j, 0]])


def test_a_hessian_needs_a_scalar_and_no_mode():
    with pytest.raises(TypeError, match="needs a scalar output"):
        jaxcalc.hessian(lambda x: x * x, format="structured")(jnp.ones(3))
    with pytest.raises(ValueError, match="forward over reverse"):
        jaxcalc.hessian(chain, format="structured", mode="reverse")(jnp.ones(3))


def test_custom_rules_choose_the_direction():
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
    x = jnp.arange(3.0)
    J = jaxcalc.jacobian(lambda x: sine(x) * 2, format="structured")(x)
    np.testing.assert_allclose(J.diagonal(), 2 * jnp.cos(x), rtol=1e-6)

    def loop(x):
        return lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] * 2, c[1] * 2), (x[0], x))[1]

    x = jnp.array([1.0, 3.0])
    J = jaxcalc.jacobian(loop, format="structured")(x)
    np.testing.assert_allclose(J.toarray(), 4 * jnp.eye(2))
    J = jaxcalc.jacobian(lambda x: sine(x) * loop(x), format="structured")(x)
    np.testing.assert_allclose(J.toarray(), np.diag(4 * (x * jnp.cos(x) + jnp.sin(x))), rtol=1e-6)
    assert J.nnz == 2


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_the_second_call_traces_nothing(wrap):
    traces = []

    def f(x):
        traces.append(1)
        return x[1:] * x[:-1]

    transformed = wrap(jaxcalc.jacobian(f, format="structured"))
    first = transformed(jnp.ones(5))
    seen = len(traces)
    second = transformed(jnp.arange(5.0))
    assert len(traces) == seen
    assert second.layout is first.layout
    np.testing.assert_allclose(second.toarray(), in_numpy(jax.jacfwd(f))(jnp.arange(5.0)))


def test_a_rebound_global_is_seen():
    scale = jnp.ones(3)

    def f(x):
        return scale * x

    transformed = jaxcalc.jacobian(f, format="structured")
    np.testing.assert_allclose(transformed(jnp.ones(3)).diagonal(), 1.0)
    scale = 2 * scale
    np.testing.assert_allclose(transformed(jnp.ones(3)).diagonal(), 2.0)


def test_a_function_that_counts_its_calls_is_traced_at_each():
    counts = []

    def f(x):
        counts.append(1)
        return x * len(counts)

    J = jaxcalc.jacobian(f, format="structured")
    slopes = [float(J(jnp.ones(2)).values[0]) for _ in range(3)]
    assert slopes[0] < slopes[1] < slopes[2]


def test_methods_and_partials_are_seen():
    class Model:
        power = 2

        def __call__(self, x, k=1):
            return k * x**self.power

        apply = __call__

    model = Model()
    for power in (2, 2, 3):
        model.power = power
        found = jaxcalc.jacobian(model.apply, format="structured")(jnp.ones(2))
        np.testing.assert_allclose(found.diagonal(), power)
    model.power = 2
    twice = functools.partial(model, k=2)
    np.testing.assert_allclose(
        jaxcalc.jacobian(twice, format="structured")(jnp.ones(2)).diagonal(), 4.0
    )


def test_functions_are_not_kept_alive():
    def make():
        w = jnp.arange(3.0)
        return lambda x: w * x

    f = make()
    alive = weakref.ref(f)
    jaxcalc.jacobian(f, format="structured")(jnp.ones(3))
    jaxcalc.sparsity(f, jnp.ones(3))
    del f
    gc.collect()
    jax.clear_caches()
    gc.collect()
    assert alive() is None


def test_a_traced_constant_is_not_kept():
    x = jnp.ones(3)

    @jax.jit
    def outer(w):
        return jaxcalc.jacobian(lambda x: w * x**2, format="structured")(x).values

    np.testing.assert_allclose(outer(jnp.arange(3.0)), 2 * jnp.arange(3.0))
    np.testing.assert_allclose(outer(jnp.ones(3)), 2.0)
    slope = jax.grad(lambda w: jnp.sum(jaxcalc.jacobian(lambda x: w * x**2, format="bcoo")(x).data))(x)
    np.testing.assert_allclose(slope, 2.0)


def test_many_threads_at_once():
    functions = [lambda x, k=k: k * x[1:] * x[:-1] for k in range(4)]
    failures = []

    def work(number):
        f = functions[number % 4]
        for n in (4, 5):
            x = jnp.arange(1.0, n + 1)
            J = jaxcalc.jacobian(f, format="structured")(x)
            if not np.allclose(J.toarray(), in_numpy(jax.jacfwd(f))(x)):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (stencil, jnp.ones(400)),
        (lambda x: jnp.tanh(x @ jnp.ones((6, 5))), jnp.ones((80, 6))),
        (lambda x: jax.ops.segment_sum(x**2, jnp.arange(300) // 30, 10), jnp.ones(300)),
    ],
    ids=["stencil", "batch", "segments"],
)
def test_nothing_as_large_as_the_dense_matrix_is_made(f, x):
    sparse = jaxcalc.jacobian(f, format="structured")
    J = sparse(x)
    largest = largest_value(jax.make_jaxpr(sparse)(x).jaxpr)
    assert largest <= 4 * J.nnz
    assert J.nnz * 8 < J.shape[0] * J.shape[1]


def test_too_dense_is_an_error_that_says_so(monkeypatch):
    too_dense = pytest.raises(ValueError, match=r"too dense.*more than 100 entries.*format='dense'")
    with tuned(entry_limit=100), too_dense:
        jaxcalc.jacobian(jnp.cumsum, format="structured")(jnp.ones(50))


def test_source_line_of_a_coupling():
    def net(x):
        h = jnp.tanh(x)
        h = h - jnp.mean(h, 0)
        return jnp.tanh(h)

    for mode in ("forward", "reverse"):
        J = jaxcalc.jacobian(net, format="structured", mode=mode)(jnp.ones((4, 5)))
        with pytest.raises(
            ValueError, match=r"samples \d and \d are coupled.*test_sparse_formats.py:\d+"
        ):
            J.blocks()


def test_mutable_arrays_are_refused_by_name():
    def f(x):
        mutable = jax.new_ref(jnp.zeros(3))
        mutable[...] = x[:3] * x[1:]
        return mutable[...] ** 2

    x = jnp.arange(1.0, 5.0)
    with pytest.raises(TypeError, match=r"jax.new_ref.*format='dense'"):
        jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    np.testing.assert_allclose(jaxcalc.jacobian(f, mode="reverse")(x), jax.jit(jax.jacrev(f))(x))


def test_mixed_precision_is_that_of_jacfwd_whichever_direction_is_taken():
    def f(p):
        low = jnp.sum(p["a"]).astype(jnp.float16) * p["b"][0]
        return {"low": low, "high": jnp.sum(p["a"] ** 2) + p["b"][1]}

    p = {"a": jnp.ones(6, jnp.float32), "b": jnp.ones(4, jnp.float16)}
    expected = jax.tree.map(lambda x: x.dtype, in_numpy(jax.jacfwd(f))(p))
    found = jaxcalc.jacobian(f, format="bcoo")(p)  # in reverse: more inputs than outputs
    assert {o: {i: found[o][i].dtype for i in p} for o in found} == expected
    lowered = lambda x: (x[:2] * x[2:4]).astype(jnp.bfloat16)  # noqa: E731
    x = jnp.linspace(0.5, 1.0, 12)
    for kind in ("dense", "structured"):
        J = jaxcalc.jacobian(lowered, format=kind)
        for _ in range(2):  # the second call is recalled
            assert J(x).dtype == in_numpy(jax.jacfwd(lowered))(x).dtype == jnp.bfloat16
