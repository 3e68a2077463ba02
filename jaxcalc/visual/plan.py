"""What `explain` says of a derivative, as a graph."""

from __future__ import annotations

from typing import Any

from jaxcalc.formats.axes import axes_for
from jaxcalc.planning.explanation import Explanation
from jaxcalc.visual.style import INK


def plan_graph(explanation: Explanation, *, ax: Any = None) -> Any:
    """Draw the way that a derivative takes through f, and the ways that were not taken.

    Args:
        explanation: what `jaxcalc.explain` returned.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: it is no `Explanation`, or `ax` are no axes.

    Cost: none beside the drawing.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> explanation = jaxcalc.explain(lambda x: jnp.sin(x[1:]) * x[:-1], jnp.ones(100))
        >>> print(jaxcalc.visual.plan_graph(explanation).get_title())
        Jacobian: float32[100] -> float32[99]
    """
    api = "jaxcalc.visual.plan_graph"
    if not isinstance(explanation, Explanation):
        raise TypeError(
            f"{api}: expected an Explanation, got {type(explanation).__name__}; "
            "jaxcalc.explain(f, *args) returns one."
        )
    ax = axes_for(api, ax)
    ax.set_axis_off()
    ax.set_title(f"{explanation.term}: {explanation.map}")
    for i, line in enumerate(explanation.lines):
        text = f"{line.place}\n{', '.join(line.operations[:3])}: {line.lanes} lanes"
        ax.annotate(
            text,
            (0.3, -i),
            (0.3, -i - 1),
            arrowprops={"arrowstyle": "<-"},
            bbox={"boxstyle": "round", "fc": "white", "ec": INK},
            ha="center",
        )
    for i, way in enumerate(explanation.ways):
        weight = "bold" if way.is_chosen else "normal"
        ax.text(0.7, -i, f"{way.name} ({way.products})", weight=weight)
    ax.set(xlim=(0, 1), ylim=(-max(len(explanation.lines), len(explanation.ways)) - 1, 1))
    return ax
