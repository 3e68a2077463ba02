"""The way of a descent over the surface of its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.arguments import positional_names, require_callable
from jaxcalc.call.front_door import options
from jaxcalc.descent.leaves import require_parameters
from jaxcalc.display.axes import axes_for
from jaxcalc.visual.contours import GRID, draw_contours, same_scale
from jaxcalc.visual.functions import require_limits, require_number, values
from jaxcalc.visual.style import INK, PAPER, line_style

_MARGIN = 0.25  # beside the paths, as a share of what they span
_MARKERS = 40  # of a path


@options
def descent_path(
    loss: Callable[[Any], Any],
    paths: Mapping[str, Sequence[Any]] | Sequence[Any],
    *,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the contours of a loss of two numbers, and the ways that descents take over it.

    Args:
        loss: a function of parameters that returns a real number. They hold two numbers in all: an
            array of two, a dict of two scalars, or any other pytree.
        paths: the parameters step by step, the first ones at first; or, for several descents, a dict
            of such sequences by their labels.
        xlim: from where to where the first number goes; the default shows the path that comes
            down furthest, and what others do near it.
        ylim: the same for the second one.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. A ring is the start of a path and a star its end. Where the loss is not finite they
        are hatched. The legend says which path leaves the picture, and where one stops being finite.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: the loss does not return one real number, parameters are integers, or `ax` are no
            axes.
        ValueError: there is no path, parameters do not hold two numbers, or limits do not rise.

    Cost: 10,201 evaluations of the loss and one for each path, vectorized where it can be traced.

    Example:
        >>> import jaxcalc
        >>> loss = lambda p: (p["a"] - 3) ** 2 + 4 * (p["b"] + 1) ** 2
        >>> path = [{"a": 0.0, "b": 0.0}]
        >>> for _ in range(10):
        ...     gradients = jaxcalc.gradient(loss)(path[-1])
        ...     path.append(jaxcalc.descent.update(path[-1], gradients, 0.1))
        >>> jaxcalc.visual.descent_path(loss, path).get_xlabel()
        "p['a']"
    """
    api = "jaxcalc.visual.descent_path"
    require_callable(api, loss)
    given = {str(k): v for k, v in paths.items()} if isinstance(paths, Mapping) else {"": paths}
    by_label = {label: _steps(api, label, path) for label, path in given.items()}
    if not by_label:
        raise ValueError(f"{api}: paths are empty; give the parameters of at least one step.")
    tables = {label: _points(api, label, path) for label, path in by_label.items()}
    first = next(iter(by_label.values()))[0]
    require_number(api, loss, first)
    flat, rebuild = ravel_pytree(first)

    def of_two(a: Any, b: Any) -> Any:
        return loss(rebuild(jnp.stack([a, b]).astype(flat.dtype)))

    covered = _covered(list(tables.values()), of_two)
    limits = [
        found if wanted is None else require_limits(api, name, wanted)
        for name, wanted, found in zip(("xlim", "ylim"), (xlim, ylim), covered, strict=True)
    ]
    ax = axes_for(api, ax)
    x, y = (np.linspace(*each, GRID) for each in limits)
    handles = draw_contours(ax, x, y, values(of_two, *np.meshgrid(x, y)))
    for i, (label, table) in enumerate(tables.items()):
        handles += _draw_path(ax, table, label, line_style(i), limits)
    names = _names(loss, first)
    ax.set(xlabel=names[0], ylabel=names[1], xlim=limits[0], ylim=limits[1])
    same_scale(ax, *limits)
    if handles:
        ax.legend(handles=handles, fontsize="small")
    return ax


def _name(label: str) -> str:
    return f"paths[{label!r}]" if label else "paths"


def _steps(api: str, label: str, path: Any) -> list[Any]:
    """The parameters of a path, at least one."""
    try:
        steps = list(path)
    except TypeError:
        raise TypeError(
            f"{api}: {_name(label)} must be a sequence of parameters, got {type(path).__name__}; "
            "collect them step by step, or give a dict of such sequences by their labels."
        ) from None
    if not steps:
        raise ValueError(f"{api}: {_name(label)} is empty; give the parameters of at least one step.")
    return steps


