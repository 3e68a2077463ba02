"""Moves of coefficients and of indices, against the same moves of arrays in full."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

from jaxcalc.engine.tangents import manipulation
from tests.in_numpy import in_numpy

SHAPE = (2, 3, 4)


@st.composite
def arrays(draw, shape=SHAPE):
    """An array `[2, *shape or 1s]`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inner = [n if draw(st.booleans()) else 1 for n in shape]
    return rng.integers(0, 100, (2, *inner)).astype(np.int32)


def full(array, shape):
    return np.broadcast_to(array, (array.shape[0], *shape))


def both(move, array, *args):
    """The move of a numpy array and of a JAX array, which must be the same."""
    found = move(array, *args)
    assert isinstance(found, np.ndarray)

    def of_tracer(array):
        traced = move(array, *args)
        assert not isinstance(traced, np.ndarray)
        return traced

    np.testing.assert_array_equal(in_numpy(of_tracer)(array), found)
    return found


@settings(max_examples=40, deadline=None)
@given(arrays(), st.permutations(range(3)))
def test_transpose(array, order):
    found = both(manipulation.transpose, array, order)
    wanted = full(array, SHAPE).transpose(0, *(1 + a for a in order))
    np.testing.assert_array_equal(full(found, wanted.shape[1:]), wanted)


@settings(max_examples=30, deadline=None)
@given(arrays((2, 3)))
def test_insert_axes(array):
    found = both(manipulation.insert_axes, array, 4, [1, 3])
    wanted = np.broadcast_to(full(array, (2, 3))[:, None, :, None, :], (2, 5, 2, 6, 3))
    np.testing.assert_array_equal(full(found, (5, 2, 6, 3)), wanted)


@settings(max_examples=40, deadline=None)
@given(arrays(), st.data())
def test_slices(array, data):
    bounds = []
    for n in SHAPE:
        low = data.draw(st.integers(0, n - 1))
        bounds.append((low, data.draw(st.integers(low + 1, n)), data.draw(st.integers(1, 2))))
    found = both(manipulation.slice_axes, array, bounds)
    wanted = full(array, SHAPE)[(slice(None), *(slice(*b) for b in bounds))]
    np.testing.assert_array_equal(full(found, wanted.shape[1:]), wanted)


@settings(max_examples=20, deadline=None)
@given(arrays(), st.sets(st.integers(0, 2)))
def test_reverse(array, axes):
    found = both(manipulation.reverse, array, sorted(axes))
    wanted = np.flip(full(array, SHAPE), [1 + a for a in axes])
    np.testing.assert_array_equal(full(found, SHAPE), wanted)


pads = st.tuples(st.integers(-4, 3), st.integers(-4, 3), st.integers(0, 2))


def padded_size(n, low, high, interior):
    return low + high + n + (n - 1) * interior


@settings(max_examples=150, deadline=None)
@given(arrays((4, 2)), pads, pads)
def test_pads(array, first, second):
    padding = [first, second]
    sizes = [padded_size(n, *p) for n, p in zip((4, 2), padding, strict=True)]
    assume(min(sizes) > 0)

    def pad(array, value):
        config = [(0, 0, 0), *padding]
        return in_numpy(lambda a: lax.pad(a, np.asarray(value, a.dtype), config))(array)

    wanted = pad(full(array, (4, 2)), -1)
    found = manipulation.pad_index(array, padding, (4, 2))
    np.testing.assert_array_equal(full(found, wanted.shape[1:]), wanted)
    data = in_numpy(lambda array: manipulation.pad_data(array, padding))(array)
    zeros = pad(full(array, (4, 2)), 0)
    # along axes where the data does not vary it stays of size one: only where there are entries counts
    at = np.asarray(wanted) >= 0
    np.testing.assert_array_equal(full(np.asarray(data), wanted.shape[1:])[at], np.asarray(zeros)[at])


RESHAPES = [
    ((2, 3, 4), (6, 4)),
    ((2, 3, 4), (2, 12)),
    ((2, 3, 4), (24,)),
    ((2, 3, 4), (4, 6)),
    ((24,), (2, 3, 4)),
    ((6, 4), (2, 3, 2, 2)),
    ((2, 1, 3), (2, 3)),
    ((2, 3), (1, 2, 1, 3, 1)),
    ((1, 1), ()),
    ((), (1, 1)),
    ((2, 3, 4), (3, 2, 4)),
    ((4, 1, 6), (2, 2, 6)),
]


@pytest.mark.parametrize(("old", "new"), RESHAPES)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_reshapes(old, new, data):
    array = data.draw(arrays(old))
    found = both(manipulation.reshape, array, old, new)
    np.testing.assert_array_equal(full(found, new), full(array, old).reshape(2, *new))


def test_uniform_axes_stay_uniform_through_a_reshape():
    block = np.arange(4).reshape(2, 2, 1, 1)  # lanes, samples, and two uniform axes
    assert manipulation.reshape(block, (2, 3, 4), (2, 12)).shape == (2, 2, 1)
    assert manipulation.reshape(block, (2, 3, 4), (6, 4)).shape == (2, 6, 1)
    assert manipulation.reshape(np.zeros((5, 1, 1, 1)), (2, 3, 4), (4, 6)).shape == (5, 1, 1)


def test_the_example_of_axis_blocks():
    assert manipulation.axis_blocks((2, 3, 4), (6, 2, 2)) == [
        (range(2), range(1)),
        (range(2, 3), range(1, 3)),
    ]
