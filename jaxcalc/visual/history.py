"""The loss of one or several descents, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcalc.call.front_door import options
from jaxcalc.descent.minimum import Minimum
from jaxcalc.display.axes import axes_for
from jaxcalc.visual.style import line_style

_MARKERS = 12  # of a line


@options
def loss_history(minima: Minimum | Mapping[str, Minimum], *, ax: Any = None) -> Any:
    """Draw the loss of descents against their steps, on a logarithmic axis unless some are negative.

    Args:
        minima: what `jaxcalc.descent.minimize` returned, or several of them by their labels.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. A descent that diverged ends in a cross.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: something is no `Minimum`, or `ax` are no axes.
        ValueError: there is nothing to draw: a history without steps.

    Cost: none beside the drawing.

    Example:
        >>> import jaxcalc
        >>> bowl = lambda x: (x - 3.0) ** 2
        >>> minima = {
        ...     f"rate {rate}": jaxcalc.descent.minimize(bowl, 0.0, optimizer=rate, steps=20)
        ...     for rate in (0.1, 0.4)
        ... }
        >>> ax = jaxcalc.visual.loss_history(minima)
        >>> ax.get_xlabel(), ax.get_yscale()
        ('step', 'log')
    """
    api = "jaxcalc.visual.loss_history"
    by_label = dict(minima) if isinstance(minima, Mapping) else {"": minima}
    lines = {label: _line(api, label, minimum) for label, minimum in by_label.items()}
    if not lines:
        raise ValueError(f"{api}: minima are empty; give at least one.")
    ax = axes_for(api, ax)
    for i, (label, (steps, loss)) in enumerate(lines.items()):
        style = line_style(i)
        every = max(1, len(steps) // _MARKERS)
        shown = ": ".join(filter(None, (label, _ending(by_label[label]))))
        ax.plot(steps, loss, label=shown, markevery=every, markersize=5, **style)
        if by_label[label].reason.startswith("diverged"):
            ax.plot(steps[-1], loss[-1], marker="X", markersize=11, color=style["color"])
    every_loss = np.concatenate([loss for _, loss in lines.values()])
    if (every_loss >= 0).all() and (every_loss > 0).any():
        ax.set_yscale("log", nonpositive="mask")
    ax.set(xlabel="step", ylabel="loss")
    ax.legend(fontsize="small")
    return ax


def _ending(minimum: Minimum) -> str:
    """Where it ended, in a few words."""
    count = f"{minimum.steps:,} step{'' if minimum.steps == 1 else 's'}"
    for word in ("converged", "diverged"):
        if minimum.reason.startswith(word):
            return f"{word} after {count}"
    return f"{minimum.value:.3g} after {count}"


def _line(api: str, label: str, minimum: Any) -> tuple[Any, Any]:
    """Steps and the loss that each started from, and last the loss at the end."""
    name = f"minima[{label!r}]" if label else "minima"
    if not isinstance(minimum, Minimum):
        raise TypeError(
            f"{api}: {name} must be a jaxcalc.descent.Minimum, got {type(minimum).__name__}; "
            "jaxcalc.descent.minimize returns one."
        )
    loss = np.append(np.asarray(minimum.history.loss, np.float64), minimum.value)
    if len(loss) == 1:
        raise ValueError(
            f"{api}: {name} made no step ({minimum.reason}), so there is no history to draw."
        )
    steps = np.arange(len(loss))
    known = np.isfinite(loss)
    return steps[known], loss[known]
