"""Rows and columns of a Jacobian: those of the whole one, at the cost of a part."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree
from jaxpr_sizes import largest_value

import jaxcalc
from jaxcalc.methods.derivative import Derivative
from jaxcalc.planning.submatrix import evaluate_part
from tests.in_numpy import dense, in_numpy
from tests.thinned import thinned, thinned_product

FORMATS = ["dense", "bcoo", "structured"]
INDICES = [None, [3, -1, 0, 3], [], np.arange(4, 0, -1, dtype=np.int8)]
WEIGHTS = np.random.default_rng(0).normal(size=(5, 6)) / 2


def mixed(p, scale):
    """Two leaves on each side, of which some entries are structurally zero."""
    return {
        "y": jnp.tanh(WEIGHTS.astype(p["a"].dtype) @ p["a"]) * scale,
        "z": (p["b"][1:] * p["a"][:2], jnp.sin(p["b"])),
    }


def arrays():
    real = np.dtype(float) if jax.config.jax_enable_x64 else np.dtype(np.float32)
    return {"a": np.linspace(-1, 1, 6, dtype=real), "b": np.linspace(1.0, 2, 3, dtype=real)}


def point():
    return {**arrays(), "n": 3}


def matrix(f, *args):
    """The whole M x N matrix by JAX, in the order of `ravel_pytree`."""
    flat, unravel = ravel_pytree(args[0])
    return in_numpy(jax.jacfwd(lambda z: ravel_pytree(f(unravel(z), *args[1:]))[0]))(flat)


def part(whole, rows, columns):
    whole = np.asarray(whole)
    whole = whole if rows is None else whole[np.asarray(rows, int)]
    return whole if columns is None else whole[:, np.asarray(columns, int)]


@pytest.mark.parametrize("rows", thinned(INDICES, 3), ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_parts_of_a_pytree(kind, rows, x64):
    p = arrays()
    whole = matrix(mixed, p, 2.0)
    some = [columns for columns in INDICES if not (rows is columns is None)]
    transformed = [
        jaxcalc.jacobian(mixed, rows=rows, columns=columns, format=kind, allow_int=True)
        for columns in some
    ]
    compiled = jax.jit(lambda p: [f(p, 2.0) for f in transformed])(p)
    for columns, f, J in zip(some, transformed, compiled, strict=True):
        found, expected = dense(J), part(whole, rows, columns)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
        if kind == "structured":
            assert J.shape == expected.shape
            assert J.input_side.shapes == (expected.shape[1:],)
            assert J.output_side.shapes == (expected.shape[:1],)
        if columns is some[-1]:  # a call outside of a trace as well
            np.testing.assert_allclose(dense(f(p, 2.0)), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("mode", "kind", "limit"), thinned_product(["forward", "reverse"], FORMATS, [None, 20_000])
)
def test_modes_and_limits(mode, kind, limit, x64):
    x = np.linspace(-1, 1, 6)
    f = lambda x: jnp.tanh(WEIGHTS.astype(x.dtype) @ x) * x[0]  # noqa: E731
    whole = in_numpy(jax.jacfwd(f))(x)
    found = jaxcalc.jacobian(
        f, rows=[4, 1], columns=[-1, 0, 0], format=kind, mode=mode, memory_limit=limit
    )
    np.testing.assert_allclose(dense(found(x)), part(whole, [4, 1], [-1, 0, 0]), rtol=1e-12)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_value_is_the_whole_value(kind, x64):
    def f(p, scale):
        return mixed(p, scale), {"n": scale, "text": "kept"}

    p = arrays()
    options = {"rows": [-1, 2], "columns": [7], "format": kind}
    expected = part(matrix(mixed, p, 3.0), [-1, 2], [7])
    (value, aux), J = jaxcalc.value_and_jacobian(f, has_aux=True, **options)(p, 3.0)
    jax.tree.map(np.testing.assert_allclose, value, mixed(p, 3.0))
    assert aux == {"n": 3.0, "text": "kept"}
    np.testing.assert_allclose(dense(J), expected, rtol=1e-12)
    J, aux = jaxcalc.jacobian(f, has_aux=True, **options)(p, 3.0)
    assert aux == {"n": 3.0, "text": "kept"}
    np.testing.assert_allclose(dense(J), expected, rtol=1e-12)
    value, J = jaxcalc.value_and_jacobian(mixed, **options)(p, 3.0)
    jax.tree.map(np.testing.assert_allclose, value, mixed(p, 3.0))
    np.testing.assert_allclose(dense(J), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", FORMATS)
def test_arguments_and_integer_leaves(kind, x64):
    def f(x, p, y):
        return jnp.outer(x, p["a"]) * p["n"] * y[0]

    x, y = np.arange(1.0, 3), np.arange(2.0, 5)
    options = {"rows": [5, 0], "columns": [-3, 4, 1], "format": kind}
    J = jaxcalc.jacobian(f, (0, 1, 2), allow_int=True, **options)(x, point(), y)
    whole = np.zeros((12, 14))
    blocks = in_numpy(jax.jacfwd(lambda x, a, y: f(x, {"a": a, "n": 3}, y), (0, 1, 2)))
    for i, block in enumerate(blocks(x, point()["a"], y)):
        begin = [0, 2, 11][i]
        whole[:, begin : begin + block.shape[-1]] = block.reshape(12, -1)
    np.testing.assert_allclose(dense(J), part(whole, [5, 0], [-3, 4, 1]), rtol=1e-12)
    J = jaxcalc.jacobian(f, argnames="y", rows=[3], columns=[0], format=kind)(x, point(), y=y)
    np.testing.assert_allclose(dense(J), [[x[0] * point()["a"][3] * 3]], rtol=1e-12)


@pytest.mark.parametrize("kind", FORMATS)
def test_complex_functions(kind, x64):
    z = np.array([1 + 2j, 0.5j, 2.0])
    f = lambda z: jnp.concatenate([z**2, z[:1] * z[1:2]])  # noqa: E731
    real = lambda z: jnp.abs(f(z)) ** 2  # noqa: E731
    out = lambda x: f(x + 2j * x)  # noqa: E731
    options = {"rows": [3, 0], "columns": [1, 0], "format": kind}
    modes = [
        jaxcalc.jacobian(f, holomorphic=True, mode=mode, **options)
        for mode in ("auto", "forward", "reverse")
    ]
    parts = [jaxcalc.jacobian(g, **options) for g in (real, out)]
    whole = [jax.jacfwd(f, holomorphic=True), jax.jacrev(real), jax.jacfwd(out)]

    def everything(z, x):
        found = [transformed(z) for transformed in modes], parts[0](z), parts[1](x)
        return found, (whole[0](z), whole[1](z), whole[2](x))

    found, expected = jax.jit(everything)(z, z.real)
    for J, of in zip([*found[0], *found[1:]], [expected[0]] * 3 + [*expected[1:]], strict=True):
        np.testing.assert_allclose(dense(J), part(of, [3, 0], [1, 0]), rtol=1e-12)
    for transformed, of in ((modes[0], 0), (parts[0], 1)):  # outside of a trace as well
        np.testing.assert_allclose(
            dense(transformed(z)), part(expected[of], [3, 0], [1, 0]), rtol=1e-12
        )


def test_leaves_of_several_dtypes():
    x = {"h": jnp.arange(1, 4, dtype=jnp.float16), "s": jnp.arange(1, 3, dtype=jnp.float32)}
    f = lambda x: {"h": x["h"] * 2, "s": x["s"] ** 2}  # noqa: E731
    J = jaxcalc.jacobian(f, rows=[0, 4], columns=[0, 4])(x)
    assert J.tolist() == [[2, 0], [0, 4]]
    assert J.dtype == jnp.float32
    assert jaxcalc.jacobian(f, rows=[0], columns=[0])(x).dtype == jnp.float16


def test_negative_zeros_stay_what_they_are():
    J = jaxcalc.jacobian(lambda x: 1 / x + jnp.arctan2(x, -1.0), columns=[0])(jnp.array([-0.0]))
    assert J.tolist() == jax.jit(jax.jacfwd(lambda x: 1 / x))(jnp.array([-0.0])).tolist()
    value, _ = jaxcalc.value_and_jacobian(lambda x: 1 / x, columns=[0])(jnp.array([-0.0]))
    assert value.tolist() == [-np.inf]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-12, 11), max_size=9), st.lists(st.integers(-9, 8), max_size=9))
def test_any_indices(rows, columns):
    rows = [r for r in rows if -10 <= r < 10]

    def both(p):
        whole = jaxcalc.jacobian(mixed, format="structured")
        return whole(p, 2.0), jaxcalc.jacobian(mixed, rows=rows, columns=columns, format="structured")(
            p, 2.0
        )

    whole, J = in_numpy(both)(arrays())
    np.testing.assert_allclose(dense(J), part(dense(whole), rows, columns), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_nothing_of_the_size_of_the_whole_is_made(kind, mode):
    """A dense function of 3,000 numbers: the whole has nine million entries, its part six."""
    f = lambda x: (jnp.sin(x) + jnp.roll(x, 3)) * jnp.sum(x)  # noqa: E731
    found = jaxcalc.jacobian(f, rows=[5, 2_999], columns=[7, 0, 1], format=kind, mode=mode)
    x = np.linspace(0, 1, 3_000, dtype=np.float32)
    assert largest_value(jax.make_jaxpr(found)(x).jaxpr) <= 10 * 3_000
    column = in_numpy(lambda x, v: jax.jvp(f, (x,), (v,))[1])(x, np.eye(1, 3_000, dtype=np.float32)[0])
    np.testing.assert_allclose(dense(found(x))[:, 1], column[[5, -1]], rtol=1e-4)


@pytest.mark.parametrize("kind", FORMATS)
def test_transformations_of_it(kind, x64):
    f = lambda x: jnp.tanh(WEIGHTS.astype(x.dtype) @ x) * x[0]  # noqa: E731
    found = jaxcalc.jacobian(f, rows=[1, 0], columns=[2], format=kind)
    xs = np.linspace(-1, 1, 12).reshape(2, 6)
    values = lambda J: jax.tree.leaves(J)[0]  # noqa: E731

    @jax.jit
    def transformations(xs):
        batched = jax.vmap(lambda x: values(found(x)).reshape(-1))(xs)
        slope = jax.grad(lambda x: jnp.sum(values(found(x)) ** 2))(xs[0])
        expected = jax.grad(lambda x: jnp.sum(jax.jacfwd(f)(x)[:2, 2] ** 2))(xs[0])
        return batched, slope, expected

    batched, slope, expected = transformations(xs)
    np.testing.assert_allclose(batched, [np.ravel(values(found(x))) for x in xs], rtol=1e-12)
    np.testing.assert_allclose(slope, expected, rtol=1e-9)


def test_rows_of_a_hessian(x64):
    loss = lambda x: jnp.sum(jnp.sin(x[1:] * x[:-1]))  # noqa: E731
    x = np.linspace(0, 1, 8)
    rows = jaxcalc.jacobian(jaxcalc.gradient(loss), rows=[3, -1])(x)
    np.testing.assert_allclose(rows, in_numpy(jax.hessian(loss))(x)[[3, -1]], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", ["structured", "bcoo"])
def test_later_calls_trace_nothing(kind, calls_of):
    made = calls_of(Derivative, "__init__")
    f = lambda x: jnp.sin(x[1:] * x[:-1])  # noqa: E731
    x = np.linspace(0, 1, 9, dtype=np.float32)
    transformed = jaxcalc.jacobian(f, rows=[1, 2], format=kind)
    for _ in range(2):
        transformed(x)
        jaxcalc.jacobian(f, rows=np.array([1, 2]), format=kind)(x + 1)  # another, of the same f
    assert len(made) == 1
    for _ in range(2):
        jaxcalc.value_and_jacobian(f, rows=[1, 2], format=kind)(x)
    transformed(x)
    assert len(made) == 2
    other = jaxcalc.jacobian(f, rows=[3, 2], format=kind)(x)
    np.testing.assert_allclose(dense(other), part(in_numpy(jax.jacfwd(f))(x), [3, 2], None), rtol=1e-6)
    other = jaxcalc.jacobian(f, columns=[1, 2], format=kind)(x)
    np.testing.assert_allclose(dense(other), part(in_numpy(jax.jacfwd(f))(x), None, [1, 2]), rtol=1e-6)
    assert len(made) == 4


def test_what_is_kept_goes_with_the_function():
    f = lambda x: jnp.sin(x)  # noqa: E731, PLW0108
    jaxcalc.jacobian(f, rows=[1], format="structured")(np.ones(3))
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_equal_parts_are_equal():
    one, other = (evaluate_part("jaxcalc.jacobian", x, None, max) for x in ([1, 2], np.array([1, 2])))
    assert one == other
    assert hash(one) == hash(other)
    assert one != evaluate_part("jaxcalc.jacobian", None, [1, 2], max)
    assert evaluate_part("jaxcalc.jacobian", None, None, max) is max


def test_indices_are_copied():
    rows = np.array([0, 1])
    f = jaxcalc.jacobian(lambda x: x * jnp.arange(1.0, 4), rows=rows)
    rows[:] = 2
    assert f(jnp.ones(3)).tolist() == [[1, 0, 0], [0, 2, 0]]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (
            {"rows": [3]},
            IndexError,
            r"rows asks for 3, but there are 3 rows, .* output's .* from -3 to 2",
        ),
        ({"columns": [0, -5]}, IndexError, r"columns asks for -5, but there are 4 .* input's elements"),
        ({"rows": [0.0]}, TypeError, r"rows must be integers, got \[0.0\] of dtype float64"),
        ({"rows": [True, False]}, TypeError, "use numpy.flatnonzero for a mask"),
        ({"rows": slice(2)}, TypeError, r"got slice\(None, 2, None\); use numpy.arange for a range"),
        ({"columns": "ab"}, TypeError, "columns must be integers, got 'ab'"),
        ({"rows": [[0], [1, 2]]}, TypeError, r"rows must be integers"),
        ({"rows": 1}, ValueError, r"rows must be one-dimensional, got shape \[\]"),
        ({"columns": [[1, 2]]}, ValueError, r"columns must be one-dimensional, got shape \[1, 2\]"),
    ],
)
@pytest.mark.parametrize("transform", ["jacobian", "value_and_jacobian"])
@pytest.mark.parametrize("kind", FORMATS)
def test_wrong_indices(given, error, text, transform, kind):
    with pytest.raises(error, match=rf"jaxcalc.{transform}: .*{text}"):
        getattr(jaxcalc, transform)(lambda x: x[1:] ** 2, format=kind, **given)(jnp.ones(4))


def test_traced_indices_and_leaves_without_a_derivative():
    with pytest.raises(TypeError, match=r"jaxcalc.jacobian: rows must be known when"):
        jax.jit(lambda i: jaxcalc.jacobian(jnp.sin, rows=i)(jnp.ones(3)))(jnp.arange(2))
    with pytest.raises(TypeError, match="x is int32, and a derivative with respect to an integer"):
        jaxcalc.jacobian(lambda x: x * 2.0, rows=[0])(jnp.arange(3))
    with pytest.raises(TypeError, match=r"output.* is int32"):
        jaxcalc.jacobian(jnp.argmax, rows=[0])(jnp.ones(3))
    with pytest.raises(TypeError, match="holomorphic=True"):
        jaxcalc.jacobian(lambda x: x, rows=[0], mode="forward")(jnp.ones(3) * 1j)
