"""Patterns: entries, comparison, and their structure in words, against plain numpy."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc.engine.patterns.structure import equal_blocks
from jaxcalc.results.pattern import SparsityPattern


def of_dense(dense: np.ndarray) -> SparsityPattern:
    return SparsityPattern(*np.nonzero(dense), dense.shape)


@given(st.integers(0, 7), st.integers(0, 7), st.floats(0, 1), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_entries_in_any_order_become_the_same_pattern(m, n, density, seed):
    rng = np.random.default_rng(seed)
    dense = rng.random((m, n)) < density
    rows, cols = np.nonzero(dense)
    shuffled = rng.permutation(rows.size)
    pattern = SparsityPattern.from_entries(rows[shuffled], cols[shuffled], (m, n))
    assert pattern == of_dense(dense)
    assert hash(pattern) == hash(of_dense(dense))
    np.testing.assert_array_equal(pattern.todense(), dense)
    np.testing.assert_array_equal(pattern.rows, rows)
    np.testing.assert_array_equal(pattern.cols, cols)
    assert pattern.nnz == dense.sum()
    assert pattern.density == (dense.mean() if dense.size else 0.0)


def test_patterns_differ_by_an_entry_and_by_shape():
    pattern = SparsityPattern([0, 1], [0, 1], (2, 2))
    assert pattern != SparsityPattern([0, 1], [0, 0], (2, 2))
    assert pattern != SparsityPattern([0, 1], [0, 1], (2, 3))
    assert pattern != "pattern"
    assert len({pattern, SparsityPattern([0, 1], [0, 1], (2, 2))}) == 1


def test_a_pattern_is_a_static_argument_that_is_traced_once():
    traces = []

    @jax.jit
    def plain(x):
        return x

    def f(x, pattern):
        traces.append(1)
        return x * pattern.nnz

    f = jax.jit(f, static_argnums=1)
    for _ in range(2):
        assert f(1.0, SparsityPattern([0, 1], [0, 1], (2, 2))) == 2.0
    assert len(traces) == 1


def test_index_dtype_grows_only_when_an_axis_needs_it():
    big = 2**31 - 1
    product = SparsityPattern.from_entries([big - 1, 0], [big - 1, 5], (big, big))
    assert product.rows.dtype == product.cols.dtype == np.int32
    assert product.rows.tolist() == [0, big - 1]
    wide = SparsityPattern.from_entries([1, 0], [2**40, 3], (2, 2**41))
    assert wide.cols.dtype == np.int64
    assert wide.cols.tolist() == [3, 2**40]
    # M * N beyond int64
    huge = SparsityPattern.from_entries([2**39, 0], [1, 2**39], (2**40, 2**40))
    assert huge.rows.tolist() == [0, 2**39]


def test_a_key_that_would_wrap_in_32_bits_stays_in_order():
    n = 131_072
    # in int32, row * n + col of the first entry is negative
    pattern = SparsityPattern.from_entries([20_000, 1], [0, 7], (n, n))
    assert pattern.rows.tolist() == [1, 20_000]


def test_arrays_cannot_be_changed_and_the_caller_keeps_the_own():
    rows = np.array([0, 1], np.int32)
    pattern = SparsityPattern(rows, rows, (2, 2))
    with pytest.raises(ValueError, match="read-only"):
        pattern.rows[0] = 1
    assert rows.flags.writeable


@pytest.mark.parametrize(
    ("rows", "cols", "shape", "error", "text"),
    [
        (
            [1, 0],
            [0, 0],
            (2, 2),
            ValueError,
            "not in row-major order; use SparsityPattern.from_entries",
        ),
        ([0, 0], [1, 1], (2, 2), ValueError, "an entry occurs twice"),
        ([2], [0], (2, 2), ValueError, "rows must be at least 0 and below 2, got 2 to 2"),
        ([0], [-1], (2, 2), ValueError, "cols must be at least 0 and below 2, got -1"),
        ([0.0], [0], (2, 2), TypeError, "rows must be integers, got float64"),
        ([[0]], [0], (2, 2), ValueError, "rows must be one-dimensional"),
        ([0, 1], [0], (2, 2), ValueError, "2 rows were given 1 columns"),
        ([], [], (-1, 2), ValueError, "a shape cannot be negative"),
    ],
)
def test_bad_entries_are_refused(rows, cols, shape, error, text):
    with pytest.raises(error, match=text):
        SparsityPattern(rows, cols, shape)


def test_repeated_entries_in_any_order_are_refused():
    with pytest.raises(ValueError, match="an entry occurs twice"):
        SparsityPattern.from_entries([0, 1, 0], [1, 0, 1], (2, 2))
    with pytest.raises(ValueError, match="an entry occurs twice"):
        SparsityPattern.from_entries([0, 1, 0], [1, 0, 1], (2**40, 2**40))


def block_diagonal(count, m, n):
    return np.kron(np.eye(count), np.ones((m, n)))


def arrow(n, *, end=True):
    dense = np.eye(n)
    dense[-1 if end else 0] = dense[:, -1 if end else 0] = 1
    return dense


@pytest.mark.parametrize(
    ("dense", "words"),
    [
        (np.zeros((3, 4)), "empty"),
        (np.zeros((0, 4)), "empty"),
        (np.ones((1, 1)), "dense"),
        (np.ones((3, 4)), "dense"),
        (np.eye(5), "diagonal"),
        (np.eye(5, 7), "diagonal"),
        (np.diag([1, 0, 1]), "diagonal"),
        (np.eye(9) + np.eye(9, k=1) + np.eye(9, k=-1), "tridiagonal"),
        (np.eye(9) + np.eye(9, k=1), "upper bidiagonal"),
        (np.eye(9) + np.eye(9, k=-1), "lower bidiagonal"),
        (sum(np.eye(20, k=k) for k in (-2, -1, 0, 1)), "banded (lower 2, upper 1)"),
        (sum(np.eye(30, k=k) for k in (-6, -1, 0, 1, 6)), "5 diagonals at -6, -1, 0, 1, 6"),
        (np.eye(9, k=4), "1 diagonal at 4"),
        (block_diagonal(4, 3, 3), "block diagonal (4 blocks of 3 x 3)"),
        (block_diagonal(4, 2, 5), "block diagonal (4 blocks of 2 x 5)"),
        (arrow(30), "arrow (1 full row and column)"),
        (arrow(30, end=False), "arrow (1 full row and column)"),
        (np.random.default_rng(0).random((40, 40)) < 0.2, "sparse"),
    ],
)
def test_structure_in_words(dense, words):
    pattern = of_dense(dense)
    assert str(pattern.structure) == words
    assert words in repr(pattern)
    assert words in pattern._repr_html_()


def test_structure_has_its_measures():
    structure = of_dense(block_diagonal(4, 2, 5)).structure
    assert (structure.name, structure.blocks, structure.block_shape) == ("block diagonal", 4, (2, 5))
    structure = of_dense(np.eye(20) + np.eye(20, k=3)).structure
    assert (structure.name, structure.offsets) == ("diagonals", (0, 3))
    structure = of_dense(sum(np.eye(20, k=k) for k in (-2, -1, 0, 1))).structure
    assert (structure.lower, structure.upper) == (2, 1)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_equal_blocks_against_a_search(count, m, n, density, seed):
    rng = np.random.default_rng(seed)
    dense = (rng.random((count * m, count * n)) < density) & block_diagonal(count, m, n).astype(bool)
    found = equal_blocks(of_dense(dense))

    def fits(b):
        if (count * m) % b or (count * n) % b:
            return False
        return not dense[block_diagonal(b, count * m // b, count * n // b) == 0].any()

    assert found == max(b for b in range(1, count * max(m, n) + 1) if fits(b))


@pytest.mark.parametrize("stray", [(150, 10), (10, 150), (199, 0)])
def test_a_stray_entry_among_many_joins_the_blocks(stray):
    dense = np.eye(200, dtype=bool)
    dense[stray] = True
    assert equal_blocks(of_dense(np.eye(200))) == 200
    assert equal_blocks(of_dense(dense)) == 1


def test_repr_is_one_line_with_size_and_density():
    pattern = of_dense(np.eye(1000))
    assert repr(pattern) == ("SparsityPattern(1,000 x 1,000, 1,000 nonzeros (0.1 %), diagonal)")


def test_html_is_bounded_in_size_and_shows_a_lonely_entry():
    n = 100_000
    index = np.arange(n)
    assert len(SparsityPattern(index, index, (n, n))._repr_html_()) < 20_000
    assert SparsityPattern([7], [9], (n, n))._repr_html_().count("fill-opacity") == 1
