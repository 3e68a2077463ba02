"""Sums over axes and alignment, against the same on dense arrays."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_lanes import assert_distinct, dense, lanes, value_of, worked_out

from jaxcalc.engine.tangents.contract import masked_by, sum_along, uniform_along
from jaxcalc.engine.tangents.lanes import Group, Lanes, seed
from jaxcalc.engine.tangents.merge import merge

F32 = np.dtype(np.float32)
AXES = [
    ((4,), [0]),
    ((4,), []),
    ((2, 3), [0]),
    ((2, 3), [1]),
    ((2, 3), [0, 1]),
    ((2, 3), [1, 0]),
    ((2, 1, 3), [1]),
    ((2, 1, 3), [0, 2]),
]


def merged(shape, groups):
    return merge(Lanes(shape, F32), groups)


@pytest.mark.parametrize(("shape", "axes"), AXES)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_sums(shape, axes, data):
    groups = data.draw(lanes(shape))
    value = value_of(shape, groups)
    total = worked_out(lambda groups: sum_along(merged(shape, groups), axes), groups)
    assert_distinct(total)
    np.testing.assert_array_equal(dense(total), dense(value).sum(axis=tuple(1 + a for a in axes)))


@pytest.mark.parametrize(("shape", "axes"), AXES)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_alignment_changes_the_lanes_not_the_value(shape, axes, data):
    groups = data.draw(lanes(shape))
    value = value_of(shape, groups)
    aligned = worked_out(lambda groups: uniform_along(merged(shape, groups), axes), groups)
    assert aligned.is_uniform(axes)
    assert_distinct(aligned)
    np.testing.assert_array_equal(dense(aligned), dense(value))
    # every lane can be summed by itself: where it has no entry it holds zeros or is left out whole
    for group in aligned.groups:
        places = np.broadcast_to(group.index, (group.lanes, *shape)) >= 0
        assert not np.isnan(np.broadcast_to(group.data, places.shape)[places]).any()


def test_the_example_of_alignment():
    aligned = uniform_along(seed((3,), np.float32), [0])
    (group,) = aligned.groups
    assert group.index.tolist() == [[0], [1], [2]]
    np.testing.assert_array_equal(group.data, np.eye(3))


def test_a_uniform_value_is_left_alone():
    value = Lanes((2, 3), F32, (Group(jnp.ones((1, 2, 3)), np.array([[[0], [1]]])),))
    assert uniform_along(value, [1]) is value


def test_lanes_here_and_there_absent_do_not_come_to_hold_an_input_twice():
    # one input for each half, in two lanes
    index = np.array([[4, -1], [-1, 4]], np.int32)
    value = Lanes((2,), F32).with_groups([Group(jnp.array([[1.0, np.nan], [np.nan, 2.0]]), index)])
    aligned = uniform_along(value, [0])
    assert_distinct(aligned)
    assert aligned.lanes == 1
    np.testing.assert_array_equal(dense(aligned), dense(value))


def test_a_block_diagonal_sum_keeps_its_lanes():
    value = Lanes((3, 2), F32, (Group(jnp.ones((2, 3, 2)), np.arange(6).reshape(3, 2).T[:, :, None]),))
    assert sum_along(value, [1]).lanes == 2
    assert sum_along(value, [0]).lanes == 6


def test_a_uniform_coefficient_is_counted_not_spread():
    value = Lanes((4, 3), F32, (Group(np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 3), int)),))
    (group,) = sum_along(value, [0]).groups
    assert isinstance(group.data, np.ndarray)
    assert group.data.item() == 4


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_masks(data):
    groups = data.draw(lanes((2, 3)))
    value = value_of((2, 3), groups)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=6, max_size=6))).reshape(2, 3)
    masked = worked_out(lambda groups: masked_by(value_of((2, 3), groups), mask), groups)
    np.testing.assert_array_equal(dense(masked), np.where(mask, dense(value), 0))


def test_masks_of_one_row_are_broadcast():
    value = seed((2, 3), np.float32)
    kept = masked_by(value, np.array([[True, False, True]]))
    np.testing.assert_array_equal(dense(kept, 6), np.where([[True, False, True]], dense(value, 6), 0))
