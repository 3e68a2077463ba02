"""Every kind of picture against one that was looked at.

The pictures that are kept have neither texts nor ticks, which differ between versions of matplotlib,
and axes of a fixed place: what is compared is lines, markers, arrows, areas and where they are. Texts
are compared in the other files. After a change that was meant, make them anew, and look at them:

    pytest tests/visual/test_images.py -n 0 --mpl-generate-path=tests/visual/baseline
"""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text
from matplotlib.ticker import NullLocator

from jaxcalc import visual
from tests.visual import examples

TOLERANCE = 4  # of 255, root mean square; a missing line makes more, antialiasing less

VARIANTS = {
    **examples.CALLS,
    "spy_blocks": lambda ax: visual.spy(examples.blocks(6, 4, 3), ax=ax),
    "spy_arrow": lambda ax: visual.spy(examples.arrow(20, 2), ax=ax),
    "spy_large": lambda ax: visual.spy(examples.banded(1_000, 1, 1), ax=ax),
    "spy_long": lambda ax: visual.spy(examples.of_mask(np.arange(300).reshape(100, 3) % 7 < 3), ax=ax),
    "plan_graph_fold": lambda ax: visual.plan_graph(examples.explanation(30), ax=ax),
    "plan_graph_parts": lambda ax: visual.plan_graph(
        examples.explanation(parts=examples.PARTS, methods=examples.WAYS_BY_PARTS), ax=ax
    ),
    "shapes_tensor": lambda ax: visual.shapes(lambda x: x.sum(0), jnp.ones((5, 2, 3)), ax=ax),
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.mpl_image_compare(style="default", backend="agg", tolerance=TOLERANCE)
def test_picture(name):
    projection = "3d" if name == "partial_slices" else None
    figure = plt.figure(figsize=(3.2, 2.6), dpi=100)
    ax = figure.add_axes((0.1, 0.1, 0.8, 0.8), projection=projection)
    VARIANTS[name](ax=ax)
    return without_texts_and_ticks(figure)


def without_texts_and_ticks(figure):
    insets = [inset for ax in figure.axes for inset in ax.child_axes]
    for ax in (*figure.axes, *insets):
        if ax.get_legend() is not None:
            ax.get_legend().remove()
        for axis in ax._axis_map.values():
            axis.set_major_locator(NullLocator())
            axis.set_minor_locator(NullLocator())
    for text in figure.findobj(Text):
        text.set_text("")
    return figure
