"""The graph of a plan: what is written in it, and which way its arrows point."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Annotation

import jaxcalc
from jaxcalc import visual
from jaxcalc.planning.findings import Line, Method
from tests.visual.examples import PARTS, WAYS_BY_PARTS, explanation


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def arrows(ax):
    """From where to where, and how wide, from top to bottom."""
    found = [text for text in ax.texts if isinstance(text, Annotation)]
    return [(a.xyann[1], a.xy[1], a.arrowprops["width"]) for a in found]


def boxes(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def overlapping(ax):
    """Texts of the finished picture that cover each other."""
    ax.figure.canvas.draw()
    shown = [text for text in ax.texts if text.get_text()]
    places = [text.get_window_extent().padded(-1) for text in shown]
    return [
        (a.get_text(), b.get_text())
        for i, (a, p) in enumerate(zip(shown, places, strict=True))
        for b, q in zip(shown[:i], places[:i], strict=True)
        if p.overlaps(q)
    ]


def test_lines_from_the_input_to_the_output():
    ax = visual.plan_graph(explanation(3))
    shown = texts(ax)
    order = [
        "float32[100]",
        "1 lane",
        "model.py:2",
        "1 lane, 100 entries",
        "model.py:3",
        "2 lanes, 200 entries",
        "model.py:4",
        "3 lanes, 300 entries",
        "float32[98]",
    ]
    places = {text.get_text(): text.get_position()[1] for text in ax.texts}
    heights = [places[text] for text in order]
    assert heights == sorted(heights)
    assert "slice, mul" in shown
    drawn = arrows(ax)
    assert all(begin < end for begin, end, _ in drawn)  # downwards, as y does
    widths = [width for *_, width in drawn]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    title = (
        "Jacobian: float32[100] -> float32[98]\n98 x 100, 294 nonzeros (3 %), banded (lower 0, upper 2)"
    )
    assert ax.get_title() == title


def test_in_reverse_the_arrows_point_upwards():
    lines = [Line("model.py:9", ("sin",), 2, 20, 1.0), Line("model.py:8", ("mul",), 5, 50, 1.0)]
    ways = [Method("structured, reverse", 5, 1.0, 1, is_chosen=True)]
    ax = visual.plan_graph(explanation(lines=lines, methods=ways, lines_of="structured, reverse"))
    assert all(begin > end for begin, end, _ in arrows(ax))
    places = {text.get_text(): text.get_position()[1] for text in ax.texts}
    # f runs line 8 first; its cotangents have all five lanes when they leave it for the input
    assert places["model.py:8"] < places["model.py:9"]
    assert places["float32[100]"] < places["5 lanes, 50 entries"] < places["model.py:8"]
    assert places["model.py:9"] < places["1 lane"] < places["float32[98]"]


def test_ways_with_their_costs():
    ax = visual.plan_graph(explanation())
    shown = texts(ax)
    for expected in (
        "✓ structured, forward",
        "3 lanes · 900 ns · 15.6 KiB",
        "dense, forward",
        "100 products · 1.6 ms · 1.14 MiB",
        "for format='dense'",
        "✗ dense, reverse",
        "not possible: no reverse mode",
    ):
        assert expected in shown
    chosen, other, impossible = boxes(ax)[-3:]
    assert chosen.get_linewidth() > other.get_linewidth()
    looks = [box.get_linestyle() for box in (chosen, other, impossible)]
    assert looks in (["-", "--", ":"], ["solid", "--", ":"])


def test_parts():
    ax = visual.plan_graph(explanation(parts=PARTS, methods=WAYS_BY_PARTS))
    shown = texts(ax)
    for expected in ("part 1: reverse", "ends at model.py:4", "2 numbers", "part 2: forward"):
        assert expected in shown
    assert shown.count("64 numbers") == 2
    assert "model.py:2" not in shown
    wide, narrow, again = (width for *_, width in arrows(ax))
    assert wide == again > narrow


@pytest.mark.parametrize("count", [0, 1, 5, 30, 300])
def test_any_number_of_lines_is_legible(count):
    ax = visual.plan_graph(explanation(count))
    assert len(boxes(ax)) <= 10 + 2 + 3
    assert overlapping(ax) == []
    size = min(text.get_fontsize() for text in ax.texts if text.get_text())
    assert size >= 7
    folded = [int(text.split()[1]) for text in texts(ax) if text.startswith("…")]
    shown = sum(text.startswith("model.py") for text in texts(ax))
    assert sum(folded) + shown == count


def test_what_matters_is_not_folded():
    lines = [Line(f"model.py:{i}", ("mul",), 1, 10, 5.0) for i in range(40)]
    lines[7] = Line("model.py:7", ("dot_general",), 1, 10, 900.0)
    lines[17] = Line("model.py:17", ("add",), 30, 300, 1.0, note="most lanes from here")
    lines[29] = Line("model.py:29", ("mystery",), 30, 300, 1.0)
    ax = visual.plan_graph(explanation(lines=lines, fallbacks=["mystery (model.py:29)"]))
    for expected in ("model.py:7", "model.py:17", "most lanes from here", "model.py:29", "fallback"):
        assert expected in texts(ax)


def test_fallbacks_are_hatched():
    ax = visual.plan_graph(explanation(fallbacks=["max (model.py:3) is not linear in the tangents"]))
    hatched = [box for box in boxes(ax) if box.get_hatch()]
    assert len(hatched) == 2  # the line, and what is said of it
    places = [text.get_position()[1] for text in ax.texts if text.get_text() == "model.py:3"]
    assert hatched[0].get_y() < places[0] < hatched[0].get_y() + hatched[0].get_height()
    assert "max (model.py:3) is not linear in the" in texts(ax)
    many = visual.plan_graph(explanation(fallbacks=[f"mystery (other.py:{i})" for i in range(9)]))
    assert "and 5 more" in texts(many)
    assert not [box for box in boxes(visual.plan_graph(explanation())) if box.get_hatch()]


def test_lines_of_another_way_are_told():
    ways = [Method("dense, forward", 9, 1.0, 1, is_chosen=True, block=3, blocks=3)]
    ax = visual.plan_graph(explanation(methods=ways, lines_of="structured, forward"))
    assert "lines of f, if it were structured, forward" in texts(ax)
    assert "in 3 blocks of 3" in texts(ax)


def test_a_hessian_is_the_derivative_of_a_gradient():
    def chained(x):
        return jnp.sum((x[1:] - x[:-1] ** 2) ** 2)

    shown = texts(visual.plan_graph(jaxcalc.explain(chained, jnp.ones(20), order=2)))
    assert "lines of the gradient of f" in shown
    assert "gradient" in shown
    assert shown.count("float32[20]") == 2


def test_small_axes_get_small_letters_and_fewer_lines():
    _, axes = plt.subplots(1, 2, figsize=(9, 4))
    visual.plan_graph(explanation(30), ax=axes[0])
    own = visual.plan_graph(explanation(30))
    count = [sum(text.startswith("model.py") for text in texts(ax)) for ax in (axes[0], own)]
    assert 0 < count[0] < count[1]
    assert axes[0].texts[0].get_fontsize() < own.texts[0].get_fontsize()
    assert overlapping(axes[0]) == []
    assert not axes[1].has_data()


def test_what_explain_says_of_a_real_function():
    def stencil(u):
        inner = u[2:] - 2 * u[1:-1] + u[:-2]
        return jnp.sin(u[1:-1]) * inner

    found = jaxcalc.explain(stencil, jnp.ones(1000))
    ax = visual.plan_graph(found)
    shown = texts(ax)
    for line in found.lines:
        assert line.place in shown
        assert f"{line.lanes:,} lanes, {line.entries:,} entries" in shown
    assert f"✓ {found.chosen.name}" in shown
    assert overlapping(ax) == []
    assert np.isfinite(ax.get_xlim()).all()


@pytest.mark.parametrize("given", [None, "text", {"methods": []}])
def test_bad_requests(given):
    message = rf"^jaxcalc\.visual\.plan_graph: expected an Explanation, got {type(given).__name__};"
    with pytest.raises(TypeError, match=message):
        visual.plan_graph(given)
