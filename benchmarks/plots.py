"""Pictures of the results, as SVG without a background: one for light pages, one for dark ones.

Each contender has a marker and a kind of line of its own, so that nothing depends on color.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from benchmarks.sweeps import CASES

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Theme:
    """The colors of one variant: of text, of the grid, and of lines by family."""

    ink: str
    grid: str
    ours: str
    jax: str
    hand: str
    peers: str
    torch: str


THEMES = {
    "light": Theme("#24292f", "#d0d7de", "#0550ae", "#bc4c00", "#6e7781", "#1a7f37", "#8250df"),
    "dark": Theme("#e6edf3", "#3d444d", "#79c0ff", "#ffa657", "#9da7b3", "#7ee787", "#d2a8ff"),
}

_DASHED, _DOTTED, _MIXED = (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5))

# family, kind of line, marker
_STYLES: dict[str, tuple[str, Any, str]] = {
    "jaxcalc": ("ours", "-", "o"),
    "jaxcalc in jit": ("ours", "-", "s"),
    "jaxcalc.numerical": ("ours", "-", "o"),
    "jaxcalc.numerical, f in numpy": ("ours", "-", "s"),
    "jaxcalc, exact": ("ours", _DOTTED, "D"),
    "minimize": ("ours", "-", "o"),
    "jax.jacfwd": ("jax", _DASHED, "^"),
    "jax.jacrev": ("jax", _DASHED, "v"),
    "jax.hessian": ("jax", _DASHED, "D"),
    "jax.grad": ("jax", _DASHED, "D"),
    "jax.jacfwd, no jit": ("jax", _DOTTED, "^"),
    "jax.grad, no jit": ("jax", _DOTTED, "D"),
    "vmap(jacfwd)": ("hand", _MIXED, "<"),
    "vmap(jacrev)": ("hand", _MIXED, ">"),
    "by hand": ("hand", _MIXED, ">"),
    "bare": ("hand", _MIXED, ">"),
    "python": ("jax", _DASHED, "^"),
    "asdex": ("peers", _DOTTED, "X"),
    "sparsejac": ("peers", _DOTTED, "P"),
    "folx": ("peers", _DOTTED, "*"),
    "jaxopt": ("peers", _DOTTED, "X"),
    "optimistix": ("peers", _DOTTED, "P"),
    "numdifftools": ("peers", _DOTTED, "X"),
    "scipy.differentiate": ("peers", _DOTTED, "P"),
    "torch.func.jacfwd": ("torch", _MIXED, "d"),
    "torch.func.jacrev": ("torch", _MIXED, "p"),
    "torch.func.hessian": ("torch", _MIXED, "d"),
    "torch.func.grad": ("torch", _MIXED, "d"),
    "torch.func.vmap(jacrev)": ("torch", _MIXED, "h"),
}


def is_drawn(results: Results) -> bool:
    """Whether a case has sizes that make an axis."""
    return results["name"] in CASES and all(isinstance(size, int) for size in results["sizes"])


def draw_case(results: Results, folder: Path) -> None:
    """The run time of all contenders over one evaluation of f, against size."""
    for name, theme in THEMES.items():
        everyone = [each for each in results["contenders"] if each != results["baseline"]]
        figure = _figure(5.6, 3.6 + 0.11 * len(everyone))
        axes = figure.subplots()
        for each in everyone:
            _line(axes, theme, each, _points(results, (each,)))
        _dress(axes, theme, results["size"], _over(results))
        _whole_sizes(axes, results["sizes"])
        _legend(figure, axes, theme, columns=2)
        _save(figure, folder / f"{results['name']}-{name}.svg", theme)


OVERVIEW = {"tridiagonal": "tridiagonal stencil", "mlp": "network on a batch"}
_SHOWN = {  # the style of a line, its name, and of whom it shows the best at each size
    "jaxcalc in jit": ("jaxcalc", ("jaxcalc in jit",)),
    "jax.jacfwd": ("plain JAX", ("jax.jacfwd", "jax.jacrev")),
    "asdex": ("asdex", ("asdex",)),
}


def draw_overview(results: Mapping[str, Results], folder: Path) -> None:
    """The picture for the README: two cases, and three tools in each."""
    for name, theme in THEMES.items():
        figure = _figure(8.0, 4.0)
        panels = figure.subplots(1, len(OVERVIEW))
        for axes, (case, title) in zip(panels, OVERVIEW.items(), strict=True):
            for style, (label, members) in _SHOWN.items():
                _line(axes, theme, style, _points(results[case], members), label, thick=2.4)
            _dress(axes, theme, results[case]["size"], "", letters=14)
            _whole_sizes(axes, results[case]["sizes"])
            axes.set_title(title, color=theme.ink, fontsize=15)
        panels[0].set_ylabel("Jacobian time / f time", color=theme.ink, fontsize=14)
        _legend(figure, panels[0], theme, columns=3, letters=15)
        _save(figure, folder / f"overview-{name}.svg", theme)


def draw_suite(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """All ratios of the suite, in order, on one axis."""
    ordered = sorted(rows, key=lambda row: row["ratio"])
    kinds = {"dense": ("jax", "^"), "structure": ("ours", "o"), "bottleneck": ("peers", "X")}
    for name, theme in THEMES.items():
        figure = _figure(5.6, 3.8)
        axes = figure.subplots()
        axes.axhline(1.0, color=theme.ink, lw=1)
        for kind, (family, marker) in kinds.items():
            points = [(k, row["ratio"]) for k, row in enumerate(ordered) if row["expected"] == kind]
            if points:
                color = getattr(theme, family)
                axes.plot(*zip(*points, strict=True), marker, color=color, ms=6, label=kind, mew=0)
        axes.set_yscale("log")
        _dress(axes, theme, "functions, in order", "jaxcalc / best of plain JAX")
        _legend(figure, axes, theme, columns=3)
        _save(figure, folder / f"suite-{name}.svg", theme)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _over(results: Results) -> str:
    base = results["baseline"]
    return f"run / {'one evaluation of f' if base == 'f' else base}"


def _points(results: Results, names: Sequence[str]) -> list[tuple[int, float]]:
    """Sizes, and the smallest ratio of some contenders there."""
    points = []
    for size in results["sizes"]:
        rows = [results["measurements"][name].get(str(size), {}) for name in names]
        ratios = [row["ratio"] for row in rows if "ratio" in row]
        points += [(size, min(ratios))] if ratios else []
    return points


def _line(
    axes: Any,
    theme: Theme,
    style: str,
    points: Sequence[tuple[int, float]],
    label: str = "",
    thick: float = 1.6,
) -> None:
    family, line, marker = _STYLES[style]
    color = getattr(theme, family)
    axes.plot(
        [size for size, _ in points],
        [value for _, value in points],
        ls=line,
        marker=marker,
        color=color,
        lw=thick * (1.3 if family == "ours" else 1.0),
        ms=5 * thick**0.5,
        mew=0 if marker not in {"x", "+"} else 1.5,
        label=label or (style if points else f"{style}: no figures"),
    )


def _dress(axes: Any, theme: Theme, x: str, y: str, letters: float = 11) -> None:
    axes.set_yscale("log")
    axes.set_xlabel(x, color=theme.ink, fontsize=letters)
    axes.set_ylabel(y, color=theme.ink, fontsize=letters)
    low, high = axes.get_ylim()
    narrow = high < 30 * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=8))
    axes.yaxis.set_major_formatter(lambda value, _: _plain(value))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True, color=theme.grid, lw=0.7)
    axes.tick_params(colors=theme.ink, labelsize=letters)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(theme.ink)


def _whole_sizes(axes: Any, sizes: Sequence[int]) -> None:
    """A logarithmic axis with the sizes that were measured, and no others."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_major_formatter(lambda value, _: _plain(value))
    axes.xaxis.set_minor_locator(NullLocator())


def _plain(value: float) -> str:
    """A number as it is read: 0.1, 1,000, 100k, 1M."""
    for letter, scale in (("M", 1e6), ("k", 1e4)):
        if value >= scale:
            return f"{value / (1e3 if letter == 'k' else scale):g}{letter}"
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _legend(figure: Figure, axes: Any, theme: Theme, columns: int, letters: float = 11) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        labelcolor=theme.ink,
        fontsize=letters,
        handlelength=3.2,
    )


def _save(figure: Figure, path: Path, theme: Theme) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"svg.hashsalt": "jaxcalc", "svg.fonttype": "path", "text.color": theme.ink}
    metadata = {"Date": None, "Creator": None}
    with mpl.rc_context(settings):
        figure.savefig(path, transparent=True, bbox_inches="tight", metadata=metadata)
