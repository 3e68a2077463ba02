"""The way of a descent over the surface of its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.arguments import positional_names, require_callable
from jaxcalc.descent.leaves import require_parameters
from jaxcalc.formats.axes import axes_for
from jaxcalc.visual.contours import GRID, draw_contours
from jaxcalc.visual.functions import require_limits, require_number, values
from jaxcalc.visual.style import INK, halo, line_style

_MARGIN = 0.25  # beside the paths, as a share of what they span


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
        xlim: from where to where the first number goes; the default shows what the paths cover.
        ylim: the same for the second one.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes. A ring is the start of a path and a star its end. Where the loss is not finite they
        are hatched.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: the loss does not return one real number, parameters are integers, or `ax` are no
            axes.
        ValueError: there is no path, parameters do not hold two numbers, or limits do not rise.

    Cost: 10,201 evaluations of the loss, vectorised where it can be traced.

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
    by_label = dict(paths) if isinstance(paths, Mapping) else {"": paths}
    tables = {label: _points(api, label, path) for label, path in by_label.items()}
    if not tables:
        raise ValueError(f"{api}: paths are empty; give the parameters of at least one step.")
    first = next(iter(by_label.values()))[0]
    require_number(api, loss, first)
    limits = _limits(api, list(tables.values()), xlim, ylim)
    ax = axes_for(api, ax)
    rebuild = ravel_pytree(first)[1]
    x, y = (np.linspace(*each, GRID) for each in limits)
    heights = values(lambda a, b: loss(rebuild(jnp.stack([a, b]))), *np.meshgrid(x, y))
    draw_contours(ax, x, y, heights)
    for i, (label, table) in enumerate(tables.items()):
        style = line_style(i)
        ax.plot(*table.T, label=label or None, markersize=4, path_effects=halo(), **style)
        ax.plot(*table[0], marker="o", markersize=10, markerfacecolor="white", color=style["color"])
        ax.plot(*table[-1], marker="*", markersize=13, color=style["color"], markeredgecolor=INK)
    names = _names(loss, first)
    ax.set(xlabel=names[0], ylabel=names[1], xlim=limits[0], ylim=limits[1])
    if any(tables):
        ax.legend()
    return ax


def _points(api: str, label: str, path: Any) -> Any:
    """The parameters of a path as `[steps, 2]`."""
    name = f"paths[{label!r}]" if label else "paths"
    if not len(path):
        raise ValueError(f"{api}: {name} is empty; give the parameters of at least one step.")
    for parameters in path:
        require_parameters(api, parameters)
    flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(p)]) for p in path]
    sizes = {len(numbers) for numbers in flat}
    if sizes != {2}:
        raise ValueError(
            f"{api}: {name} must hold parameters of two numbers in all, got {sorted(sizes)}."
        )
    return np.array(flat, np.float64)


def _limits(api: str, tables: list[Any], xlim: Any, ylim: Any) -> list[tuple[float, float]]:
    points = np.concatenate(tables)
    points = points[np.isfinite(points).all(axis=1)]
    found = []
    for i, (name, given) in enumerate((("xlim", xlim), ("ylim", ylim))):
        if given is not None:
            found.append(require_limits(api, name, given))
            continue
        low, high = (points[:, i].min(), points[:, i].max()) if len(points) else (0.0, 0.0)
        margin = _MARGIN * (high - low) or 1.0
        found.append((low - margin, high + margin))
    return found


def _names(loss: Callable[..., Any], parameters: Any) -> list[str]:
    """What the two numbers are called: `p['a']`, or `w[0]` for an element of an array."""
    given = positional_names(loss)
    name = given[0] if given else "parameters"
    return [
        f"{name}{keystr(path)}{list(index) if index else ''}"
        for path, leaf in tree_flatten_with_path(parameters)[0]
        for index in np.ndindex(jnp.shape(leaf))
    ]
