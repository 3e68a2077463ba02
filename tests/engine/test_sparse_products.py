"""Operations of `jax.experimental.sparse` against the same ones on dense arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import jaxcalc
from tests.in_numpy import in_numpy
from tests.thinned import thinned_product

RNG = np.random.default_rng(0)
A = np.where(RNG.random((6, 5)) < 0.3, RNG.normal(size=(6, 5)), 0).astype(np.float32)
NNZ = np.count_nonzero(A)
X = RNG.normal(size=5).astype(np.float32)
D = RNG.normal(size=(5, 3)).astype(np.float32)
PLACES = np.argwhere(A).astype(np.int32)
NUMBERS = A[tuple(PLACES.T)]
ORDERED = {"indices_sorted": True, "unique_indices": True}
BCOO = sparse.BCOO((jnp.asarray(NUMBERS), jnp.asarray(PLACES)), shape=A.shape, **ORDERED)
POINTERS = np.searchsorted(PLACES[:, 0], np.arange(7)).astype(np.int32)
BCSR = sparse.BCSR(
    (BCOO.data, jnp.asarray(PLACES[:, 1].copy()), jnp.asarray(POINTERS)), shape=A.shape, **ORDERED
)
PADDED = sparse.BCOO(  # as `fromdense` pads: zeros, out of bounds
    (
        jnp.asarray(np.pad(NUMBERS, (0, 4))),
        jnp.asarray(np.concatenate([PLACES, np.full((4, 2), A.shape, np.int32)])),
    ),
    shape=A.shape,
    **ORDERED,
)

BOTH = pytest.mark.parametrize("mode", ["forward", "reverse"])


def of_data(data, matrix=BCOO):
    if isinstance(matrix, sparse.BCSR):
        return sparse.BCSR((data, matrix.indices, matrix.indptr), shape=A.shape)
    return sparse.BCOO((data, matrix.indices), shape=A.shape)


ROWS, COLS = PLACES.T


def dense_of(data):
    return jnp.zeros(A.shape, data.dtype).at[ROWS, COLS].set(data)


CASES = {
    "matrix times vector": (lambda x: BCOO @ jnp.sin(x), lambda x: A @ jnp.sin(x), X, NNZ),
    "padded": (lambda x: PADDED @ jnp.sin(x), lambda x: A @ jnp.sin(x), X, NNZ),
    "by rows": (lambda x: BCSR @ jnp.sin(x), lambda x: A @ jnp.sin(x), X, NNZ),
    "matrix times matrix": (lambda d: BCOO @ d**2, lambda d: A @ d**2, D, 3 * NNZ),
    "by rows times matrix": (lambda d: BCSR @ d**2, lambda d: A @ d**2, D, 3 * NNZ),
    "vector times matrix": (lambda x: (x**2) @ BCOO.T, lambda x: (x**2) @ A.T, X, NNZ),
    "contracted over both axes": (
        lambda m: sparse.bcoo_dot_general(BCOO, m, dimension_numbers=(((0, 1), (0, 1)), ((), ()))),
        lambda m: jnp.sum(A * m),
        2 * A + 1,
        NNZ,
    ),
    "outer product": (
        lambda x: sparse.bcoo_dot_general(BCOO, x, dimension_numbers=(((), ()), ((), ()))),
        lambda x: A[..., None] * x,
        X[:2],
        2 * NNZ,
    ),
    "padded data, contracted over both axes": (
        lambda d: sparse.bcoo_dot_general(
            of_data(d, PADDED), 2 * A + 1, dimension_numbers=(((0, 1), (0, 1)), ((), ()))
        ),
        lambda d: jnp.sum(dense_of(d[:NNZ]) * (2 * A + 1)),
        PADDED.data + 1,
        NNZ,
    ),
    "padded data, outer product": (
        lambda d: sparse.bcoo_dot_general(
            of_data(d, PADDED), X[:2], dimension_numbers=(((), ()), ((), ()))
        ),
        lambda d: dense_of(d[:NNZ])[..., None] * X[:2],
        PADDED.data + 1,
        2 * NNZ,
    ),
    "data times vector": (lambda d: of_data(d) @ X, lambda d: dense_of(d) @ X, BCOO.data, NNZ),
    "data by rows": (lambda d: of_data(d, BCSR) @ X, lambda d: dense_of(d) @ X, BCSR.data, NNZ),
    "to dense": (lambda d: of_data(d * d).todense(), lambda d: dense_of(d * d), BCOO.data, NNZ),
    "to dense by rows": (
        lambda d: of_data(d * d, BCSR).todense(),
        lambda d: dense_of(d * d),
        BCSR.data,
        NNZ,
    ),
    "transposed": (lambda d: of_data(d).T.todense(), lambda d: dense_of(d).T, BCOO.data, NNZ),
    "sorted": (
        lambda d: sparse.BCOO((d[::-1], BCOO.indices[::-1]), shape=A.shape).sort_indices().data,
        lambda d: d,
        BCOO.data,
        NNZ,
    ),
    "elementwise": (
        lambda d: (of_data(d) * D[:, 0]) @ X,
        lambda d: dense_of(d) @ (D[:, 0] * X),
        BCOO.data,
        NNZ,
    ),
    "read off": (
        lambda m: sparse.bcoo_extract(BCOO, jnp.sin(m)).data,
        lambda m: jnp.sin(m)[ROWS, COLS],
        2 * A + 1,
        NNZ,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), thinned_product(CASES, ["forward", "reverse"]))
def test_known_places_are_the_pattern(name, mode):
    f, dense, x, entries = CASES[name]
    found = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(x)
    assert found.nnz == entries
    shape = found.output_side.shapes[0] + np.shape(x)
    np.testing.assert_allclose(
        found.toarray().reshape(shape), in_numpy(jax.jacfwd(dense))(x), rtol=1e-5, atol=1e-6
    )


def test_a_product_of_two_sparse_matrices():
    f = lambda d: (of_data(d) @ BCOO.T).todense()  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured", mode="forward", strict=True)(BCOO.data)
    expected = jax.jacfwd(lambda d: dense_of(d) @ A.T)(BCOO.data)
    np.testing.assert_allclose(found.todense(), expected, rtol=1e-5, atol=1e-6)


def test_hessian_of_a_sparse_quadratic_form():
    f = lambda x: jnp.sum(jnp.sin(BCOO @ x))  # noqa: E731
    found = jaxcalc.hessian(f, format="structured", strict=True)(X)
    expected = jax.hessian(lambda x: jnp.sum(jnp.sin(A @ x)))(X)
    np.testing.assert_allclose(found.todense(), expected, rtol=1e-5, atol=1e-6)
    assert found.nnz == np.count_nonzero((A != 0).T.astype(int) @ (A != 0).astype(int))


def test_places_that_are_traced_are_exact():
    def f(matrix):
        g = lambda x: matrix @ jnp.sin(x)  # noqa: E731
        return jaxcalc.jacobian(g, format="structured", strict=True)(X).todense()

    np.testing.assert_allclose(
        jax.jit(f)(BCOO), jax.jacfwd(lambda x: A @ jnp.sin(x))(X), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("n_batch", [1, 0])
def test_a_matrix_with_axes_of_its_own_is_exact(n_batch):
    stack = np.stack([A, 2 * A])
    matrix = sparse.BCOO.fromdense(stack, n_batch=n_batch, n_dense=1 - n_batch)
    numbers = (((2,), (0,)), ((), ())) if n_batch else (((1,), (0,)), ((), ()))
    x = X if n_batch else np.linspace(0, 1, 6, dtype=np.float32)
    f = lambda x: sparse.bcoo_dot_general(matrix, jnp.sin(x), dimension_numbers=numbers)  # noqa: E731
    dense = lambda x: jnp.tensordot(stack, jnp.sin(x), ((2 if n_batch else 1,), (0,)))  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured")(x)
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(dense))(x), rtol=1e-5, atol=1e-6)


def test_sparse_matrices_of_older_kinds_one_lane_after_the_other():
    matrix = sparse.CSR.fromdense(A, nse=NNZ, index_dtype=jnp.int32)
    with jax.ensure_compile_time_eval():
        f = lambda x: matrix @ jnp.sin(x)  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured")(X)
    np.testing.assert_allclose(found.todense(), jax.jacfwd(lambda x: A @ jnp.sin(x))(X), rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_float64_under_strict_settings():
    x = X.astype(np.float64)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        matrix = sparse.BCOO((BCOO.data.astype(np.float64), BCOO.indices), shape=A.shape)
        found = jaxcalc.jacobian(lambda x: matrix @ jnp.sin(x), format="structured", strict=True)(x)
        dense = found.todense()
    assert dense.dtype == np.float64
    np.testing.assert_allclose(
        dense, jax.jacfwd(lambda x: A.astype(np.float64) @ jnp.sin(x))(x), rtol=1e-12
    )
