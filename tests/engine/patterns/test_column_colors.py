"""Colors of columns: no two of a row alike, and as few as there can be for regular patterns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc.engine.patterns.column_colors import column_colors


def is_valid(rows, cols, colors):
    """Whether no row has a color twice."""
    pairs = np.stack([rows, colors[cols]])
    return np.unique(pairs, axis=1).shape[1] == rows.size


def sequential(rows, cols, count):
    """The first color that is free, column by column."""
    in_row, colors = [set() for _ in range(int(rows.max(initial=-1)) + 1)], np.zeros(count, int)
    for column in range(count):
        mine = rows[cols == column]
        used = set().union(*(in_row[row] for row in mine))
        colors[column] = next(c for c in range(count) if c not in used)
        for row in mine:
            in_row[row].add(int(colors[column]))
    return colors


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 25), st.integers(1, 25), st.floats(0, 1), st.integers(0, 99))
def test_random_patterns(m, n, density, seed):
    rng = np.random.default_rng(seed)
    rows, cols = np.nonzero(rng.random((m, n)) < density)
    order = rng.permutation(rows.size)
    colors = column_colors(rows[order], cols[order], (m, n))
    assert colors.shape == (n,)
    assert colors.min() >= 0
    assert is_valid(rows, cols, colors)
    assert colors.max() <= sequential(rows, cols, n).max() + 1


def test_more_colors_than_one_word_has():
    rows, cols = np.divmod(np.arange(150 * 150), 150)
    assert sorted(column_colors(rows, cols, (150, 150))) == list(range(150))
    rng = np.random.default_rng(0)
    rows, cols = np.nonzero(rng.random((300, 400)) < 0.4)
    assert is_valid(rows, cols, column_colors(rows, cols, (300, 400)))


def stencil(shape, steps, *, periodic=False):
    """Each element of a grid depends on those some steps away."""
    size = np.array(shape)[:, None]
    places = np.indices(shape).reshape(len(shape), -1)
    rows, cols = [], []
    for step in steps:
        other = places + np.reshape(step, (-1, 1))
        inside = np.ones(places.shape[1], bool) if periodic else ((other >= 0) & (other < size)).all(0)
        rows.append(np.flatnonzero(inside))
        cols.append(np.ravel_multi_index(tuple(other[:, inside] % size), shape))
    return np.concatenate(rows), np.concatenate(cols), places.shape[1]


def cross(axes):
    """The element itself and its neighbors along each axis."""
    unit = np.eye(axes, dtype=int)
    return [np.zeros(axes, int), *unit, *-unit]


@pytest.mark.parametrize(
    ("shape", "steps", "periodic", "fewest"),
    [
        ((1000,), [-1, 0, 1], False, 3),
        ((999,), [-1, 0, 1], True, 3),
        ((1003,), [-1, 0, 1], True, 4),
        ((1001,), [-1, 0, 1], True, 5),  # four would do, and so it is with a sequential coloring
        ((500,), range(-10, 11), False, 21),
        ((30, 40), cross(2), False, 5),
        ((30, 40), cross(2), True, 5),
        ((12, 11, 10), cross(3), False, 7),
        ((30, 31), np.indices((3, 3)).reshape(2, -1).T - 1, False, 9),
    ],
)
def test_stencils(shape, steps, periodic, fewest):
    rows, cols, n = stencil(shape, steps, periodic=periodic)
    colors = column_colors(rows, cols, (n, n), shape)
    assert is_valid(rows, cols, colors)
    assert colors.max() + 1 == fewest


def test_a_stencil_whose_grid_is_not_told():
    rows, cols, n = stencil((30, 40), cross(2))
    colors = column_colors(rows, cols, (n, n))
    assert is_valid(rows, cols, colors)
    assert colors.max() + 1 == 5


def test_dense_blocks_and_no_entries():
    blocks = np.repeat(np.arange(80), 8), np.repeat(np.arange(10), 64) * 8 + np.tile(np.arange(8), 80)
    assert column_colors(*blocks, (80, 80)).max() + 1 == 8
    nothing = np.zeros(0, int)
    assert column_colors(nothing, nothing, (0, 3)).tolist() == [0, 0, 0]
    assert column_colors(nothing, nothing, (4, 0)).tolist() == []
