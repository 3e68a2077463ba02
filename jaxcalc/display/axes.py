"""The matplotlib axes that a picture is drawn on."""

from __future__ import annotations

from typing import Any

import numpy as np


def axes_for(
    api: str, ax: Any = None, *, dimensions: int = 2, size: tuple[float, float] | None = None
) -> Any:
    """The axes given, once they are known to fit, or those of a new figure.

    Args:
        api: the public name, for messages.
        ax: matplotlib axes, or None.
        dimensions: 2, or 3 for axes with the projection "3d".
        size: width and height of a new figure, in inches; matplotlib's own without it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: `ax` is something else, or axes of another projection.
    """
    try:
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError(
            f'{api} needs matplotlib, which is not installed: pip install "jaxcalc[plot]"'
        ) from error
    projection = "3d" if dimensions == 3 else "rectilinear"
    if ax is None:
        from matplotlib import pyplot as plt

        # layout is an option of this figure, so nothing that the user has set is changed
        return plt.figure(figsize=size, layout="constrained").add_subplot(projection=projection)
    if not isinstance(ax, Axes):
        several = isinstance(ax, (np.ndarray, list, tuple))
        given = "several of them" if several else f"{ax!r} of type {type(ax).__name__}"
        raise TypeError(
            f"{api}: ax must be one matplotlib Axes, got {given}; plt.subplots() returns a figure and "
            "its axes."
        )
    if ax.name != projection:
        make = f"plt.figure().add_subplot(projection={projection!r})"
        raise TypeError(f"{api}: ax must have the projection {projection!r}, not {ax.name!r}: {make}.")
    return ax
