"""The picture of a pattern on matplotlib axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from jaxcalc.display.axes import axes_for
from jaxcalc.display.coloring import Group, grouped
from jaxcalc.display.pattern import Pattern
from jaxcalc.display.render import counts_in_words
from jaxcalc.engine.patterns.bins import ELONGATED, Bins
from jaxcalc.space import Side

_CELLS = 256  # the picture has at most this many cells a side
_SEPARATE = 40  # and up to this many rows and columns they are drawn apart
_OUTLINED = 64  # blocks that are outlined
_NAMED = 8  # leaves that have a line between them
_FAINTEST = 0.35  # opacity of a cell with one entry among thousands
_LINE = "#777777"
_BELOW_LABELS = 34  # points from the frame to the legend
_ENLARGED = 16  # a corner is shown when the matrix is as many times larger


def draw(
    api: str,
    pattern: Pattern,
    ax: Any = None,
    *,
    inputs: Side | None = None,
    outputs: Side | None = None,
) -> Any:
    """Draw where the entries are, colored by the structure that they form, and return the axes.

    Args:
        api: the public name, for messages.
        pattern: the entries.
        ax: matplotlib axes; new ones without it.
        inputs: the pytree of the columns, whose leaves are then divided by lines.
        outputs: that of the rows.
    """
    ax = axes_for(api, ax)
    groups, numbers = grouped(pattern, inputs)
    bins = _draw_entries(ax, pattern, groups, numbers)
    if bins.is_stretched:
        m, n = pattern.shape
        ax.set_box_aspect(1 / ELONGATED if n > m else ELONGATED)
    _draw_leaves(ax, inputs, outputs)
    _draw_corner(ax, pattern, bins, groups, numbers)
    _draw_legend(ax, groups)
    ax.set(xlabel="input", ylabel="output")
    ax.set_title(f"{counts_in_words(pattern)}\n{pattern.structure}", fontsize="medium")
    return ax


def _draw_entries(ax: Any, pattern: Pattern, groups: list[Group], numbers: np.ndarray) -> Bins:
    """The entries as cells, with lines between cells and around blocks where there is room."""
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator, NullLocator

    m, n = pattern.shape
    bins = Bins.of(pattern.shape, _CELLS)
    ax.imshow(
        _cells(pattern, bins, [group.color for group in groups], numbers),
        extent=(-0.5, max(n, 1) - 0.5, max(m, 1) - 0.5, -0.5),
        interpolation="nearest",
        aspect="auto" if bins.is_stretched else "equal",
    )
    for axis, size in ((ax.xaxis, n), (ax.yaxis, m)):
        whole = MaxNLocator(nbins=5, integer=True, min_n_ticks=1)
        axis.set_major_locator(whole if size else NullLocator())
    if max(m, n) <= _SEPARATE:
        across = [[(-0.5, i - 0.5), (n - 0.5, i - 0.5)] for i in range(1, m)]
        down = [[(j - 0.5, -0.5), (j - 0.5, m - 0.5)] for j in range(1, n)]
        ax.add_collection(LineCollection([*across, *down], colors="white", linewidths=1.0))
    structure = pattern.structure
    if structure.name == "block diagonal" and structure.blocks <= _OUTLINED:
        height, width = structure.block_shape
        corners = [(b * width - 0.5, b * height - 0.5) for b in range(structure.blocks)]
        boxes = [Rectangle(corner, width, height) for corner in corners]
        outlines = PatchCollection(boxes, facecolors="none", edgecolors="black", zorder=3)
        ax.add_collection(outlines)
    return bins


def _cells(pattern: Pattern, bins: Bins, colors: list[str], numbers: np.ndarray) -> np.ndarray:
    """`[height, width, 4]`: in the color of most of a cell's entries, as opaque as it is full."""
    from matplotlib.colors import to_rgb

    counts = bins.count(pattern, numbers, len(colors))
    share = bins.share(pattern, counts.sum(axis=0))
    # opacity grows with the square root, so that thin structures stay visible
    opacity = _FAINTEST + (1 - _FAINTEST) * np.sqrt(share / (share.max() or 1.0))
    shades = np.array([to_rgb(color) for color in colors])[counts.argmax(axis=0)]
    return np.concatenate([shades, np.where(share > 0, opacity, 0.0)[..., None]], axis=-1)


def _draw_leaves(ax: Any, inputs: Side | None, outputs: Side | None) -> None:
    """Lines between the leaves of pytrees."""
    for side, line in ((inputs, ax.axvline), (outputs, ax.axhline)):
        cuts = sorted(set(side.offsets[1:-1]) - {0, side.size}) if side is not None else []
        for cut in cuts if len(cuts) < _NAMED else ():
            line(cut - 0.5, color=_LINE, linestyle="--", linewidth=0.8)


def _draw_corner(
    ax: Any, pattern: Pattern, bins: Bins, groups: list[Group], numbers: np.ndarray
) -> None:
    """The first rows of a matrix so large that its structure is thinner than a cell, enlarged.

    They take the upper right quarter, which bands and blocks leave empty.
    """
    found = pattern.structure
    periods = {
        "diagonal": (4, 4),
        "banded": (2 * (found.lower + found.upper + 1),) * 2,
        "block diagonal": tuple(3 * size for size in found.block_shape),
    }
    if found.name not in periods or bins.is_stretched:
        return
    rows, cols = (max(6, size) for size in periods[found.name])
    if max(pattern.shape) < _ENLARGED * max(rows, cols):
        return
    inside = (pattern.rows < rows) & (pattern.cols < cols)
    corner = replace(pattern, rows=pattern.rows[inside], cols=pattern.cols[inside], shape=(rows, cols))
    inset = ax.inset_axes([0.55, 0.5, 0.43, 0.43])
    _draw_entries(inset, corner, groups, numbers[inside])
    inset.tick_params(labelsize="x-small")
    inset.set_title(f"the first {rows:,} rows", fontsize="small", pad=3)


def _draw_legend(ax: Any, groups: list[Group]) -> None:
    """Below the picture, which has no place to spare."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=g.color, label=g.label) for g in groups if g.label]
    if not patches:
        return
    from matplotlib.transforms import ScaledTranslation

    below = ax.transAxes + ScaledTranslation(0, -_BELOW_LABELS / 72, ax.figure.dpi_scale_trans)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": below}
    columns = 2 if len(patches) == 4 else min(3, len(patches))
    look: dict[str, Any] = {"ncols": columns, "handlelength": 1.0, "columnspacing": 1.2}
    ax.legend(handles=patches, fontsize="small", frameon=False, **place, **look)
