"""Secants and errors of difference quotients: the numbers that are drawn."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import visual
from tests.visual.examples import cubic


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def slope(line):
    (x, *_, end), (y, *_, top) = line.get_data()
    return (top - y) / (end - x)


def test_secants_have_the_slopes_of_the_quotients_and_meet_the_curve():
    ax = visual.secants(cubic, 2.0, steps=[1.0, 0.5])
    drawn = lines(ax)
    assert labels(ax) == ["cubic", "h = 1: slope 38", "h = 0.5: slope 30.5", "tangent: slope 24"]
    for h in (1.0, 0.5):
        line = drawn[f"h = {h:g}: slope {(cubic(2 + h) - cubic(2)) / h:.4g}"]
        assert slope(line) == pytest.approx((cubic(2 + h) - cubic(2)) / h)
        at = np.interp([2, 2 + h], *line.get_data())
        np.testing.assert_allclose(at, [cubic(2), cubic(2 + h)], rtol=1e-5)
    assert slope(drawn["tangent: slope 24"]) == pytest.approx(24)
    x, y = drawn["cubic"].get_data()
    np.testing.assert_allclose(y, cubic(x), rtol=1e-5)
    assert x.min() < 2
    assert x.max() > 3
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "cubic(x)")


def test_secants_are_told_apart_without_color():
    drawn = lines(visual.secants(cubic, 2.0))
    dashes = [str(line._unscaled_dash_pattern) + str(line.get_linewidth()) for line in drawn.values()]
    assert len(set(dashes)) == len(dashes) == 5
    widest = max(drawn.values(), key=lambda line: line.get_linewidth())
    assert widest.get_label().startswith("tangent")


def test_a_curve_that_falls_to_infinity_does_not_decide_what_is_seen():
    ax = visual.secants(jnp.log, 0.5)  # the curve reaches down to x = 0
    assert ax.get_ylim()[0] > -3
    assert np.isnan(lines(ax)["log"].get_ydata()).any()  # and is cut where it ends


def test_functions_that_cannot_be_traced_and_hidden_names():
    def _clipped(x):
        return x if x > 0 else 0.0 * x

    ax = visual.secants(_clipped, 1.0)
    assert labels(ax)[0] == "clipped"
    x, y = lines(ax)["clipped"].get_data()
    np.testing.assert_allclose(y, np.maximum(x, 0), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_are_those_of_the_quotients(dtype, x64):
    x = jnp.asarray(1.0, dtype)
    steps = 10.0 ** -np.arange(1, 7)
    ax = visual.difference_error(jnp.sin, x, steps=steps)
    table = jaxcalc.numerical.difference_quotients(jnp.sin, x, steps)
    for name in ("forward", "central"):
        error = np.asarray(getattr(table, f"{name}_error"))
        (line,) = [line for label, line in lines(ax).items() if label.startswith(name)]
        np.testing.assert_allclose(line.get_xdata(), np.asarray(table.steps)[error > 0])
        np.testing.assert_allclose(line.get_ydata(), error[error > 0])
        assert line.get_label() == f"{name}, best at h = {steps[np.argmin(error)]:.1e}"
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert ax.get_title() == f"sin at x = 1 ({dtype})"


def rings(ax):
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in ax.lines
        if line.get_markerfacecolor() == "none" and len(line.get_xdata()) == 1
    ]


def test_the_best_steps_are_ringed(x64):
    ax = visual.difference_error(jnp.sin, jnp.asarray(1.0, jnp.float64))
    forward, central = (line for label, line in lines(ax).items())
    assert rings(ax) == [
        (line.get_xdata()[np.argmin(line.get_ydata())], line.get_ydata().min())
        for line in (forward, central)
    ]
    # of the known orders: the square root and the cube root of the rounding unit
    assert 1e-10 < rings(ax)[0][0] < 1e-6 < rings(ax)[1][0] < 1e-3


def guides(ax):
    """The slopes of the dotted lines, on the logarithmic axes."""
    found = {}
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    for line, text in zip(dotted, ax.texts, strict=True):
        x, y = np.log10(line.get_data())
        found[text.get_text()] = (y[-1] - y[0]) / (x[-1] - x[0])
        # the text stands beside its own line
        at_x, at_y = np.log10(text.xy)
        assert at_y == pytest.approx(np.interp(at_x, x[::-1], y[::-1]), abs=1e-6)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_sides_are_marked_with_their_slopes(dtype, x64):
    ax = visual.difference_error(cubic, jnp.asarray(2.0, dtype))
    assert guides(ax) == pytest.approx(
        {"truncation\n∝ h": 1.0, "truncation\n∝ h²": 2.0, "rounding\n∝ 1/h": -1.0}
    )
    forward = next(line for label, line in lines(ax).items() if label.startswith("forward"))
    guide = next(line for line in ax.lines if line.get_linestyle() == ":")
    at, drawn = (np.interp(-1.0, *np.log10(line.get_data())[:, ::-1]) for line in (guide, forward))
    assert at == pytest.approx(drawn, abs=0.1)  # through the points, not merely parallel to them


def test_slopes_are_not_claimed_where_there_are_none():
    # of an affine function nothing is truncated
    assert "truncation\n∝ h" not in guides(visual.difference_error(lambda x: 3 * x, 1.0))
    # of |x|^1.5 at 0 the error falls as the square root of h
    rough = visual.difference_error(lambda x: jnp.abs(x) ** 1.5, 1e-30, steps=[1e-1, 1e-3, 1e-5, 1e-7])
    assert "truncation\n∝ h" not in guides(rough)
    nothing = visual.difference_error(lambda x: 0 * x, 1.0)
    assert [text.get_text() for text in nothing.texts] == ["every error is 0"]


@pytest.mark.parametrize("picture", [visual.secants, visual.difference_error])
def test_bad_requests(picture):
    name = rf"jaxcalc\.visual\.{picture.__name__}: "
    for f, x, steps, error, message in (
        (3, 1.0, None, TypeError, "expected a function"),
        (jnp.sin, 1, None, TypeError, "x is int32.*Write 1.0 instead of 1"),
        (jnp.sin, jnp.ones(2), None, TypeError, r"x must be a scalar, got float32\[2\]"),
        (lambda x: jnp.stack([x, x]), 1.0, None, TypeError, r"must return one real .* float32\[2\]"),
        (lambda x: 1j * x, 1.0, None, TypeError, "must return one real number"),
        (jnp.sin, 1.0, [0.1, 0.0], ValueError, "steps must be positive, finite and falling"),
        (jnp.sin, 1.0, [0.1, 0.2], ValueError, "steps must be positive, finite and falling"),
        (jnp.sin, 1.0, [], ValueError, "steps must be a sequence"),
        (jnp.log, -1.0, None, ValueError, "log is nan at -1, so there is no tangent"),
        (jnp.sqrt, 0.0, None, ValueError, "derivative of sqrt is not finite at 0"),
    ):
        with pytest.raises(error, match=name + ".*" + message):
            picture(f, x, steps=steps)
