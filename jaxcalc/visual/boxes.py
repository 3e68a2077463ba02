"""The shapes of an input, an output and the derivative between them, as boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxcalc.arguments import Argnums
from jaxcalc.formats.axes import axes_for
from jaxcalc.kinds import classify
from jaxcalc.visual.style import INK


def shapes(f: Callable[..., Any], *args: Any, argnums: Argnums = 0, ax: Any = None) -> Any:
    """Draw the shapes of f's input, output and derivative as boxes, and name the derivative.

    Args:
        f: any function that JAX can trace, of any pytrees.
        *args: its arguments: arrays, numbers, or `jax.ShapeDtypeStruct`s in their place.
        argnums: position or positions of the arguments to differentiate by.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes; the title is the term: gradient, Jacobian, generalized Jacobian ...

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: an argument is not an array or a number, or is an integer, or `ax` are no axes.
        ValueError: `argnums` do not fit the call.

    Cost: one abstract evaluation (a trace) of f, and no evaluation.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> ax = jaxcalc.visual.shapes(lambda x: jnp.stack([x[0] * x[1], x[2] ** 2]), jnp.ones(3))
        >>> print(ax.get_title())
        Jacobian: float32[3] -> float32[2]
    """
    api = "jaxcalc.visual.shapes"
    kind = classify(f, *args, argnums=argnums)
    ax = axes_for(api, ax)
    ax.set_axis_off()
    ax.set_title(f"{kind.name}: {kind.map}")
    for i, shape in enumerate(kind.shapes):
        ax.text(0.5, -i, str(list(shape)), bbox={"fc": "white", "ec": INK}, ha="center")
    ax.set(xlim=(0, 1), ylim=(-len(kind.shapes), 1))
    return ax