def _points(api: str, label: str, path: Sequence[Any]) -> Any:
    """The parameters of a path as `[steps, 2]`."""
    name = _name(label)
    rows = []
    for step, parameters in enumerate(path):
        require_parameters(api, parameters)
        leaves = jax.tree.leaves(parameters)
        if any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in leaves):
            raise ValueError(
                f"{api}: {name}[{step}] was used up by a compiled step, which writes into its buffers; "
                "keep copies: path.append(jax.device_get(state.parameters))."
            )
        row = np.concatenate([np.zeros(0), *(np.ravel(leaf) for leaf in leaves)])
        if row.shape != (2,):
            raise ValueError(
                f"{api}: parameters must hold two numbers in all, but those of {name}[{step}] hold "
                f"{row.size}; for more, draw jaxcalc.visual.loss_history, or a loss of two of them."
            )
        if np.iscomplexobj(row):
            raise TypeError(f"{api}: {name}[{step}] is complex; give real and imaginary parts.")
        rows.append(row)
    return np.array(rows, np.float64)


def _covered(tables: Sequence[Any], loss: Callable[[Any, Any], Any]) -> list[tuple[float, float]]:
    """Limits that show the path which comes down furthest, and what others do near it.

    One that diverges would leave nothing to see of the others.
    """
    ends = np.array([table[-1] for table in tables])
    heights = values(loss, ends[:, 0], ends[:, 1])
    best = tables[int(np.argmin(np.where(np.isfinite(heights), heights, np.inf)))]
    core = np.concatenate([best, *(table[:1] for table in tables)])
    core = core[np.isfinite(core).all(axis=1)]
    if not len(core):
        return [(-1.0, 1.0)] * 2
    low, high = core.min(axis=0), core.max(axis=0)
    span = np.where(high > low, high - low, (high - low).max() or 1.0)
    points = np.concatenate(tables)
    near = points[((points >= low - span) & (points <= high + span)).all(axis=1)]
    low, high = near.min(axis=0) - _MARGIN * span, near.max(axis=0) + _MARGIN * span
    return [(float(low[i]), float(high[i])) for i in (0, 1)]


def _draw_path(
    ax: Any, table: Any, label: str, style: dict[str, Any], limits: Sequence[tuple[float, float]]
) -> list[Any]:
    """One path, from a ring to a star; its line for the legend, where it has something to say."""
    known = np.isfinite(table).all(axis=1)
    steps = len(table) if known.all() else int(np.argmin(known))
    shown = table[:steps]
    low, high = np.array(limits).T
    if steps < len(table):
        label += f" (not finite after step {steps - 1})"
    elif ((shown < low) | (shown > high)).any():
        label += " (leaves the picture)"
    ax.plot(*shown.T, color=PAPER, linewidth=4, zorder=2)
    every = max(1, steps // _MARKERS)
    (line,) = ax.plot(*shown.T, markersize=4, markevery=every, linewidth=1.5, zorder=3, **style)
    line.set_label(label.strip() or None)
    ring = {"marker": "o", "markersize": 10, "markerfacecolor": PAPER, "markeredgecolor": INK}
    ax.plot(*shown[:1].T, linestyle="none", zorder=4, **ring)
    ends = {"marker": "*", "markersize": 14, "markeredgecolor": INK, "color": style["color"]}
    ax.plot(*shown[-1:].T, linestyle="none", zorder=4, **ends)
    return [line] if label.strip() else []


def _names(loss: Callable[..., Any], parameters: Any) -> list[str]:
    """What the two numbers are called: `p['a']`, or `w[0]` for an element of an array."""
    given = positional_names(loss)
    name = given[0] if given else "parameters"
    return [
        f"{name}{keystr(path)}{list(index) if index else ''}"
        for path, leaf in tree_flatten_with_path(parameters)[0]
        for index in np.ndindex(jnp.shape(leaf))
    ]
