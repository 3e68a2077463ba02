"""Patterns and Jacobians for the eye: one line of text, HTML for notebooks, a plot."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxcalc.formats.layout import Layout
    from jaxcalc.formats.pattern import SparsityPattern

_CELLS = 48  # a picture of the pattern has at most this many cells a side
_PIXELS = 144


def size_in_words(pattern: SparsityPattern) -> str:
    """`"1,000 x 1,000, 2,998 nonzeros (0.3 %), tridiagonal"`."""
    m, n = pattern.shape
    noun = "nonzero" if pattern.nnz == 1 else "nonzeros"
    share = f"{100 * pattern.density:.2g} %"
    return f"{m:,} x {n:,}, {pattern.nnz:,} {noun} ({share}), {pattern.structure}"


def jacobian_line(values: Any, layout: Layout) -> str:
    """The repr of a `Jacobian`; values may be traced, batched or missing."""
    dtype = getattr(values, "dtype", None)
    batch = np.shape(values)[:-1] if dtype is not None else ()
    held = str(dtype) if dtype is not None else f"values: {type(values).__name__}"
    parts = [size_in_words(layout.pattern), held]
    if batch:
        parts.append(f"batch of {' x '.join(str(size) for size in batch)}")
    return f"Jacobian({', '.join(parts)}; {layout.input_side} -> {layout.output_side})"


def jacobian_html(values: Any, layout: Layout) -> str:
    """A table and a picture of the pattern."""
    dtype = getattr(values, "dtype", type(values).__name__)
    batch = " x ".join(str(size) for size in np.shape(values)[:-1]) if hasattr(values, "shape") else ""
    rows = [
        *_pattern_rows(layout.pattern),
        ("values", f"{dtype}{f', batch of {batch}' if batch else ''}"),
        ("input", str(layout.input_side)),
        ("output", str(layout.output_side)),
    ]
    return _html("Jacobian", rows, layout.pattern)


def pattern_html(pattern: SparsityPattern) -> str:
    """A table and a picture of the pattern."""
    return _html("SparsityPattern", _pattern_rows(pattern), pattern)


def _pattern_rows(pattern: SparsityPattern) -> list[tuple[str, str]]:
    m, n = pattern.shape
    return [
        ("shape", f"{m:,} x {n:,}"),
        ("nonzeros", f"{pattern.nnz:,} ({100 * pattern.density:.2g} %)"),
        ("structure", str(pattern.structure)),
    ]


def _html(title: str, rows: list[tuple[str, str]], pattern: SparsityPattern) -> str:
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in rows
    )
    return (
        "<div style='display:flex;gap:1em;align-items:center'>"
        f"<table><caption>{escape(title)}</caption>{cells}</table>{_picture(pattern)}</div>"
    )


def _picture(pattern: SparsityPattern) -> str:
    """An SVG of the pattern: each cell is as dark as it is full."""
    m, n = pattern.shape
    if pattern.nnz == 0:
        return ""
    fullness = binned(pattern, _CELLS)
    pixel = _PIXELS / max(fullness.shape)
    height, width = (size * pixel for size in fullness.shape)
    # a cell with one entry among thousands must still be seen
    squares = "".join(
        f"<rect x='{j * pixel:.1f}' y='{i * pixel:.1f}' width='{pixel:.1f}' height='{pixel:.1f}' "
        f"fill-opacity='{0.25 + 0.75 * fullness[i, j]:.2f}'/>"
        for i, j in zip(*np.nonzero(fullness), strict=True)
    )
    return (
        f"<svg width='{width:.0f}' height='{height:.0f}' role='img' "
        f"aria-label='sparsity pattern, {m} x {n}'>"
        f"<rect width='100%' height='100%' fill='none' stroke='currentColor' stroke-opacity='0.4'/>"
        f"<g fill='currentColor'>{squares}</g></svg>"
    )


def binned(pattern: SparsityPattern, cells: int) -> np.ndarray:
    """The share of each cell that entries fill, on a picture of at most `cells` a side."""
    m, n = pattern.shape
    scale = max(1.0, max(m, n) / cells)
    height, width = (int(np.ceil(size / scale)) for size in (m, n))
    i = (pattern.rows / scale).astype(np.int64)
    j = (pattern.cols / scale).astype(np.int64)
    counts = np.bincount(i * width + j, minlength=height * width).reshape(height, width)
    return np.minimum(1.0, counts / scale**2)


def plot(pattern: SparsityPattern, ax: Any = None) -> Any:
    """Draw the pattern on matplotlib axes, and return them."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "jaxcalc.Jacobian.plot needs matplotlib, which is not installed: "
            'pip install "jaxcalc[plot]"'
        ) from error
    m, n = pattern.shape
    if ax is None:
        _, ax = plt.subplots()
    shown = binned(pattern, 512) if pattern.nnz else np.zeros((1, 1))
    # darkness grows with the square root, so that thin structures stay visible
    ax.imshow(
        np.sqrt(shown),
        cmap="Greys",
        vmin=0.0,
        vmax=float(np.sqrt(shown).max()) or 1.0,
        extent=(-0.5, max(n, 1) - 0.5, max(m, 1) - 0.5, -0.5),
        interpolation="nearest",
    )
    ax.set_xlabel("input")
    ax.set_ylabel("output")
    ax.set_title(size_in_words(pattern))
    return ax
