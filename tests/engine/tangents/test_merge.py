"""Sums of groups: the entries add up, none occurs twice, and lanes do not grow without need."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_lanes import INPUTS, assert_distinct, dense, group_of, lanes, value_of, worked_out

from jaxcalc.engine.tangents import merge as module
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.tangents.merge import compress, deduplicate, has_duplicates, merge
from jaxcalc.engine.tangents.slots import add_into_slots
from jaxcalc.heuristics import heuristics, tuned

F32 = np.dtype(np.float32)
SHAPES = [(), (1,), (4,), (2, 3), (2, 1, 2)]


def ones(index, data=1.0):
    index = np.asarray(index)
    return Group(jnp.full((1,) * index.ndim, data, np.float32), index)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_entries_add_up_and_are_distinct(shape, data):
    groups = data.draw(lanes(shape, groups=4))
    before = value_of(shape, groups)
    after = worked_out(lambda groups: merge(Lanes(shape, F32), groups), groups)
    assert_distinct(after)
    np.testing.assert_array_equal(dense(after), dense(before))
    assert after.lanes <= before.lanes


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_more_groups_than_are_kept_apart(shape, data):
    groups = data.draw(lanes(shape, groups=6))
    with tuned(most_groups=1, summed_terms=1):
        after = worked_out(lambda groups: merge(Lanes(shape, F32), groups), groups)
    assert_distinct(after)
    np.testing.assert_array_equal(dense(after), dense(value_of(shape, groups)))


def test_many_groups_are_concatenated():
    most = heuristics().most_groups
    groups = [ones([[i]], i) for i in range(most + 1)]
    (group,) = merge(Lanes((3,), F32), groups).groups
    assert group.lanes == most + 1
    np.testing.assert_array_equal(group.data[:, 0], np.arange(most + 1))
    assert len(merge(Lanes((3,), F32), groups[:-1]).groups) == most


def test_few_indices_are_compared_in_full(calls_of):
    compared = calls_of(module, "_same_index")
    rng = np.random.default_rng(0)
    ends = np.zeros((200, 1), int)
    between = rng.permuted(np.broadcast_to(np.arange(1, 99), (200, 98)), axis=1)
    groups = [ones(index[None]) for index in np.hstack([ends, between, ends])]
    assert len(module._add_equal([*groups, *groups])) == 200
    assert len(compared) == 200


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_lanes_than_are_compared_pair_by_pair(seed):
    rng = np.random.default_rng(seed)
    groups = [
        group_of(rng, (3,), INPUTS, 0.3) for _ in range(2 + heuristics().pairwise_lanes // INPUTS)
    ]
    after = merge(Lanes((3,), F32), groups)
    assert_distinct(after)
    np.testing.assert_array_equal(dense(after), dense(value_of((3,), groups)))


def test_equal_indices_add_their_data():
    merged = merge(Lanes((3,), F32), [ones([[0, 1, 2]], 2.0), ones([[0, 1, 2]], 3.0)])
    (group,) = merged.groups
    assert group.index.tolist() == [[0, 1, 2]]
    assert np.unique(group.data).tolist() == [5.0]


def test_known_coefficients_stay_known():
    a, b = (Group(np.full((1, 1), v, np.float32), np.array([[0, 1]])) for v in (1, 2))
    (group,) = merge(Lanes((2,), F32), [a, b]).groups
    assert isinstance(group.data, np.ndarray)
    assert group.data.item() == 3


def test_lanes_that_agree_share_a_lane():
    # the two halves of a value, and the whole
    merged = merge(Lanes((3,), F32), [ones([[0, 1, -1]]), ones([[0, 1, 2]], 2.0)])
    assert merged.lanes == 1
    np.testing.assert_array_equal(dense(merged, 3), np.diag([3.0, 3, 2]))


def test_lanes_that_share_nothing_stay_as_they_are():
    groups = [ones([[0, 1, 2]]), ones([[1, 2, -1]]), ones([[-1, 0, 1]])]
    assert merge(Lanes((3,), F32), groups).groups == tuple(groups)


def test_a_lane_whose_inputs_a_uniform_group_holds_is_folded_into_it():
    own = ones([[0, 1, 2]], 5.0)
    everything = ones([[0], [1], [2]])
    merged = merge(Lanes((3,), F32), [own, everything])
    assert merged.lanes == 3
    (group,) = merged.groups
    assert group.index.shape == (3, 1)
    np.testing.assert_array_equal(dense(merged, 3), 1 + 5 * np.eye(3))


def test_a_layer_norm_carries_as_many_lanes_as_its_axis():
    def f(x):
        return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)

    import jaxcalc

    assert jaxcalc.jacobian(f, format="structured")(jnp.arange(24.0).reshape(4, 6) ** 2).nnz == 144


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_deduplicating_within_a_group(shape, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    index = rng.integers(-1, 3, (4, *shape)).astype(np.int32)
    values = np.where(index < 0, np.nan, rng.integers(1, 5, (4, *shape))).astype(np.float32)
    before = Lanes(shape, F32).with_groups([Group(jnp.asarray(values), index)])
    for group in before.groups:
        after = before.with_groups([deduplicate(group)])
        assert_distinct(after)
        np.testing.assert_array_equal(dense(after), dense(before))
        is_empty = (index < 0).reshape(4, -1).all(axis=1).any()
        assert (has_duplicates([index]) or is_empty) == (after.groups[0] is not group)


def test_lanes_without_an_entry_are_left_out():
    group = Group(
        jnp.arange(8.0, dtype=F32).reshape(4, 2), np.array([[-1, -1], [3, -1], [-1, -1], [0, 2]])
    )
    after = deduplicate(group)
    assert after.index.tolist() == [[3, -1], [0, 2]]
    assert after.data.tolist() == [[2, 3], [6, 7]]
    shared = deduplicate(ones([[-1], [5]]))
    assert (shared.index.tolist(), shared.data.shape) == ([[5]], (1, 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([(), (3,), (2, 2)]))
def test_compressing_gives_each_input_one_slot(seed, count, shape):
    index = np.random.default_rng(seed).integers(-1, 4, (count, *shape)).astype(np.int32)
    slots, columns = compress(index)
    assert slots.shape == index.shape
    most = 0
    for place in np.ndindex(shape):
        line, slot, column = (a[(slice(None), *place)] for a in (index, slots, columns))
        inputs = np.unique(line[line >= 0])
        np.testing.assert_array_equal(column[: len(inputs)], inputs)
        assert (column[len(inputs) :] == -1).all()
        assert ((slot < 0) == (line < 0)).all()
        np.testing.assert_array_equal(column[slot[line >= 0]], line[line >= 0])
        most = max(most, len(inputs))
    assert len(columns) == most


def test_the_example_of_compress():
    slots, columns = compress(np.array([[3, 0], [3, 1]], np.int32))
    assert (slots.tolist(), columns.tolist()) == ([[0, 0], [0, 1]], [[3, 0], [-1, 1]])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_adding_into_slots_is_a_loop(seed, varies):
    rng = np.random.default_rng(seed)
    lanes_, count, size = 4, 3, 2
    slots = rng.integers(-1, count, (lanes_, size if varies else 1))
    data = rng.integers(-4, 5, (lanes_, size)).astype(np.float32)
    wanted = np.zeros((count, size), np.float32)
    for lane in range(lanes_):
        for p in range(size):
            slot = np.broadcast_to(slots, (lanes_, size))[lane, p]
            if slot >= 0:
                wanted[slot, p] += data[lane, p]
    np.testing.assert_array_equal(add_into_slots(jnp.asarray(data), slots, count), wanted)


def test_no_entries_into_slots():
    assert (add_into_slots(jnp.ones((2, 3)), np.full((2, 1), -1), 2) == 0).all()


def test_a_merge_under_jit_holds_no_traced_index():
    a, b = ones([[0, 1, 2]]), ones([[1, 1, 2]])

    def run(x):
        merged = merge(Lanes((3,), F32), [Group(x * a.data, a.index), b])
        assert all(isinstance(g.index, np.ndarray) for g in merged.groups)
        return [g.data for g in merged.groups]

    jax.jit(run)(2.0)
