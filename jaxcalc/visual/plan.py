"""What `explain` says of a derivative, as a graph."""

from __future__ import annotations

import warnings
from typing import Any

from jaxcalc.call.front_door import options
from jaxcalc.display.axes import axes_for
from jaxcalc.display.render import size_in_words
from jaxcalc.planning.explanation import Explanation
from jaxcalc.planning.flow import stations
from jaxcalc.visual.plan_flow import PITCH, draw_flow
from jaxcalc.visual.plan_ways import boxes, draw_boxes, height_of

_WIDTH = 8.0  # of the graph, in inches; heights are in inches too
_HEAD = 0.35  # above the boxes
_LINES = 10  # of the source; the rest is folded
_SMALLEST = 0.55  # of the size of letters, where the axes are small


@options
def plan_graph(explanation: Explanation, *, ax: Any = None) -> Any:
    """Draw the method that a derivative takes through f, and the methods that were not taken.

    Deprecated, and goes with the next version: `Explanation.to_mermaid` gives the same as a text, which
    notebooks and code hosts draw.

    On the left are the lines of f, or the parts that it is cut into, from the input at the top to the
    output at the bottom. Arrows point in the direction in which the derivative is carried and are as
    wide as it is: its lanes and entries are written beside them. Lines with a fallback are hatched.
    On the right are the methods that were compared, the one that is taken first, with what each costs.

    Args:
        explanation: what `jaxcalc.explain` returned.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. Lines that there is no room for are folded: those with a fallback, the widest and
        the most costly ones stay.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: it is no `Explanation`, or `ax` are no axes.

    Cost: none beside the drawing.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> explanation = jaxcalc.explain(lambda x: jnp.sin(x[1:]) * x[:-1], jnp.ones(100))
        >>> print(explanation.to_mermaid().splitlines()[0])  # in the place of plan_graph(explanation)
        flowchart TB
    """
    api = "jaxcalc.visual.plan_graph"
    if not isinstance(explanation, Explanation):
        raise TypeError(
            f"{api}: expected an Explanation, got {type(explanation).__name__}; "
            "jaxcalc.explain(f, *args) returns one."
        )
    warnings.warn(
        f"{api} is deprecated and goes with the next version; explanation.to_mermaid() gives the same "
        "as a text, which notebooks and code hosts draw",
        DeprecationWarning,
        stacklevel=3,  # the caller's line: the options of a public function are checked in between
    )
    methods = boxes(explanation)
    most = _LINES if ax is None else _fitting(axes_for(api, ax))
    shown = stations(explanation, most)
    height = _HEAD + max(PITCH * len(shown), height_of(methods))
    scale = 1.0
    if ax is None:
        ax = axes_for(api, size=(_WIDTH, height + 0.5))
    else:
        width, room = _inches(ax)
        scale = max(_SMALLEST, min(scale, width / _WIDTH, room / height))
    ax.set_axis_off()
    ax.set(xlim=(0, _WIDTH), ylim=(height, 0))
    draw_flow(ax, explanation, shown, _HEAD, scale)
    draw_boxes(ax, methods, _HEAD, scale)
    title = f"{explanation.term}: {explanation.map}"
    if explanation.pattern is not None:
        title += f"\n{size_in_words(explanation.pattern)}"
    ax.set_title(title, fontsize=10 * scale)
    return ax


def _inches(ax: Any) -> tuple[float, float]:
    """Width and height of the axes."""
    extent = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return float(extent.width), float(extent.height)


def _fitting(ax: Any) -> int:
    """How many lines there is room for between input and output, in small letters."""
    return max(1, min(_LINES, int((_inches(ax)[1] - _HEAD) / (_SMALLEST * PITCH)) - 2))
