"""The pattern of a Jacobian, with its structure in colour."""

from __future__ import annotations

from typing import Any

from jaxcalc.formats import render
from jaxcalc.formats.axes import axes_for
from jaxcalc.formats.matrix import Jacobian
from jaxcalc.formats.pattern import SparsityPattern


def spy(jacobian_or_pattern: Jacobian | SparsityPattern, *, ax: Any = None) -> Any:
    """Draw where the entries of a Jacobian are, and colour them by the structure that they form.

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
        5 x 6, 10 nonzeros (33 %), upper bidiagonal
    """
    api = "jaxcalc.visual.spy"
    pattern = jacobian_or_pattern
    if isinstance(pattern, Jacobian):
        pattern = pattern.pattern
    if not isinstance(pattern, SparsityPattern):
        raise TypeError(
            f"{api}: expected a Jacobian or a SparsityPattern, got {type(pattern).__name__}; "
            'jaxcalc.jacobian(f, format="structured")(x) and jaxcalc.sparsity(f, x) return them.'
        )
    return render.plot(pattern, axes_for(api, ax))
