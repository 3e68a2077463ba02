"""Slices of a surface and fields of gradients: the numbers that are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.contour import ContourSet
from matplotlib.quiver import Quiver

from jaxcalc import visual
from jaxcalc.visual.functions import values
from tests.visual.examples import half_plane, surface


def contours(ax):
    return [drawn for drawn in ax.collections if isinstance(drawn, ContourSet)]


def arrows(ax):
    (quiver,) = (drawn for drawn in ax.collections if isinstance(drawn, Quiver))
    return quiver


def test_slices_lie_in_the_surface_and_tangents_have_the_partial_derivatives():
    ax = visual.partial_slices(surface, (1.0, 2.0), width=0.5)
    curve_x, tangent_x, curve_z, tangent_z, point = (line.get_data_3d() for line in ax.lines)
    for (x, z, height), held in ((curve_x, 1), (curve_z, 0)):
        np.testing.assert_allclose(height, 4 * x**4 * z**3, rtol=1e-5)
        assert np.ptp((x, z)[held]) == 0
        assert np.ptp((x, z)[1 - held]) == pytest.approx(1.0)
    for (x, z, height), slope, moving in ((tangent_x, 128.0, 0), (tangent_z, 48.0, 1)):
        run = np.diff((x, z)[moving])
        assert np.diff(height) / run == pytest.approx(slope)
        assert np.mean(height) == pytest.approx(32.0)  # through the point
    np.testing.assert_allclose(np.ravel(point), [1, 2, 32])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["z = 2: ∂surface/∂x = 128", "x = 1: ∂surface/∂z = 48"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "z")
    dashes = [line.get_linestyle() for line in ax.lines[:3:2]]
    assert dashes == ["-", "--"]


def test_slices_beside_what_is_drawn_already():
    ax = visual.partial_slices(surface, (1.0, 2.0))
    assert visual.partial_slices(surface, (1.0, 1.0), ax=ax) is ax
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[-2:] == ["z = 1: ∂surface/∂x = 16", "x = 1: ∂surface/∂z = 12"]


def test_a_slice_ends_where_the_function_does():
    ax = visual.partial_slices(half_plane, (0.5, 0.0))
    x, _, height = ax.lines[0].get_data_3d()
    np.testing.assert_array_equal(np.isnan(height), x < 0)
    ax.figure.canvas.draw()


def test_arrows_are_the_gradient():
    ax = visual.gradient_field(lambda x, z: x**2 + 3 * z, (-2, 2), (-1, 1), arrows=4)
    drawn = arrows(ax)
    gradient = np.stack([2 * drawn.X, np.full(16, 3.0)])
    length = np.hypot(*gradient)
    np.testing.assert_allclose(np.stack([drawn.U, drawn.V]), gradient / np.sqrt(length), rtol=1e-5)
    np.testing.assert_allclose(np.unique(drawn.X), [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(np.unique(drawn.Y), [-0.75, -0.25, 0.25, 0.75])
    assert drawn.angles == "xy"  # an arrow points where the gradient does, whatever the scales
    assert ax.get_aspect() == 1  # at right angles to the contour
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2, 2), (-1, 1))


def test_arrows_stay_in_their_cells():
    ax = visual.gradient_field(surface, (-1, 1), (-1, 1), arrows=5)
    drawn = arrows(ax)
    longest = np.hypot(drawn.U, drawn.V).max() / drawn.scale  # as a share of the width
    assert longest == pytest.approx(1 / 5)
    assert drawn.pivot == "middle"


def test_scales_that_differ_much_are_kept():
    ax = visual.gradient_field(lambda x, z: x + z, (0, 100), (0, 1))
    assert ax.get_aspect() == "auto"


def test_contours_are_those_of_the_function():
    ax = visual.gradient_field(lambda u, v: u**2 + v, (-1, 1), (-1, 1))
    filled, lines = contours(ax)
    assert filled.filled
    assert not lines.filled
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        u, v = path.vertices.T
        np.testing.assert_allclose(u**2 + v, level, atol=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("u", "v")
    shown = {float(text.get_text()) for text in ax.texts}
    assert shown <= {float(f"{level:.3g}") for level in lines.levels}


def test_levels_follow_the_heights_and_the_area():
    # a peak would take all levels that are even in height, a plain all that are even in area
    ax = visual.gradient_field(lambda x, z: jnp.exp(-50 * (x**2 + z**2)), (-1, 1), (-1, 1))
    levels = contours(ax)[1].levels
    assert (levels < 0.01).sum() >= 3
    assert (levels > 0.1).sum() >= 3


def test_what_is_not_finite_is_hatched_and_has_no_arrow():
    ax = visual.gradient_field(half_plane, (-1, 2), (-1, 1), arrows=6)
    assert sorted(np.unique(arrows(ax).X)) == [0.25, 0.75, 1.25, 1.75]
    hatched = contours(ax)[-1]
    assert hatched.hatches == ["////"]
    x, _ = np.concatenate([path.vertices for path in hatched.get_paths()]).T
    assert x.max() < 0.03
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["not finite"]
    assert visual.gradient_field(surface, (0, 1), (0, 1)).get_legend() is None


def test_a_constant_function_and_one_that_is_nowhere_finite():
    flat = visual.gradient_field(lambda x, z: 0 * x * z, (0, 1), (0, 1))
    assert contours(flat) == []
    nowhere = visual.gradient_field(lambda x, z: jnp.log(-1 - x * x) * z, (0, 1), (0, 1))
    assert not [drawn for drawn in nowhere.collections if isinstance(drawn, Quiver)]
    nowhere.figure.canvas.draw()


def test_functions_that_need_the_values_of_their_arguments():
    def branching(x, z):
        return x * z if x > 0 else z * z

    x, z = np.meshgrid([-1.0, 0.5, 2.0], [3.0, 4.0])
    np.testing.assert_allclose(values(branching, x, z), np.where(x > 0, x * z, z * z))
    by_x, by_z = values(jax.grad(branching, argnums=(0, 1)), x, z)
    np.testing.assert_allclose(by_x, np.where(x > 0, z, 0))
    np.testing.assert_allclose(by_z, np.where(x > 0, x, 2 * z))


def test_bad_requests():
    product = lambda x, z: x * z  # noqa: E731
    for call, error, message in (
        (
            lambda: visual.partial_slices(product, (1.0,)),
            ValueError,
            r"point must be two finite .* \(1\.0,\)",
        ),
        (lambda: visual.partial_slices(product, (1, 2, 3)), ValueError, "point must be two finite"),
        (lambda: visual.partial_slices(product, "xz"), ValueError, "point must be two finite .* 'xz'"),
        (lambda: visual.partial_slices(product, (1, np.nan)), ValueError, "point must be two finite"),
        (lambda: visual.partial_slices(product, (1, 2), width=0), ValueError, "width must be .* got 0"),
        (
            lambda: visual.partial_slices(product, (1, 2), width="1"),
            ValueError,
            "width must be .* got '1'",
        ),
        (lambda: visual.partial_slices(lambda x: x, (1, 2)), TypeError, "f must take two numbers"),
        (
            lambda: visual.partial_slices(half_plane, (-1, 2)),
            ValueError,
            r"half_plane is nan at \(-1, 2\)",
        ),
        (
            lambda: visual.partial_slices(half_plane, (0, 2)),
            ValueError,
            "derivative of half_plane is not",
        ),
        (
            lambda: visual.gradient_field(product, (1, 0), (0, 1)),
            ValueError,
            r"xlim must rise, got \(1, 0\)",
        ),
        (lambda: visual.gradient_field(product, (0, 1), (1,)), ValueError, "ylim must be two finite"),
        (
            lambda: visual.gradient_field(product, (0, 1), (0, 1), arrows=0),
            ValueError,
            "arrows .* got 0",
        ),
        (
            lambda: visual.gradient_field(product, (0, 1), (0, 1), arrows=1.5),
            ValueError,
            "arrows .* got 1.5",
        ),
        (lambda: visual.gradient_field(3, (0, 1), (0, 1)), TypeError, "expected a function"),
        (lambda: visual.gradient_field(lambda v: v[0], (0, 1), (0, 1)), TypeError, r"two .*jnp\.stack"),
        (
            lambda: visual.gradient_field(lambda x, z: (x, z), (0, 1), (0, 1)),
            TypeError,
            "must return one real",
        ),
    ):
        with pytest.raises(error, match=rf"^jaxcalc\.visual\.\w+: .*{message}"):
            call()
