"""Unions of patterns against sets of pairs, one for each entry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.tangents.unions import coefficients_on, holds, restricted, union, widened


def lanes_of(index, seed=0):
    """A tangent with this index, without repetitions within an element."""
    index = np.array(index, np.int32)
    for column in index.reshape(index.shape[0], -1).T:
        for i, x in enumerate(column):
            if x in column[:i]:
                column[i] = -1
    data = np.random.default_rng(seed).normal(size=index.shape).astype(np.float32)
    return Lanes(index.shape[1:], np.dtype(np.float32)).with_groups([Group(data, index)])


def dense(value, n=8):
    """`[*S, n]`, by a loop over the entries."""
    full = np.zeros((*value.shape, n))
    for group in value.groups:
        data = np.broadcast_to(group.data, (group.lanes, *value.shape))
        index = np.broadcast_to(group.index, (group.lanes, *value.shape))
        for place in np.ndindex(*index.shape):
            if index[place] >= 0:
                full[(*place[1:], index[place])] += data[place]
    return full


def pattern(index, shape):
    full = np.broadcast_to(index, (index.shape[0], *shape))
    return {(*p[1:], int(full[p])) for p in np.ndindex(*full.shape) if full[p] >= 0}


indices = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(-1, 5), min_size=6, max_size=6), min_size=k, max_size=k)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(a=indices, b=indices)
def test_a_union_holds_both_once_and_nothing_else(a, b):
    first, second = (lanes_of(np.reshape(x, (-1, 2, 3)), i) for i, x in enumerate((a, b)))
    both = union(union(None, first), second)
    if both is None:
        assert not first.groups
        assert not second.groups
        return
    entries = [pattern(g.index, (2, 3)) for x in (first, second) for g in x.groups]
    assert pattern(both, (2, 3)) == set().union(*entries)
    assert (np.broadcast_to(both, (both.shape[0], 2, 3)) >= 0).sum() == len(set().union(*entries))
    for value in (first, second):
        assert holds(both, value)
        assert union(both, value) is both
        data = np.asarray(coefficients_on(both, value))
        again = Lanes((2, 3), np.dtype(np.float32)).with_groups([Group(data, both)])
        np.testing.assert_array_equal(dense(again), dense(value))
        if value.groups:
            kept = dense(restricted(again, value)) != 0
            assert (kept == (dense(value) != 0)).all()


def test_a_union_of_all_neighbors_is_uniform():
    ring = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]], np.int32)
    value = Lanes((3,), np.dtype(np.float32)).with_groups([Group(np.ones((3, 3), np.float32), ring)])
    assert union(None, value).shape == (3, 1)


def test_a_stencil_keeps_its_lanes():
    index = np.array([[-1, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, -1]], np.int32)
    value = Lanes((4,), np.dtype(np.float32)).with_groups([Group(np.ones((3, 4), np.float32), index)])
    np.testing.assert_array_equal(union(None, value), index)


def test_widening_keeps_the_other_axes():
    index = np.arange(6, dtype=np.int32).reshape(1, 2, 3)
    np.testing.assert_array_equal(widened(index, [1]), [[[0], [3]], [[1], [4]], [[2], [5]]])
    np.testing.assert_array_equal(widened(index, [0, 1]).reshape(-1), np.arange(6))


def test_an_entry_outside_of_the_pattern_is_an_error():
    value = lanes_of([[0, 1]])
    with pytest.raises(AssertionError, match="outside of the pattern"):
        coefficients_on(np.array([[0, 0]], np.int32), value)
