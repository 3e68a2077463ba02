"""The picture of a pattern: cells where the entries are, in the colors of the structure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import jaxcalc
from jaxcalc import visual
from jaxcalc.results.pattern import SparsityPattern
from tests.visual.examples import arrow, banded, blocks, of_mask


def image(ax):
    return np.asarray(ax.images[0].get_array())


def legend(ax):
    """The color of each label."""
    shown = ax.get_legend()
    if shown is None:
        return {}
    return {
        text.get_text(): patch.get_facecolor()[:3]
        for text, patch in zip(shown.get_texts(), shown.get_patches(), strict=True)
    }


def lightness(color):
    return float(np.dot(to_rgb(color), [0.299, 0.587, 0.114]))


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (1, 1), (3, 60), (60, 3), (256, 256)])
def test_cells_are_where_the_entries_are(shape, rng):
    mask = rng.random(shape) < 0.4
    mask[0, 0] = True
    ax = visual.spy(of_mask(mask))
    np.testing.assert_array_equal(image(ax)[..., 3] > 0, mask)
    m, n = shape
    assert ax.images[0].get_extent() == [-0.5, n - 0.5, m - 0.5, -0.5]
    assert ax.get_title().startswith(f"{m:,} x {n:,}, {mask.sum():,} nonzero")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input", "output")


def test_diagonals_have_colors_that_get_lighter_outwards():
    ax = visual.spy(banded(8, 1, 1))
    colors = legend(ax)
    assert list(colors) == ["main diagonal", "diagonal -1", "diagonal +1"]
    i = np.arange(7)
    for offset, label in ((0, "main diagonal"), (1, "diagonal +1"), (-1, "diagonal -1")):
        cells = image(ax)[i + max(0, -offset), i + max(0, offset), :3]
        np.testing.assert_allclose(cells, np.broadcast_to(colors[label], cells.shape))
    wide = visual.spy(banded(60, 4, 3))
    assert list(legend(wide)) == ["main diagonal", "below, to -4", "above, to +3"]
    shades = [lightness(image(wide)[30, 30 + d, :3]) for d in range(4)]
    assert shades == sorted(shades)
    assert len(set(shades)) == 4
    assert shades[0] < lightness(image(wide)[30, 29, :3])
    # the diagonals of a grid, each with its own name
    n = 36
    offsets = [-6, -1, 0, 1, 6]
    rows = np.repeat(np.arange(n), 5)
    cols = rows + np.tile(offsets, n)
    inside = (cols >= 0) & (cols < n)
    grid = SparsityPattern.from_entries(rows[inside], cols[inside], (n, n))
    assert len(legend(visual.spy(grid))) == 5


def test_blocks_alternate_and_are_outlined():
    ax = visual.spy(blocks(4, 3, 2))
    first, second, third = (image(ax)[3 * k, 2 * k, :3] for k in range(3))
    assert abs(lightness(first) - lightness(second)) > 0.1  # told apart in black and white
    np.testing.assert_allclose(first, third)
    assert list(legend(ax)) == ["blocks of 3 x 2"]
    outlines = ax.collections[-1].get_paths()
    corners = {tuple(path.vertices.min(axis=0)) for path in outlines}
    assert corners == {(2 * k - 0.5, 3 * k - 0.5) for k in range(4)}


def test_an_arrow_has_three_parts():
    for pattern, full in (
        (arrow(9, 2), slice(7, 9)),
        (of_mask(arrow(9, 2).todense()[::-1, ::-1]), slice(0, 2)),
    ):
        ax = visual.spy(pattern)
        colors = legend(ax)
        assert list(colors) == ["main diagonal", "full rows", "full columns"]
        np.testing.assert_allclose(image(ax)[4, 4, :3], colors["main diagonal"])
        np.testing.assert_allclose(image(ax)[full, 4, :3], [colors["full rows"]] * 2)
        np.testing.assert_allclose(image(ax)[4, full, :3], [colors["full columns"]] * 2)
        assert len({round(lightness(color), 1) for color in colors.values()}) == 3


def test_the_leaves_of_pytrees_are_divided_and_colored():
    def residuals(cameras, points):
        return (cameras[:, None] * jnp.sum(points**2, axis=1)).ravel()

    args = jnp.ones(3), jnp.ones((4, 2))
    jacobian = jaxcalc.jacobian(residuals, argnums=(0, 1), format="structured")(*args)
    for ax in (visual.spy(jacobian), jacobian.plot()):
        colors = legend(ax)
        assert list(colors) == ["by input [0]", "by input [1]"]
        np.testing.assert_allclose(image(ax)[0, 0, :3], colors["by input [0]"])
        np.testing.assert_allclose(image(ax)[0, 3, :3], colors["by input [1]"])
        (cut,) = (line for line in ax.lines if len(set(line.get_xdata())) == 1)
        assert set(cut.get_xdata()) == {2.5}
    assert legend(visual.spy(jacobian.pattern)) == {}


def test_a_jacobian_under_jit_has_its_pattern():
    shown = []

    @jax.jit
    def f(x):
        J = jaxcalc.jacobian(lambda x: x[1:] * x[:-1], format="structured")(x)
        shown.append(visual.spy(J).get_title())
        return J @ x

    f(jnp.ones(5))
    assert shown == ["4 x 5, 8 nonzeros (40 %)\nupper bidiagonal"]


def test_large_patterns_are_binned_and_their_corner_enlarged():
    n = 700_000
    i = np.arange(n)
    pattern = SparsityPattern.from_entries(np.r_[i, i[1:], i[:-1]], np.r_[i, i[:-1], i[1:]], (n, n))
    assert pattern.nnz > 2_000_000
    ax = visual.spy(pattern)
    cells = image(ax)
    assert cells.shape == (256, 256, 4)
    assert (np.diagonal(cells[..., 3]) > 0.3).all()  # seen, although a cell is nearly empty
    assert (cells[..., 3] > 0).sum() < 256 * 3
    (corner,) = ax.child_axes
    np.testing.assert_array_equal(image(corner)[..., 3] > 0, banded(6, 1, 1).todense())
    assert corner.get_title() == "the first 6 rows"
    ax.figure.canvas.draw()
    assert visual.spy(banded(40, 1, 1)).child_axes == []


def test_long_patterns_are_stretched(rng):
    tall = visual.spy(of_mask(rng.random((20_000, 3)) < 0.5))
    assert image(tall).shape[:2] == (256, 3)
    assert tall.get_box_aspect() == 4
    wide = visual.spy(of_mask(rng.random((3, 20_000)) < 0.5))
    assert image(wide).shape[:2] == (3, 256)
    assert wide.get_box_aspect() == 0.25
    assert visual.spy(banded(9, 0, 1)).get_box_aspect() is None


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (4, 3)])
def test_patterns_without_entries(shape):
    ax = visual.spy(SparsityPattern.from_entries([], [], shape))
    assert not image(ax)[..., 3].any()
    assert ax.get_title().endswith("empty")
    ax.figure.canvas.draw()


def test_dense_ones_have_one_color():
    ax = visual.spy(of_mask(np.ones((3, 4))))
    assert len(np.unique(image(ax).reshape(-1, 4), axis=0)) == 1
    assert legend(ax) == {}


@pytest.mark.parametrize("given", [jnp.ones((2, 2)), None, "pattern"])
def test_bad_requests(given):
    message = (
        rf"^jaxcalc\.visual\.spy: expected a Jacobian or a SparsityPattern, got {type(given).__name__};"
    )
    with pytest.raises(TypeError, match=message):
        visual.spy(given)
