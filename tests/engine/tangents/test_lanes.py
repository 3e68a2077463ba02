"""The carrier of structured tangents: what fits, what is uniform, and what has no entry."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_lanes import dense, lanes, value_of

from jaxcalc.engine.tangents import lanes as module
from jaxcalc.engine.tangents.lanes import (
    Group,
    Lanes,
    box,
    seed,
    shrink,
    shrink_mask,
    spread,
    valid_data,
)

F32 = np.dtype(np.float32)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 1), (0, 2)])
def test_a_seed_is_the_identity(shape):
    size = int(np.prod(shape))
    value = seed(shape, np.float32, offset=2)
    found = dense(value, size + 2)
    np.testing.assert_array_equal(found.reshape(size + 2, size), np.eye(size + 2)[:, 2:])
    assert value.lanes == (1 if size else 0)
    assert all(group.is_unit() for group in value.groups)


def test_a_seed_beyond_int32():
    value = seed((2,), np.float32, offset=2**31, index_dtype=np.int64)
    assert value.groups[0].index.tolist() == [[2**31, 2**31 + 1]]


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(AssertionError, match=r"\(3,\) do not fit a value \(2,\)"):
        Lanes((2,), F32, (Group(np.ones((1, 1)), np.zeros((1, 3), int)),))
    with pytest.raises(AssertionError, match="do not fit"):
        Lanes((2,), F32, (Group(np.ones((1, 1, 1)), np.zeros((1, 2), int)),))


def test_groups_without_an_entry_are_left_out():
    empty = Group(np.ones((1, 1)), np.full((2, 3), -1))
    full = Group(np.ones((1, 1)), np.array([[0, -1, 2]]))
    assert Lanes((3,), F32).with_groups([empty, full]).groups == (full,)


def test_uniform_is_a_question_of_shape():
    value = Lanes((2, 3), F32, (Group(np.ones((1, 1, 1)), np.zeros((4, 2, 1), int)),))
    assert value.is_uniform([1])
    assert not value.is_uniform([0, 1])
    assert (value.lanes, value.size) == (4, 6)


@settings(max_examples=50, deadline=None)
@given(lanes((2, 3)))
def test_mapping_scales_the_entries(groups):
    value = value_of((2, 3), groups)
    np.testing.assert_array_equal(dense(value.map_data(lambda data: 2 * data)), 2 * dense(value))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_shrinking_keeps_the_index(seed_):
    rng = np.random.default_rng(seed_)
    inner = tuple(int(n) if rng.random() < 0.5 else 1 for n in (2, 3, 2))
    index = np.broadcast_to(rng.integers(-1, 2, (2, *inner)), (2, 2, 3, 2))
    small = shrink(index)
    np.testing.assert_array_equal(np.broadcast_to(small, index.shape), index)
    for axis in range(1, 4):  # and no axis is left that does not vary
        if small.shape[axis] > 1:
            assert not (small == small.take([0], axis)).all()
    mask = index >= 0
    np.testing.assert_array_equal(np.broadcast_to(shrink_mask(mask), mask.shape), mask)


def test_shrinking_is_not_fooled_by_the_first_two():
    assert shrink(np.array([[1, 1, 2]])).shape == (1, 3)
    assert shrink(np.array([[1, 1, 1]])).shape == (1, 1)


@pytest.mark.parametrize("array", [np.ones((2, 1, 3)), jnp.ones((2, 1, 3))])
def test_spreading_stays_where_it_was(array):
    wide = spread(array, [0], (4, 3))
    assert wide.shape == (2, 4, 3)
    assert isinstance(wide, np.ndarray) == isinstance(array, np.ndarray)
    assert spread(array, [1], (4, 3)) is array
    assert module.spread_lanes(array[:1], 5).shape == (5, 1, 3)


@settings(max_examples=60, deadline=None)
@given(lanes((2, 3), groups=1))
def test_valid_data_is_zero_where_there_is_no_entry(groups):
    for group in groups:
        full = (group.lanes, 2, 3)
        data = np.broadcast_to(valid_data(group), full)
        index = np.broadcast_to(group.index, full)
        assert (data[index < 0] == 0).all()
        np.testing.assert_array_equal(
            data[index >= 0], np.broadcast_to(np.asarray(group.data), full)[index >= 0]
        )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=3))
def test_a_box_is_found_where_there_is_one(rows):
    mask = np.array(rows)
    bounds = box(mask)
    if bounds is None:
        hits = np.argwhere(mask)
        if len(hits):
            (r0, c0), (r1, c1) = hits.min(0), hits.max(0)
            assert not mask[r0 : r1 + 1, c0 : c1 + 1].all()
    else:
        wanted = np.zeros_like(mask)
        wanted[tuple(slice(*b) for b in bounds)] = True
        np.testing.assert_array_equal(mask, wanted)
