"""Regular index arrays: found exactly when they are regular, however nearly they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc.results.grids import grid_of, permutation_grid, tiling

AXES = st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 40)), min_size=1, max_size=4)


def affine(lengths, strides, offset=0):
    places = np.meshgrid(*(np.arange(n) for n in lengths), indexing="ij")
    start = np.full(lengths, offset)
    return sum((p * s for p, s in zip(places, strides, strict=True)), start).ravel()


def rebuilt(grid):
    return [affine(grid.lengths, s, o) for s, o in zip(grid.strides, grid.offsets, strict=True)]


@given(AXES, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_a_regular_array_is_rebuilt_from_its_grid(axes, offset):
    lengths, strides = zip(*axes, strict=True)
    array = affine(lengths, strides, offset)
    grid = grid_of(array)
    assert grid is not None
    assert np.prod(grid.lengths) == array.size
    np.testing.assert_array_equal(rebuilt(grid)[0], array)


@given(AXES, st.integers(0, 255), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_an_array_with_one_wrong_place_is_never_taken_for_another(axes, place, error):
    array = affine(*zip(*axes, strict=True))
    array[place % array.size] += error
    grid = grid_of(array)
    if grid is not None:  # a short array may be regular in another way
        np.testing.assert_array_equal(rebuilt(grid)[0], array)


def test_one_wrong_place_in_the_middle_is_seen():
    array = affine((6, 5, 4), (100, 7, 1))
    assert grid_of(array) is not None
    for place in (5, 50, 61, 118, 119):
        wrong = array.copy()
        wrong[place] += 1
        assert grid_of(wrong) is None, place


def test_two_arrays_share_the_finer_grid():
    rows, cols = affine((4, 3, 5), (0, 5, 1)), affine((4, 3, 5), (1, 4, 0))
    grid = grid_of(rows, cols)
    assert grid.lengths == (4, 3, 5)
    assert grid.strides == ((0, 5, 1), (1, 4, 0))
    for got, want in zip(rebuilt(grid), (rows, cols), strict=True):
        np.testing.assert_array_equal(got, want)


def test_arrays_whose_axes_cross_share_no_grid():
    twos, threes = affine((3, 2), (10, 1)), affine((2, 3), (10, 1))
    assert grid_of(twos) is not None
    assert grid_of(threes) is not None
    assert grid_of(twos, threes) is None


def test_an_empty_array_has_no_grid():
    assert grid_of(np.zeros(0, np.int32)) is None


@pytest.mark.parametrize(
    ("lengths", "strides", "axes"),
    [
        ((3, 4), (4, 1), (0, 1)),
        ((3, 4), (1, 3), (1, 0)),
        ((2, 3, 4), (0, 4, 1), (1, 2)),
        ((3, 4), (5, 1), None),  # a gap
        ((3, 4), (4, 2), None),
        ((3,), (-1,), None),
    ],
)
def test_tilings(lengths, strides, axes):
    assert tiling(lengths, strides) == axes


@given(st.permutations([0, 1, 2]), st.tuples(*[st.integers(1, 4)] * 3))
@settings(max_examples=60, deadline=None)
def test_a_transposition_is_recognized_in_a_permutation(axes, shape):
    order = np.arange(np.prod(shape)).reshape(shape).transpose(axes).ravel()
    found_shape, found_axes = permutation_grid(order)
    x = np.random.default_rng(0).normal(size=order.size)
    np.testing.assert_array_equal(x.reshape(found_shape).transpose(found_axes).ravel(), x[order])


def test_other_permutations_are_not_taken_for_transpositions():
    assert permutation_grid(np.array([1, 0, 2, 3])) is None
    assert permutation_grid(np.array([3, 2, 1, 0])) is None
    assert permutation_grid(np.roll(np.arange(12), 1)) is None
