"""The pattern of a Jacobian, with its structure in color."""

from __future__ import annotations

from typing import Any

from jaxcalc.call.front_door import options
from jaxcalc.display.spy import draw
from jaxcalc.results.jacobian import Jacobian
from jaxcalc.results.pattern import SparsityPattern


@options
def spy(jacobian_or_pattern: Jacobian | SparsityPattern, *, ax: Any = None) -> Any:
    """Draw where the entries of a Jacobian are, and color them by the structure that they form.

    Args:
        jacobian_or_pattern: from `jaxcalc.jacobian(f, format="structured")` or `jaxcalc.sparsity`.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes: inputs to the right, outputs downwards.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: it is neither a `Jacobian` nor a `SparsityPattern`, or `ax` are no axes.

    Cost: none beside the drawing, linear in the number of entries.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> pattern = jaxcalc.sparsity(lambda x: x[1:] * x[:-1], jnp.ones(6))
        >>> print(jaxcalc.visual.spy(pattern).get_title())
        5 x 6, 10 nonzeros (33 %)
        upper bidiagonal
    """
    api = "jaxcalc.visual.spy"
    given = jacobian_or_pattern
    if isinstance(given, Jacobian):
        return draw(api, given.pattern, ax, inputs=given.input_side, outputs=given.output_side)
    if not isinstance(given, SparsityPattern):
        raise TypeError(
            f"{api}: expected a Jacobian or a SparsityPattern, got {type(given).__name__}; "
            'jaxcalc.jacobian(f, format="structured")(x) and jaxcalc.sparsity(f, x) return them.'
        )
    return draw(api, given, ax)
