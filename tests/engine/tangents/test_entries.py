"""Sums of entries, and of lanes into slots, against plain loops; products with a local Jacobian."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc.engine.tangents.entries import Entries, TooDenseError, look_up, summed
from jaxcalc.engine.tangents.lanes import Group, Lanes, seed
from jaxcalc.engine.tangents.products import identity_on, on_lanes, product
from jaxcalc.engine.tangents.slots import add_into_slots
from jaxcalc.engine.tangents.to_entries import as_entries, entries, entries_at
from jaxcalc.heuristics import heuristics, tuned
from tests.in_numpy import in_numpy

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40)


def dense(found, size=5, n=6):
    matrix = np.zeros((size, n))
    np.add.at(matrix, (found.elements, found.inputs), np.asarray(found.values))
    return matrix


def given_entries(pairs, *, known, seed=0):
    values = np.random.default_rng(seed).integers(-9, 9, len(pairs)).astype(np.float32)
    elements, inputs = np.array(pairs, np.int32).reshape(-1, 2).T
    return Entries(elements, inputs, values if known else jnp.asarray(values))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    pairs=PAIRS, known=st.booleans(), most=st.sampled_from([1, 2, 64]), single=st.sampled_from([0, 9])
)
def test_every_pair_is_left_once_with_the_sum(pairs, known, most, single):
    with tuned(prefix_sums=most, single_sums=single):
        start = given_entries(pairs, known=known)
        found = summed(start)
    assert found.count == len(set(pairs))
    assert len(set(zip(found.elements.tolist(), found.inputs.tolist(), strict=True))) == found.count
    np.testing.assert_array_equal(dense(found), dense(start))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), uneven=st.booleans(), wide=st.booleans())
def test_lanes_into_slots(data, uneven, wide):
    lanes, count = data.draw(st.integers(1, 6)), 3
    shape = (2, 4) if wide else (2, 1)
    numbers = st.lists(st.integers(-1, 2), min_size=lanes * 2, max_size=lanes * 2)
    slots = np.array(data.draw(numbers)).reshape(lanes, 2, 1)
    values = np.random.default_rng(0).integers(-9, 9, (lanes, *shape)).astype(np.float32)
    with tuned(uneven_places=0 if uneven else heuristics().uneven_places):
        found = in_numpy(lambda values: add_into_slots(values, slots, count))(values)
    expected = np.zeros((count, *shape))
    for lane, row in np.argwhere(slots[:, :, 0] >= 0):
        expected[slots[lane, row, 0], row] += values[lane, row]
    np.testing.assert_array_equal(found, expected)


def test_places_that_are_regular_are_slices():
    import jax

    values = jnp.arange(5.0)

    def primitives(places):
        eqns = jax.make_jaxpr(lambda v: look_up(v, np.array(places)))(values).eqns
        np.testing.assert_array_equal(look_up(values, np.array(places)), values[np.array(places)])
        return [e.primitive.name for e in eqns]

    assert primitives([0, 1, 2, 3, 4]) == []
    assert primitives([1, 2, 3]) == ["slice"]
    assert "gather" not in primitives([2, 2])
    assert primitives([3, 0])


def test_a_group_as_entries_and_back():
    index = np.array([[[0, -1], [2, 3]], [[4, 5], [-1, 1]]], np.int32)
    value = Lanes((2, 2), np.dtype(np.float32)).with_groups(
        [Group(jnp.arange(1.0, 9.0).reshape(2, 2, 2), index)]
    )
    found = as_entries(value.groups[0], value.shape)
    assert found.count == 6
    some = entries_at(value.groups[0], value.shape, np.array([1, 2]))
    np.testing.assert_array_equal(dense(some), dense(found) * np.array([0, 1, 1, 0, 0])[:, None])
    mixed = Lanes((2, 2), value.dtype).with_entries(found)
    again = entries([on_lanes(mixed, 100)], value.dtype)
    np.testing.assert_array_equal(dense(again), dense(found))
    with pytest.raises(TooDenseError, match="more than 7"):
        on_lanes(mixed, 7)
    with pytest.raises(AssertionError, match="would have dropped"):
        mixed.map_data(lambda d: d)


def test_lanes_and_entries_that_meet_are_added_at_the_end():
    value = seed((3,), np.float32).with_entries(given_entries([(1, 1), (0, 2)], known=True))
    found = entries([value], np.dtype(np.float32))
    assert found.count == 4
    np.testing.assert_array_equal(dense(found, 3, 3), np.eye(3) + dense(value.entries, 3, 3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pairs=PAIRS, sources=st.lists(st.integers(-1, 4), min_size=8, max_size=8))
def test_a_product_with_a_local_jacobian(pairs, sources):
    start = given_entries(pairs, known=False)
    weights = np.arange(1.0, 9.0, dtype=np.float32).reshape(2, 4)
    index = np.array(sources, np.int32).reshape(2, 4)
    local = Lanes((4,), np.dtype(np.float32)).with_groups([Group(jnp.asarray(weights), index)])
    matrix = np.zeros((4, 5))
    for lane, p in np.argwhere(index >= 0):
        matrix[p, index[lane, p]] += weights[lane, p]
    found = product(local, start, 1000)
    expected = matrix @ dense(start)
    np.testing.assert_array_equal(0 * expected if found is None else dense(found, 4), expected)
    if found is not None and found.count > 1:
        with pytest.raises(TooDenseError):
            product(local, start, 1)


def test_the_identity_on_some_elements():
    value = Lanes((2, 2), np.dtype(np.float32))
    np.testing.assert_array_equal(
        identity_on(value, np.array([1, 2])).groups[0].index, [[[-1, 1], [2, -1]]]
    )
