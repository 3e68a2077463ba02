"""Jacobians in other formats, their blocks and parts, against dense JAX, numpy and scipy."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jacobians import dense_of, filled, of_mask, struct
from jax import dtypes
from jax.experimental.sparse import BCOO
from jax.tree_util import DictKey

from jaxcalc.results.jacobian import Jacobian, Layout, Side

IS_BCOO = {"is_leaf": lambda x: isinstance(x, BCOO)}


def network(x):
    """Tensors and pytrees on both sides; every block is dense."""
    hidden = jnp.tanh(x["w"] @ x["v"] + x["b"])
    return {"y": jnp.outer(hidden, hidden[:2]), "s": (jnp.sum(hidden**2),)}


def at(f, x, *, order=None, **options):
    """The Jacobian of f at x, out of dense JAX: the entries of a full matrix in any order."""
    inputs, outputs = Side.of(x), Side.of(jax.eval_shape(f, x))

    def column(x, e):
        return outputs.ravel(jax.tree.leaves(jax.jvp(f, (x,), (inputs.unravel(e),))[1]))

    identity = np.eye(inputs.size, dtype=np.float32)
    matrix = np.asarray(jax.jit(jax.vmap(column, (None, 0), 1))(x, identity))
    rows, cols = np.nonzero(np.ones_like(matrix))
    order = np.random.default_rng(0).permutation(rows.size) if order is None else order
    layout = Layout(rows[order], cols[order], inputs, outputs, **options)
    return Jacobian(jnp.asarray(matrix[layout.rows, layout.cols]), layout)


X = {"w": jnp.linspace(0, 1, 6).reshape(3, 2), "v": jnp.array([0.5, -1.0]), "b": jnp.float32(0.2)}


@pytest.mark.parametrize("order", [None, slice(None)])
def test_dense_is_what_jacfwd_returns(order):
    jacobian = at(network, X, order=order)
    expected = jax.jit(jax.jacfwd(network))(X)
    for result in (jacobian.todense(), jax.jit(lambda J: J.todense())(jacobian)):
        assert jax.tree.structure(result) == jax.tree.structure(expected)
        for got, want in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            np.testing.assert_allclose(got, want, rtol=1e-6)


def test_bcoo_is_dense_with_an_index_column_for_each_axis():
    jacobian = at(network, X)
    dense = jacobian.todense()
    for result in (jacobian.to_bcoo(), jax.jit(lambda J: J.to_bcoo())(jacobian)):
        leaves, treedef = jax.tree.flatten(result, **IS_BCOO)
        assert treedef == jax.tree.structure(dense)
        for got, want in zip(leaves, jax.tree.leaves(dense), strict=True):
            assert got.shape == want.shape
            assert (got.n_batch, got.n_dense, got.n_sparse) == (0, 0, want.ndim)
            assert got.indices.dtype == np.int32
            assert got.unique_indices
            np.testing.assert_array_equal(got.todense(), want)


@pytest.mark.parametrize("order", [None, slice(None)])
def test_bcoo_tells_the_truth_about_its_order(order):
    mask = np.random.default_rng(0).random((6, 8)) < 0.5
    jacobian = of_mask(mask, struct(2, 4), struct(3, 2), order=order)
    bcoo = jacobian.to_bcoo()
    flat = np.ravel_multi_index(tuple(np.asarray(bcoo.indices).T), bcoo.shape)
    assert bcoo.nse == jacobian.nnz == np.unique(flat).size
    assert bcoo.indices_sorted == (np.diff(flat) > 0).all() == (order is not None)
    np.testing.assert_array_equal(bcoo.todense(), dense_of(jacobian).reshape(3, 2, 2, 4))
    assert jacobian.sorted().to_bcoo().indices_sorted
    # the values are handed over as they are
    assert bcoo.data is jacobian.values


def test_bcoo_indices_are_uploaded_once():
    jacobian = of_mask(np.eye(5, dtype=bool))
    again = jax.tree.map(lambda x: 2 * x, jacobian)
    assert jacobian.to_bcoo().indices is again.to_bcoo().indices


def test_bcoo_beyond_two_to_the_31_elements():
    shape = (2, 256, 256)
    n = int(np.prod(shape))
    index = np.arange(n)
    jacobian = filled(index, index[::-1], struct(*shape), struct(*shape))
    bcoo = jacobian.to_bcoo()
    assert bcoo.shape == shape + shape
    assert bcoo.indices.shape == (n, 6)
    assert bcoo.indices[-1].tolist() == [1, 255, 255, 0, 0, 0]
    assert bcoo.indices_sorted


def test_hollow_shapes():
    for m, n in ((0, 3), (3, 0), (0, 0)):
        jacobian = filled([], [], struct(n), struct(m))
        assert jacobian.matrix().shape == (m, n)
        assert jacobian.todense().shape == (m, n)
        assert jacobian.to_bcoo().todense().shape == (m, n)
        assert jacobian.to_scipy().shape == (m, n)
        assert jacobian.diagonal().shape == (0,)
        assert jacobian.sorted().values.shape == (0,)
        assert "empty" in repr(jacobian)
    scalar = filled([0], [0], struct(), struct())
    assert scalar.todense().shape == scalar.to_bcoo().shape == ()
    np.testing.assert_array_equal(scalar.to_bcoo().todense(), scalar.values[0])
    nothing = Jacobian(jnp.zeros(0), Layout([], [], Side.of({}), Side.of(struct(2))))
    assert nothing.todense() == {}
    assert (nothing @ {}).tolist() == [0.0, 0.0]


def test_integer_leaves_give_float0_zeros():
    inputs = {"n": struct(2, dtype=np.int32), "x": struct(3)}
    outputs = {"k": struct(4, dtype=bool), "y": struct(2)}
    jacobian = filled([0, 1], [2, 0], inputs, outputs)
    assert jacobian.shape == (2, 3)
    for result in (jacobian.todense(), jacobian.to_bcoo()):
        assert result["y"]["n"].dtype == result["k"]["x"].dtype == dtypes.float0
        assert result["y"]["n"].shape == (2, 2)
        assert result["k"]["x"].shape == (4, 3)
    np.testing.assert_array_equal(jacobian.todense()["y"]["x"], jacobian.matrix())
    assert jacobian.block("y", "x").shape == (2, 3)
    assert jacobian.block("y", "n").shape == (2, 0)


def mixed_dtypes(dtype_from):
    inputs = {"a": struct(2), "b": struct(2, dtype=jnp.bfloat16), "c": struct(1, dtype=np.complex64)}
    mask = np.ones((2, 5), bool)
    jacobian = of_mask(mask, inputs, struct(2), dtype_from=dtype_from, dtype=np.complex64)
    return jacobian if dtype_from != "output" else jax.tree.map(jnp.real, jacobian)


@pytest.mark.parametrize(
    ("dtype_from", "expected"),
    [
        ("both", ("float32", "float32", "complex64")),
        ("input", ("float32", "bfloat16", "complex64")),
        ("output", ("float32", "float32", "float32")),
    ],
)
def test_blocks_have_the_dtypes_of_the_direction(dtype_from, expected):
    jacobian = mixed_dtypes(dtype_from)
    for result in (jacobian.todense(), jacobian.to_bcoo()):
        assert tuple(str(result[k].dtype) for k in "abc") == expected
    # what a user made of the values is left alone
    half = jax.tree.map(lambda v: v.real.astype(jnp.float16), jacobian)
    assert half.todense()["c"].dtype == jnp.float16


def test_matrix_of_every_kind_of_order():
    full = np.ones((4, 6), bool)
    for order in (None, slice(None), np.arange(24).reshape(4, 6).T.ravel()):
        jacobian = of_mask(full, order=order)
        np.testing.assert_array_equal(jacobian.matrix(), dense_of(jacobian).astype(np.float32))
        regular = "gather" not in str(jax.make_jaxpr(lambda J: J.matrix())(jacobian))
        assert regular == (order is not None)
    sparse = of_mask(np.random.default_rng(0).random((4, 6)) < 0.4)
    np.testing.assert_array_equal(sparse.matrix(), dense_of(sparse).astype(np.float32))


def test_dense_is_differentiable_and_batches():
    jacobian = of_mask(np.random.default_rng(0).random((4, 6)) < 0.4)
    weights = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    for dense in (lambda J: J.matrix(), lambda J: J.to_bcoo().todense(), lambda J: J.todense()):
        slope = jax.grad(lambda J: jnp.sum(weights * dense(J)))(jacobian)
        np.testing.assert_allclose(slope.values, weights[jacobian.rows, jacobian.cols], rtol=1e-6)
    batch = jax.tree.map(lambda v: jnp.stack([v, 2 * v]), jacobian)
    np.testing.assert_allclose(
        jax.vmap(lambda J: J.todense())(batch),
        np.stack([dense_of(jacobian), 2 * dense_of(jacobian)]),
        rtol=1e-6,
    )


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_scipy(kind):
    jacobian = of_mask(np.random.default_rng(0).random((5, 7)) < 0.4)
    sparse = jacobian.to_scipy(kind)
    assert sparse.format == kind
    np.testing.assert_array_equal(sparse.toarray(), np.asarray(jacobian.matrix()))
    if kind == "coo":
        np.testing.assert_array_equal(sparse.data, jacobian.values)
        return
    assert sparse.has_canonical_format
    fresh = type(sparse)((sparse.data, sparse.indices, sparse.indptr), shape=sparse.shape)
    assert fresh.has_canonical_format  # scipy's own check agrees
    sparse.indices[:] = 0  # what the caller does to it stays with the caller
    sparse.data[:] = 0
    np.testing.assert_array_equal(jacobian.to_scipy(kind).toarray(), np.asarray(jacobian.matrix()))


def test_scipy_knows_no_bfloat16():
    jacobian = of_mask(
        np.eye(3, dtype=bool), struct(3, dtype=jnp.bfloat16), struct(3, dtype=jnp.bfloat16)
    )
    assert jacobian.to_scipy().dtype == np.float32
    (jacobian.to_scipy() @ np.ones(3, np.float32)).tolist()


def test_scipy_at_size():
    n = 2_000_000
    index = np.arange(n)
    jacobian = filled(np.r_[index, index[1:]], np.r_[index, index[:-1]], struct(n), struct(n))
    sparse = jacobian.to_scipy()
    v = np.random.default_rng(0).normal(size=n).astype(np.float32)
    np.testing.assert_allclose(sparse @ v, jacobian @ v, rtol=1e-5, atol=1e-5)


def test_scipy_needs_numbers():
    jacobian = of_mask(np.eye(3, dtype=bool))
    with pytest.raises(
        TypeError, match=r"to_scipy: the values are traced \(float32\[3\]\).*to_bcoo inside"
    ):
        jax.jit(lambda J: J.to_scipy())(jacobian)
    with pytest.raises(ValueError, match="unknown format 'dok'; it can be 'coo', 'csc', 'csr'"):
        jacobian.to_scipy("dok")


@pytest.mark.parametrize(
    ("missing", "call", "text"),
    [
        ("scipy", lambda J: J.to_scipy(), "to_scipy needs scipy.*pip install scipy"),
        ("matplotlib", lambda J: J.plot(), r'plot needs matplotlib.*pip install "jaxcalc\[plot\]"'),
    ],
)
def test_optional_packages_that_are_missing(monkeypatch, missing, call, text):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == missing:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=text):
        call(of_mask(np.eye(3, dtype=bool)))


def test_plot_draws_the_pattern_where_the_entries_are():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    mask = np.random.default_rng(0).random((5, 7)) < 0.4
    ax = of_mask(mask).plot()
    image = ax.images[0]
    opacity = np.asarray(image.get_array())[..., 3]
    np.testing.assert_array_equal(opacity > 0, mask)
    assert image.get_extent() == [-0.5, 6.5, 4.5, -0.5]
    assert "5 x 7" in ax.get_title()
    again = of_mask(np.zeros((3, 3), bool)).plot(ax)
    assert again is ax
    plt.close(ax.figure)


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4)])
def test_diagonal(shape):
    for seed in range(3):
        jacobian = of_mask(np.random.default_rng(seed).random(shape) < 0.5, seed=seed)
        expected = np.diagonal(dense_of(jacobian)).astype(np.float32)
        np.testing.assert_array_equal(jacobian.diagonal(), expected)
        np.testing.assert_array_equal(jax.jit(lambda J: J.diagonal())(jacobian), expected)


def test_one_leaf_by_another():
    jacobian = at(network, X)
    dense = jacobian.todense()
    for output_path, input_path in (
        ("['y']", "['w']"),
        ("y", "w"),
        (("y",), (DictKey("w"),)),
        ((DictKey("y"),), ("w",)),
    ):
        part = jacobian.block(output_path, input_path)
        assert part.shape == (6, 6)
        np.testing.assert_array_equal(part.todense(), dense["y"]["w"])
    for path in ("['s'][0]", "s/0", ("s", 0)):
        np.testing.assert_array_equal(jacobian.block(path, "b").todense(), dense["s"][0]["b"])
    by_v = jacobian.block(None, "v").todense()
    np.testing.assert_array_equal(by_v["y"], dense["y"]["v"])
    of_y = jacobian.block("y").todense()
    np.testing.assert_array_equal(of_y["b"], dense["y"]["b"])
    assert jacobian.block().layout == jacobian.layout
    assert jacobian.block("y", "w").layout is jacobian.block("y", "w").layout
    inner = jax.jit(lambda J: J.block("y", "v").todense())(jacobian)
    np.testing.assert_array_equal(inner, dense["y"]["v"])


def test_a_bare_side_has_the_empty_path():
    jacobian = of_mask(np.eye(3, dtype=bool))
    assert jacobian.block("", ()).layout == jacobian.layout


def test_unknown_leaves_are_listed():
    jacobian = at(network, X)
    with pytest.raises(
        ValueError,
        match=r"""block: the output has no leaf at 'z'; its leaves: "\['s'\]\[0\]", "\['y'\]".""",
    ):
        jacobian.block("z")
    with pytest.raises(ValueError, match=r"the input has no leaf at \('w', 3\)"):
        jacobian.block("y", ("w", 3))
    many = filled([], [], [struct()] * 20, struct(1))
    with pytest.raises(ValueError, match=r"\.\.\. \(20 leaves\)"):
        many.block(None, "x")
