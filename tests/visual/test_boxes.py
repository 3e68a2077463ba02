"""Shapes as boxes: which there are, how large, and what is written beside them."""

import jax
import jax.numpy as jnp
import pytest
from matplotlib.patches import Rectangle

import jaxcalc
from jaxcalc import visual


def vector(n):
    return jax.ShapeDtypeStruct((n,), jnp.float32)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def boxes(ax):
    """Width and height of each, in cells where they are few."""
    return [
        (round(box.get_width() / 0.3), round(box.get_height() / 0.3))
        for box in ax.patches
        if isinstance(box, Rectangle)
    ]


def cubic(x):
    return 2 * x**3 + 5


def bend(x):
    return jnp.stack([x[0] * x[1], x[2] ** 2])


@pytest.mark.parametrize(
    ("f", "args", "title", "drawn", "block"),
    [
        (cubic, (2.0,), "derivative\nR -> R", [(1, 1), (1, 1), (1, 1)], "[]"),
        (jnp.sum, (jnp.ones(5),), "gradient\nR^5 -> R", [(5, 1), (1, 1), (5, 1)], "[5]"),
        (bend, (jnp.ones(3),), "Jacobian\nR^3 -> R^2", [(3, 1), (1, 2), (3, 2)], "[2,3]"),
        (
            lambda w, x: w @ x,
            (jnp.ones((2, 3)), jnp.ones(3)),
            "generalized Jacobian\nR^(2x3) -> R^2",
            [(3, 2), (1, 2), (6, 2)],
            "[2,2,3]",
        ),
    ],
)
def test_each_term(f, args, title, drawn, block):
    ax = visual.shapes(f, *args)
    assert ax.get_title() == title
    assert boxes(ax) == drawn
    assert texts(ax)[-1] == block
    kind = jaxcalc.classify(f, *args)
    assert title.startswith(kind.name + "\n")
    assert block == str(list(kind.shapes[0])).replace(" ", "")


def test_columns_stand_below_the_input_and_rows_beside_the_output():
    ax = visual.shapes(bend, vector(3))
    above, beside, block = (box.get_bbox() for box in ax.patches)
    assert (above.x0, above.x1) == (block.x0, block.x1)
    assert (beside.y0, beside.y1) == (block.y0, block.y1)
    assert above.y1 < block.y0  # y grows downwards
    assert beside.x1 < block.x0
    assert ax.yaxis_inverted()
    assert ax.get_aspect() == 1


def test_pytrees_have_a_block_for_each_pair_of_leaves():
    def layer(p, x):
        hidden = p["w"] @ x + p["b"]
        return {"hidden": hidden, "norm": jnp.sum(hidden)}

    p = {"w": jnp.ones((2, 3)), "b": jnp.ones(2)}
    ax = visual.shapes(layer, p, jnp.ones(3))
    assert texts(ax) == [
        "p['b']\nfloat32[2]",
        "p['w']\nfloat32[2,3]",
        "layer['hidden']\nfloat32[2]",
        "layer['norm']\nfloat32",
        "[2,2]",
        "[2,2,3]",
        "[2]",
        "[2,3]",
    ]
    blocks = ax.patches[-4:]
    assert blocks[0].get_facecolor() != blocks[1].get_facecolor() != blocks[3].get_facecolor()
    by_x = visual.shapes(layer, p, jnp.ones(3), argnums=(0, 1))
    assert "x\nfloat32[3]" in texts(by_x)


def test_large_ones_are_drawn_smaller_and_without_elements():
    ax = visual.shapes(lambda x: x * 2, vector(1_000_000))
    assert max(max(size) for size in boxes(ax)) < 20
    assert ax.lines == [] or len(ax.lines) == 0
    small, large = (
        visual.shapes(lambda x: x * 2, vector(n)).patches[0].get_width() for n in (20, 2000)
    )
    assert small < large


def test_tensors_are_sheets():
    ax = visual.shapes(lambda x: x.sum(0), jax.ShapeDtypeStruct((5, 2, 3), jnp.float32))
    assert boxes(ax)[:3] == [(3, 2)] * 3
    first, *_, last = (box.get_zorder() for box in ax.patches[:3])
    assert first < last


def test_many_leaves_are_counted():
    ax = visual.shapes(sum, tuple(jnp.ones(2) for _ in range(9)))
    assert ax.get_title().endswith("3 more blocks")
    assert len(texts(ax)) == 6 + 1 + 6


def test_labels_do_not_overlap():
    for args in ((2.0,), (vector(3),), (jax.ShapeDtypeStruct((32, 64), jnp.float32),)):
        ax = visual.shapes(lambda x: x * 2, *args)
        ax.figure.canvas.draw()
        places = [text.get_window_extent() for text in ax.texts]
        assert not any(p.overlaps(q) for i, p in enumerate(places) for q in places[:i])
        frame = ax.figure.bbox
        assert all(frame.x0 <= p.x0 and p.x1 <= frame.x1 for p in places)


def test_bad_requests():
    for call, error, message in (
        (lambda: visual.shapes(3, 1.0), TypeError, "expected a function"),
        (lambda: visual.shapes(jnp.sin, 1), TypeError, "x is int32"),
        (lambda: visual.shapes(jnp.sin, 1.0, argnums=2), ValueError, "argnums=2 asks for position 2"),
        (lambda: visual.shapes(lambda x: (), 1.0), ValueError, "the output of f has no arrays"),
        (lambda: visual.shapes(lambda x: 1.0, {}), ValueError, "the input of f has no arrays"),
    ):
        with pytest.raises(error, match=rf"^jaxcalc\.visual\.shapes: .*{message}"):
            call()
