"""The Jacobian as a matrix and as a pytree, against dense numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jacobians import dense_of, filled, of_mask, struct, tolerance
from jax import dtypes
from jax.flatten_util import ravel_pytree

import jaxcalc
from jaxcalc.heuristics import tuned
from jaxcalc.results import product_plans, products
from jaxcalc.results.jacobian import Jacobian, Layout, Side

INPUT = {"w": struct(2, 3), "n": struct(2, dtype=np.int32), "b": struct()}
OUTPUT = (struct(4), [struct(1, 2)])


def mixed(dtype=None) -> Jacobian:
    """6 x 7, half full, pytrees on both sides with an integer leaf among the inputs."""
    mask = np.random.default_rng(3).random((6, 7)) < 0.5
    return of_mask(mask, INPUT, OUTPUT, dtype=dtype)


def tridiagonal(n, m=None):
    return sum(np.eye(n, m or n, k=k) for k in (-1, 0, 1)).astype(bool)


def lane_order(count, inputs, outputs):
    """Entries of a block diagonal as lanes hold them: input, sample, output."""
    i, b, j = np.meshgrid(range(inputs), range(count), range(outputs), indexing="ij")
    return (b * outputs + j).ravel(), (b * inputs + i).ravel()


def lanes(rows, cols, m, n):
    return filled(rows, cols, struct(n), struct(m))


def diagonal_order(mask):
    rows, cols = np.nonzero(mask)
    return np.lexsort((rows, cols - rows))


FULL = np.ones((5, 4), bool)
ONE_ROW = np.zeros((40, 50), bool)
ONE_ROW[7] = True
HOLES = np.eye(12, k=1, dtype=bool) | np.eye(12, dtype=bool)
HOLES[3, 4] = HOLES[6, 6] = False
ARROW = np.eye(50, dtype=bool)
ARROW[-1] = ARROW[:, -1] = True
MATRICES = {
    "empty": lambda: of_mask(np.zeros((3, 4), bool)),
    "no rows": lambda: of_mask(np.zeros((0, 4), bool)),
    "no columns": lambda: of_mask(np.zeros((3, 0), bool)),
    "one by one": lambda: of_mask(np.ones((1, 1), bool)),
    "diagonal": lambda: of_mask(np.eye(5, dtype=bool), order=slice(None)),
    "diagonal, rectangular": lambda: of_mask(np.eye(5, 7, dtype=bool), order=slice(None)),
    "shifted": lambda: of_mask(np.eye(9, k=3, dtype=bool), order=slice(None)),
    "dense": lambda: of_mask(FULL, order=slice(None)),
    "dense by columns": lambda: of_mask(FULL, order=np.arange(20).reshape(5, 4).T.ravel()),
    "dense, shuffled": lambda: of_mask(FULL),
    "blocks in lanes": lambda: lanes(*lane_order(3, 4, 5), 15, 12),
    "blocks in many lanes": lambda: lanes(*lane_order(2, 70, 3), 6, 140),
    "tridiagonal": lambda: of_mask(tridiagonal(9), order=diagonal_order(tridiagonal(9))),
    "tridiagonal by rows": lambda: of_mask(tridiagonal(9), order=slice(None)),
    "tridiagonal, wide": lambda: of_mask(tridiagonal(9, 14)),
    "tridiagonal, tall": lambda: of_mask(tridiagonal(14, 9)),
    "holes": lambda: of_mask(HOLES),
    "arrow": lambda: of_mask(ARROW),
    "one full row": lambda: of_mask(ONE_ROW),
    "irregular": lambda: of_mask(np.random.default_rng(0).random((12, 20)) < 0.3),
    "irregular, sorted": lambda: of_mask(
        np.random.default_rng(0).random((20, 12)) < 0.3, order=slice(None)
    ),
    "pytrees": mixed,
}


@pytest.fixture(autouse=True)
def small_matrices_use_every_plan():
    with tuned(fewest_planned_entries=0):
        yield


@pytest.fixture(params=sorted(MATRICES))
def jacobian(request) -> Jacobian:
    return MATRICES[request.param]()


def test_products_with_vectors_and_matrices(jacobian):
    dense, (m, n) = dense_of(jacobian), jacobian.shape
    rng = np.random.default_rng(5)
    others = []
    for width in (None, 1, 3):
        v = rng.normal(size=(n,) if width is None else (n, width)).astype(np.float32)
        u = rng.normal(size=(m,) if width is None else (width, m)).astype(np.float32)
        others.append((v, u))

    @jax.jit
    def everything(J, others):
        return [(jax.tree.leaves(J @ v), J.T @ u.T, u @ J) for v, u in others]

    for width, (v, u), found in zip((None, 1, 3), others, everything(jacobian, others), strict=True):
        product, transposed, row_product = found
        got = ravel_pytree(product)[0].reshape(m, *v.shape[1:]) if width is None else product[0]
        np.testing.assert_allclose(got, dense @ v, rtol=1e-5, atol=1e-5)
        # arrays of numpy must not swallow the Jacobian
        for back in (row_product, u @ jacobian) if width == 3 else (row_product,):
            flat = (
                np.concatenate(
                    [np.ravel(g) for g in jax.tree.leaves(back) if g.dtype != dtypes.float0] or [[]]
                )
                if width is None
                else back
            )
            np.testing.assert_allclose(flat, u @ dense, rtol=1e-5, atol=1e-5)
        if width is not None:
            np.testing.assert_allclose(transposed, dense.T @ u.T, rtol=1e-5, atol=1e-5)


def test_products_under_transformations(jacobian):
    dense, n = dense_of(jacobian), jacobian.shape[1]
    side = jacobian.input_side
    if side.treedef.num_leaves > 1:
        pytest.skip("vectors only; pytrees have a test of their own")
    v = np.random.default_rng(6).normal(size=n).astype(np.float32)

    def energy(jacobian, v):
        return jnp.sum((jacobian @ v) ** 2)

    @jax.jit
    def everything(jacobian, v):
        batch = jax.tree.map(lambda x: jnp.stack([x, 3 * x]), jacobian)
        return (
            jax.grad(energy, (0, 1))(jacobian, v),
            jax.jvp(lambda J: J @ v, (jacobian,), (jacobian * 2.0,))[1],
            jax.vmap(lambda J, v: J @ v)(batch, jnp.stack([v, v])),
            jax.vmap(lambda v: jacobian @ v)(jnp.stack([v, -v])),
        )

    (by_jacobian, by_v), tangent, both, only_v = everything(jacobian, v)
    residual = dense @ v
    np.testing.assert_allclose(by_v, 2 * dense.T @ residual, rtol=1e-4, atol=1e-4)
    assert isinstance(by_jacobian, Jacobian)
    assert by_jacobian.layout is jacobian.layout
    np.testing.assert_allclose(
        by_jacobian.values, 2 * residual[jacobian.rows] * v[jacobian.cols], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(tangent, 2 * residual, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(both, [residual, 3 * residual], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(only_v, [residual, -residual], rtol=1e-4, atol=1e-4)


def test_the_plans_that_are_meant_to_be_chosen():
    """Each matrix above takes the plan that its name suggests, so that all plans are tested."""

    def plan(name):
        layout = MATRICES[name]().layout
        if product_plans._grid_plan(layout) is not None:
            return "grid"
        return "scatter" if product_plans._lane_plan(layout) is None else "lanes"

    grid = (
        "diagonal",
        "shifted",
        "dense",
        "dense by columns",
        "blocks in lanes",
        "blocks in many lanes",
    )
    assert {plan(name) for name in grid} == {"grid"}
    assert {plan(name) for name in ("tridiagonal", "tridiagonal by rows", "holes", "irregular")} == {
        "lanes"
    }
    assert {plan(name) for name in ("arrow",)} == {"scatter"}


def test_a_regular_product_has_no_index_arrays_in_the_program():
    n = 1000
    mask_rows = np.concatenate([np.arange(n), np.arange(1, n), np.arange(n - 1)])
    mask_cols = np.concatenate([np.arange(n), np.arange(n - 1), np.arange(1, n)])
    for jacobian in (
        filled(mask_rows, mask_cols, struct(n), struct(n)),
        lanes(*lane_order(100, 8, 10), 1000, 800),
    ):
        jaxpr = jax.make_jaxpr(lambda J, v: J @ v)(jacobian, jnp.ones(jacobian.shape[1]))
        assert jaxpr.consts == []
        assert "gather" not in str(jaxpr)
        assert "scatter" not in str(jaxpr)


def test_entries_that_are_missing_are_not_read_as_zero_times_infinity():
    for name in ("holes", "arrow", "irregular", "tridiagonal by rows"):
        jacobian = MATRICES[name]()
        dense = dense_of(jacobian)
        v = np.ones(jacobian.shape[1], np.float32)
        v[4] = np.inf
        touched = dense[:, 4] != 0
        got = np.asarray(jacobian @ jnp.asarray(v))
        assert np.isfinite(got[~touched]).all(), name
        assert np.isinf(got[touched]).all(), name


def test_products_with_pytrees_have_the_structure_of_the_other_side():
    jacobian = mixed()
    dense = dense_of(jacobian)
    v = {"w": jnp.arange(6.0).reshape(2, 3), "n": np.zeros(2, dtypes.float0), "b": jnp.float32(7)}
    result = jacobian @ v
    # ravel_pytree sorts dictionary keys: b, (n), w
    expected = dense @ np.r_[7.0, np.arange(6)]
    assert jax.tree.structure(result) == jax.tree.structure(OUTPUT)
    np.testing.assert_allclose(result[0], expected[:4], rtol=1e-5)
    np.testing.assert_allclose(result[1][0], expected[4:].reshape(1, 2), rtol=1e-5)
    u = (jnp.arange(4.0), [jnp.ones((1, 2))])
    back = u @ jacobian
    expected = np.r_[np.arange(4), 1, 1] @ dense
    assert back["n"].dtype == dtypes.float0
    np.testing.assert_allclose(back["b"], expected[0], rtol=1e-5)
    np.testing.assert_allclose(back["w"], expected[1:].reshape(2, 3), rtol=1e-5)
    # a flat vector gives a flat vector
    np.testing.assert_allclose(jacobian @ jnp.ones(7), dense.sum(1), rtol=1e-5)


def test_the_own_structure_comes_before_a_flat_vector():
    jacobian = filled([0, 1], [0, 1], struct(2), {"y": struct(2)})
    assert set(jacobian @ jnp.ones(2)) == {"y"}
    # and before a matrix: an input of shape (2, 1) is no matrix with one column
    jacobian = filled([0, 1], [0, 1], struct(2, 1), {"y": struct(2)})
    assert set(jacobian @ jnp.ones((2, 1))) == {"y"}
    assert (jacobian @ jnp.ones((2, 3))).shape == (2, 3)
    scalar = filled([0], [0], struct(), struct())
    assert (scalar @ 2.0).shape == ()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "complex64"])
def test_dtypes(dtype):
    inputs, outputs = struct(7, dtype=jnp.dtype(dtype)), struct(6, dtype=jnp.dtype(dtype))
    jacobian = of_mask(np.random.default_rng(3).random((6, 7)) < 0.5, inputs, outputs)
    dense = dense_of(jacobian)
    assert jacobian.dtype == dtype
    v = jnp.ones(7, dtype)
    assert (jacobian @ v).dtype == dtype
    np.testing.assert_allclose(
        np.asarray(jacobian @ v, dense.dtype),
        dense.sum(1),
        rtol=tolerance(dtype),
        atol=tolerance(dtype),
    )
    # no conjugation: v @ J is the transpose's product, as in numpy
    if dtype == "complex64":
        np.testing.assert_allclose(jnp.full(6, 1j) @ jacobian, 1j * dense.sum(0), rtol=1e-5)


def test_float64(x64):
    jacobian = mixed(np.float64)
    v = np.linspace(0, 1, 7)
    np.testing.assert_allclose(jacobian @ v, dense_of(jacobian) @ v, rtol=1e-14)


def test_leaves_of_several_dtypes_under_strict_promotion():
    inputs = {"a": struct(2), "b": struct(2, dtype=jnp.bfloat16)}
    jacobian = filled([0, 1, 0], [0, 1, 3], inputs, struct(2))
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        result = jacobian @ {"a": jnp.ones(2), "b": jnp.ones(2, jnp.bfloat16)}
        back = jnp.ones(2) @ jacobian
        jacobian @ jnp.ones((4, 2))
        jacobian.todense()
        jacobian.diagonal()
    assert result.dtype == np.float32
    assert (back["a"].dtype, back["b"].dtype) == (np.float32, jnp.bfloat16)


def test_transposing_twice_gives_the_same_layout():
    jacobian = mixed()
    assert jacobian.T.T.layout is jacobian.layout
    assert jacobian.T.shape == (7, 6)
    np.testing.assert_array_equal(jacobian.T.matrix(), jacobian.matrix().T)
    assert jacobian.T.input_side == jacobian.output_side


def test_sorted_is_row_major_and_the_same_matrix(jacobian):
    ordered = jacobian.sorted()
    key = ordered.rows.astype(np.int64) * max(1, ordered.shape[1]) + ordered.cols
    assert (np.diff(key) > 0).all()
    np.testing.assert_array_equal(dense_of(ordered), dense_of(jacobian))
    assert ordered.sorted().layout is ordered.layout
    assert jacobian.sorted().layout is ordered.layout
    assert ordered.pattern == jacobian.pattern


def test_values_of_full_blocks_are_sorted_without_a_gather():
    jacobian = lanes(*lane_order(3, 4, 5), 15, 12)
    jaxpr = jax.make_jaxpr(lambda J: J.sorted())(jacobian)
    assert jaxpr.consts == []
    assert "gather" not in str(jaxpr)


def test_scaling_and_adding():
    jacobian = mixed()
    dense = dense_of(jacobian)
    for result, expected in (
        (jacobian * 2, dense * 2),
        (np.float32(2) * jacobian, dense * 2),
        (jnp.float32(2) * jacobian, dense * 2),
        (jacobian / 4.0, dense / 4),
        (-jacobian, -dense),
        (jacobian + jacobian, 2 * dense),
        (jacobian - jacobian * 3, -2 * dense),
    ):
        np.testing.assert_allclose(dense_of(result), expected, rtol=1e-6)
        assert result.layout is jacobian.layout
    with pytest.raises(TypeError, match=r"J \* c takes a number c"):
        jacobian * jnp.ones(7)
    with pytest.raises(ValueError, match=r"J1 \+ J2 needs two Jacobians with the same entries"):
        jacobian + jacobian.sorted()


def test_it_passes_through_scan_device_put_and_tree_map():
    jacobian = of_mask(tridiagonal(9))
    dense = dense_of(jacobian)

    def step(carry, _):
        jacobian, v = carry
        return (jacobian * 0.5, jacobian @ v), jacobian

    (last, v), history = jax.lax.scan(step, (jacobian, jnp.ones(9)), length=3)
    np.testing.assert_allclose(v, dense @ (dense * 0.5) @ (dense * 0.25) @ np.ones(9), rtol=1e-4)
    assert history.values.shape == (3, jacobian.nnz)
    np.testing.assert_allclose(last.values, jacobian.values / 8)
    moved = jax.device_put(jacobian, jax.devices()[0])
    np.testing.assert_array_equal(moved.values, jacobian.values)
    assert jax.tree.map(lambda x: x.shape, jacobian).values == (jacobian.nnz,)
    assert jax.tree_util.tree_leaves_with_path(jacobian)[0][0] == (jax.tree_util.GetAttrKey("values"),)
    assert jax.eval_shape(lambda J: J, jacobian).dtype == np.float32


def test_an_equal_layout_does_not_retrace():
    traces = []

    @jax.jit
    def f(jacobian, v):
        traces.append(1)
        return jacobian @ v

    for _ in range(2):
        f(mixed(), jnp.ones(7))  # two layouts, equal by content
    assert len(traces) == 1
    f(mixed().sorted(), jnp.ones(7))
    assert len(traces) == 2


def test_a_product_is_planned_and_compiled_once(calls_of, compilations):
    plans = calls_of(products, "product_plan")
    jacobian, v = of_mask(tridiagonal(9)), jnp.ones(9)
    scaled = [jacobian * scale for scale in (1.0, 2.0, 3.0)]
    jacobian @ v
    compilations.clear()
    for J in scaled:
        J @ v
    assert not compilations
    for J in scaled:
        jax.jit(lambda J: J @ v)(J)
    assert len(plans) == 1


def test_layouts_are_compared_by_content():
    def layout(rows, cols, inputs=INPUT, **options):
        return Layout(rows, cols, Side.of(inputs), Side.of(OUTPUT), **options)

    one = layout([0, 1], [0, 1])
    assert one == layout(np.array([0, 1]), np.array([0, 1], np.int64))
    assert hash(one) == hash(layout([0, 1], [0, 1]))
    assert one == layout([0, 1], [0, 1], locate=lambda row, col: "line 3")
    assert one != layout([1, 0], [1, 0])
    assert one != layout([0, 1], [0, 2])
    assert one != layout([0, 1], [0, 1], inputs=struct(7))
    assert one != layout([0, 1], [0, 1], dtype_from="input")
    # a difference that the hash's sample of entries misses
    n = 10_000
    index = np.arange(n)
    other = index.copy()
    other[[3, 5]] = other[[5, 3]]
    big = [Layout(index, cols, Side.of(struct(n)), Side.of(struct(n))) for cols in (index, other)]
    assert hash(big[0]) == hash(big[1])
    assert big[0] != big[1]


def test_a_layout_is_freed_with_its_jacobian():
    import gc
    import weakref

    jacobian = of_mask(np.random.default_rng(0).random((30, 30)) < 0.2)
    jacobian @ jnp.ones(30)
    jacobian.T @ jnp.ones(30)
    jacobian.matrix()
    alive = weakref.ref(jacobian.layout)
    del jacobian
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("rows", "cols", "error", "text"),
    [
        ([0, 1], [0], ValueError, "2 rows were given 1 columns"),
        ([6], [0], ValueError, "rows must be at least 0 and below 6, got 6 to 6"),
        ([0], [7], ValueError, "cols must be at least 0 and below 7"),
        ([0.5], [0], TypeError, "rows must be integers, got float64"),
    ],
)
def test_bad_layouts_are_refused(rows, cols, error, text):
    with pytest.raises(error, match=text):
        Layout(rows, cols, Side.of(INPUT), Side.of(OUTPUT))


def test_values_must_fit_the_layout():
    with pytest.raises(ValueError, match=r"values of shape \[3\] do not fit a layout of 2 entries"):
        Jacobian(jnp.ones(3), Layout([0, 1], [0, 1], Side.of(INPUT), Side.of(OUTPUT)))


@pytest.mark.parametrize(
    ("operand", "text"),
    [
        (jnp.ones(6), r"J @ v got an array float32\[6\]; expected the structure of the input"),
        (jnp.ones((6, 7)), r"a flat vector \[7\] or a matrix \[7, K\]"),
        (jnp.ones((7, 2, 2)), r"got an array float32\[7, 2, 2\]"),
        ({"w": jnp.ones((2, 3))}, r"got a dict \(\['w'\]: float32\[2, 3\]\)"),
        (3.0, "got 3.0 of type float"),
    ],
)
def test_operands_that_do_not_fit(operand, text):
    with pytest.raises(ValueError, match=text):
        mixed() @ operand


def test_left_operands_that_do_not_fit():
    with pytest.raises(ValueError, match=r"v @ J got an array float32\[7\].*the output.*\[K, 6\]"):
        jnp.ones(7) @ mixed()
    with pytest.raises(TypeError, match=r"J1 @ J2.*J2\.matrix\(\)"):
        mixed() @ mixed()


def test_a_batch_of_jacobians_says_how_to_use_it():
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), mixed())
    assert batch.shape == (6, 7)
    for call in (
        lambda: batch @ jnp.ones(7),
        lambda: jnp.ones(6) @ batch,
        batch.matrix,
        batch.todense,
        batch.to_bcoo,
        batch.to_scipy,
        batch.sorted,
        batch.diagonal,
        batch.blocks,
        batch.block,
    ):
        with pytest.raises(ValueError, match=r"a batch of Jacobians, as vmap returns it.*jax\.vmap"):
            call()
    dense = jax.vmap(lambda J: J.matrix())(batch)
    np.testing.assert_array_equal(dense, np.stack([mixed().matrix()] * 2))


def test_repr_of_values_traced_batched_and_missing():
    jacobian = of_mask(tridiagonal(1000), order=slice(None))
    words = "Jacobian(1,000 x 1,000, 2,998 nonzeros (0.3 %), tridiagonal, float32"
    assert repr(jacobian) == f"{words}; float32[1000] -> float32[1000])"
    seen = []
    jax.jit(lambda J: seen.append(repr(J)) or J.values)(jacobian)
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), jacobian)
    jax.vmap(lambda J: seen.append(repr(J)) or J.values)(batch)
    assert seen == [repr(jacobian)] * 2
    assert repr(batch).startswith(f"{words}, batch of 2;")
    assert "values: str" in repr(jax.tree.map(lambda _: "none", jacobian))
    for shown in (jacobian, batch):
        html = shown._repr_html_()
        assert "tridiagonal" in html
        assert "<svg" in html
    assert "batch of 2" in batch._repr_html_()
    assert "(['b']: float32[], ['n']: int32[2], ['w']: float32[2, 3])" in repr(mixed())


def test_html_escapes_names():
    jacobian = filled([0], [0], {"<b>": struct(1)}, struct(1))
    assert "<b>" not in jacobian._repr_html_()
    assert "&lt;b&gt;" in jacobian._repr_html_()


@pytest.mark.parametrize("n", [131_072, 2_000_000])
def test_products_beyond_two_to_the_31_elements(n):
    """Row * n + column does not fit 32 bits."""
    index = np.arange(n)
    rows = np.concatenate([index, index[:-1], index[::2]])
    cols = np.concatenate([index, index[1:], (index[::2] + n // 2 + 1) % n])
    jacobian = filled(rows, cols, struct(n), struct(n))
    assert jacobian.rows.dtype == jacobian.cols.dtype == np.int32
    v = np.random.default_rng(0).normal(size=n).astype(np.float32)
    values = np.asarray(jacobian.values, np.float64)
    expected = np.bincount(rows, values * v[cols], n)
    np.testing.assert_allclose(jacobian @ jnp.asarray(v), expected, rtol=1e-4, atol=1e-5)
    expected = np.bincount(cols, values * v[rows], n)
    np.testing.assert_allclose(jnp.asarray(v) @ jacobian, expected, rtol=1e-4, atol=1e-5)
    ordered = jacobian.sorted()
    assert (np.diff(ordered.rows.astype(np.int64) * n + ordered.cols) > 0).all()
    diagonal = np.asarray(jacobian.diagonal())
    np.testing.assert_array_equal(diagonal, jacobian.values[:n])


@pytest.mark.parametrize("complex_side", ["input", "output"])
def test_a_transpose_times_a_vector_is_the_vector_times_the_matrix(complex_side):
    """Of a derivative from real to complex numbers too, and of one from complex to real ones."""
    sides = {name: {"a": struct(2), "b": struct()} for name in ("input", "output")}
    sides[complex_side] = {"c": struct(3, dtype=np.complex64)}
    mask = np.random.default_rng(4).random((3, 3)) < 0.7
    J = of_mask(mask, sides["input"], sides["output"], dtype_from=complex_side)
    dense = dense_of(J)
    u = np.random.default_rng(5).normal(size=3).astype(np.float32) + np.complex64(1j)
    given = J.output_side.unravel(u, J.output_side.dtypes if complex_side == "input" else None)
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(given)])
    rows = [given @ J if isinstance(given, jax.Array) else J.__rmatmul__(given), J.T @ given]
    for row in rows:
        assert jax.tree.structure(row) == J.input_side.treedef
        found = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(row)])
        np.testing.assert_allclose(found, flat @ dense, rtol=1e-5)
    assert J.T.T.layout is J.layout
    assert J.T.sorted().layout.is_transpose


def test_a_vector_times_a_complex_derivative_keeps_its_imaginary_part():
    # exp(i x): row k of the Jacobian is i exp(i x_k) e_k
    x = np.array([0.5, 2.0], np.float32)
    J = jaxcalc.jacobian(lambda x: jnp.exp(1j * x), format="structured")(x)
    weights = np.array([2.0, -1.0], np.float32)
    np.testing.assert_allclose(weights @ J, weights * 1j * np.exp(1j * x), rtol=1e-6)
    np.testing.assert_allclose((1j * weights) @ J, -weights * np.exp(1j * x), rtol=1e-6)
    tree = jaxcalc.jacobian(lambda p: jnp.exp(1j * p["x"]), format="structured")({"x": x})
    np.testing.assert_allclose((weights @ tree)["x"], weights @ tree.matrix(), rtol=1e-6)
