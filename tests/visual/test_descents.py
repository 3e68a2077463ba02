"""Paths over a loss and histories of it: the numbers that are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.contour import ContourSet

from jaxcalc import descent, visual
from tests.visual.examples import bowl, minimum, path


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def paths(ax):
    """The lines with markers of more than one point."""
    return [line for line in ax.lines if len(line.get_xdata()) > 1 and line.get_marker() != "None"]


def test_a_path_goes_where_the_parameters_went():
    steps = path(0.1)
    ax = visual.descent_path(bowl, steps)
    (line,) = paths(ax)
    np.testing.assert_allclose(line.get_xydata(), [[p["a"], p["b"]] for p in steps])
    ring, star = (line for line in ax.lines if len(line.get_xdata()) == 1)
    assert (ring.get_marker(), star.get_marker()) == ("o", "*")
    np.testing.assert_allclose(ring.get_xydata()[0], [0, 0])
    np.testing.assert_allclose(star.get_xydata()[0], [steps[-1]["a"], steps[-1]["b"]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("p['a']", "p['b']")
    assert ax.get_legend() is None


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (jnp.array([1.0, 2.0]), ("w[0]", "w[1]")),
        ((1.0, jnp.array([2.0])), ("w[0]", "w[1][0]")),
        ({"b": 1.0, "m": {"c": np.float64(2.0)}}, ("w['b']", "w['m']['c']")),
        (jnp.array([[1.0], [2.0]], jnp.bfloat16), ("w[0, 0]", "w[1, 0]")),
        ((jnp.float32(1.0), jnp.float16(2.0)), ("w[0]", "w[1]")),
    ],
)
@pytest.mark.parametrize("x64", [False, True])
def test_parameters_may_be_any_pytree_of_two_numbers(parameters, names, x64):
    with jax.enable_x64(x64):

        def loss(w):
            first, second = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(w)])
            return (first - 5) ** 2 + second**4

        ax = visual.descent_path(loss, [parameters])
        assert (ax.get_xlabel(), ax.get_ylabel()) == names
        lines = next(drawn for drawn in reversed(ax.collections) if isinstance(drawn, ContourSet))
        assert len(lines.levels) > 3


def test_an_array_of_steps_is_a_path():
    steps = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 0.5]])
    np.testing.assert_allclose(paths(visual.descent_path(rosenbrock, steps))[0].get_xydata(), steps)


def test_several_paths_are_told_apart_without_color():
    ax = visual.descent_path(bowl, {rate: path(rate) for rate in (0.02, 0.1, 0.2)})
    assert labels(ax) == ["0.02", "0.1", "0.2"]
    looks = {(line.get_marker(), line.get_linestyle()) for line in paths(ax)}
    assert len(looks) == 3


def test_a_path_that_diverges_does_not_hide_the_others():
    far = path(0.4, 40)
    assert abs(far[-1]["b"]) > 1e3
    ax = visual.descent_path(bowl, {"right": path(0.1), "too large": far})
    assert labels(ax) == ["right", "too large (leaves the picture)"]
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert high - low < 10
    assert ax.get_xlim()[0] < 0
    assert ax.get_xlim()[1] > path(0.1)[-1]["a"]


def test_a_path_ends_where_it_is_not_finite():
    steps = [jnp.array([0.0, 1.0]), jnp.array([1.0, 1.0]), jnp.array([jnp.inf, 1.0])]
    ax = visual.descent_path(rosenbrock, {"wild": steps})
    assert labels(ax) == ["wild (not finite after step 1)"]
    assert len(paths(ax)[0].get_xdata()) == 2
    alone = visual.descent_path(rosenbrock, [jnp.array([jnp.nan, 1.0])])
    alone.figure.canvas.draw()


def test_where_the_loss_is_not_finite_it_is_hatched():
    loss = lambda w: jnp.log(w[0]) ** 2 + w[1] ** 2  # noqa: E731
    ax = visual.descent_path(loss, [jnp.array([0.5, 1.0])], xlim=(-1, 2))
    assert labels(ax) == ["not finite"]


def test_limits_that_are_given_are_kept():
    ax = visual.descent_path(bowl, path(0.1), xlim=(-5, 5), ylim=(-2, 3))
    assert (ax.get_xlim(), ax.get_ylim()) == ((-5, 5), (-2, 3))
    assert visual.descent_path(bowl, path(0.1), xlim=(-5, 5)).get_xlim() == (-5, 5)


def test_a_long_path_keeps_its_markers_apart():
    ax = visual.descent_path(bowl, path(0.01, 200))
    (line,) = paths(ax)
    assert len(line.get_xdata()) == 201
    assert line.get_markevery() == 5


def test_parameters_that_a_step_used_up():
    step = descent.make_step(rosenbrock, 1e-4)
    state = step.init(jnp.array([0.0, 1.0]))
    kept = [state.parameters]
    state, _ = step.update(state)
    if not kept[0].is_deleted():
        pytest.skip("this device does not donate buffers")
    with pytest.raises(ValueError, match=r"descent_path: paths\[0\] was used up .*jax\.device_get"):
        visual.descent_path(rosenbrock, kept)


def test_losses_are_drawn_step_by_step():
    found = minimum(0.1)
    ax = visual.loss_history({"right": found})
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(31))
    np.testing.assert_allclose(line.get_ydata(), [*found.history.loss, found.value])
    assert labels(ax) == [f"right: {found.value:.3g} after 30 steps"]
    assert (ax.get_yscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "step", "loss")


def test_how_each_descent_ended():
    converged = descent.minimize(bowl, {"a": 0.0, "b": 0.0}, optimizer=0.1, steps=99, tolerance=1e-3)
    diverged = descent.minimize(bowl, {"a": 0.0, "b": 0.0}, optimizer=9.0, steps=99)
    ax = visual.loss_history({"good": converged, "bad": diverged})
    assert labels(ax) == [
        f"good: converged after {converged.steps} steps",
        f"bad: diverged after {diverged.steps} steps",
    ]
    good, bad, cross = ax.lines
    assert cross.get_marker() == "X"
    np.testing.assert_allclose(cross.get_xydata()[0], bad.get_xydata()[-1])
    assert (good.get_marker(), good.get_linestyle()) != (bad.get_marker(), bad.get_linestyle())
    alone = visual.loss_history(converged)
    assert labels(alone) == [f"converged after {converged.steps} steps"]


def test_losses_that_are_negative_or_zero():
    falling = descent.minimize(lambda x: x, 1.0, optimizer=0.5, steps=6)
    assert visual.loss_history(falling).get_yscale() == "linear"
    exact = descent.minimize(lambda x: x**2, 1.0, optimizer=0.5, steps=3)  # 0 after the first step
    ax = visual.loss_history(exact)
    assert ax.get_yscale() == "log"
    ax.figure.canvas.draw()
    nothing = descent.minimize(lambda x: 0 * x, 1.0, optimizer=0.5, steps=3)
    assert visual.loss_history(nothing).get_yscale() == "linear"


def test_bad_requests():
    pair = jnp.ones(2)
    for call, error, message in (
        (lambda: visual.descent_path(3, [pair]), TypeError, "expected a function"),
        (lambda: visual.descent_path(rosenbrock, []), ValueError, "paths is empty"),
        (lambda: visual.descent_path(rosenbrock, {}), ValueError, "paths are empty"),
        (lambda: visual.descent_path(rosenbrock, {"sgd": []}), ValueError, r"paths\['sgd'\] is empty"),
        (
            lambda: visual.descent_path(bowl, {"a": 1.0, "b": 2.0}),
            TypeError,
            r"paths\['a'\] .* got float",
        ),
        (
            lambda: visual.descent_path(rosenbrock, [jnp.ones(3)]),
            ValueError,
            r"two numbers .* paths\[0\] hold 3",
        ),
        (lambda: visual.descent_path(rosenbrock, [pair, pair[:1]]), ValueError, r"paths\[1\] hold 1"),
        (lambda: visual.descent_path(rosenbrock, [jnp.arange(2)]), TypeError, "parameters is int32"),
        (lambda: visual.descent_path(rosenbrock, [pair + 0j]), TypeError, r"paths\[0\] is complex"),
        (lambda: visual.descent_path(lambda w: w, [pair]), TypeError, "must return one real number"),
        (lambda: visual.descent_path(rosenbrock, [pair], xlim=(1, 1)), ValueError, "xlim must rise"),
        (lambda: visual.loss_history(3), TypeError, "minima must be a .*Minimum, got int"),
        (lambda: visual.loss_history({}), ValueError, "minima are empty"),
        (lambda: visual.loss_history({"a": [1.0]}), TypeError, r"minima\['a'\] must be a .*got list"),
        (
            lambda: visual.loss_history(
                descent.minimize(lambda x: x**2, 0.0, optimizer=0.1, steps=5, tolerance=1.0)
            ),
            ValueError,
            r"minima made no step \(converged\)",
        ),
    ):
        with pytest.raises(error, match=rf"^jaxcalc\.visual\.\w+: .*{message}"):
            call()
