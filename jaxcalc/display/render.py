"""Patterns and Jacobians for the eye: one line of text, and HTML for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxcalc.display.pattern import Pattern
from jaxcalc.display.tables import Table, as_html
from jaxcalc.engine.patterns.bins import ELONGATED, Bins
from jaxcalc.space import Side

_CELLS = 48  # a picture of the pattern has at most this many cells a side
_PIXELS = 144
_SHADES = 6


def size_in_words(pattern: Pattern) -> str:
    """`"1,000 x 1,000, 2,998 nonzeros (0.3 %), tridiagonal"`."""
    return f"{counts_in_words(pattern)}, {pattern.structure}"


def counts_in_words(pattern: Pattern) -> str:
    """`"1,000 x 1,000, 2,998 nonzeros (0.3 %)"`."""
    m, n = pattern.shape
    noun = "nonzero" if pattern.nnz == 1 else "nonzeros"
    return f"{m:,} x {n:,}, {pattern.nnz:,} {noun} ({_share(pattern)})"


def _share(pattern: Pattern) -> str:
    percent = 100 * pattern.density
    return f"{percent:.0f} %" if percent >= 99.5 else f"{percent:.2g} %"


def jacobian_line(values: Any, pattern: Pattern, inputs: Side, outputs: Side) -> str:
    """The repr of a `Jacobian`; values may be traced, batched or missing."""
    dtype = getattr(values, "dtype", None)
    batch = np.shape(values)[:-1] if dtype is not None else ()
    held = str(dtype) if dtype is not None else f"values: {type(values).__name__}"
    parts = [size_in_words(pattern), held]
    if batch:
        parts.append(f"batch of {' x '.join(str(size) for size in batch)}")
    return f"Jacobian({', '.join(parts)}; {inputs} -> {outputs})"


def jacobian_html(values: Any, pattern: Pattern, inputs: Side, outputs: Side) -> str:
    """A table and a picture of the pattern."""
    dtype = getattr(values, "dtype", type(values).__name__)
    batch = " x ".join(str(size) for size in np.shape(values)[:-1]) if hasattr(values, "shape") else ""
    rows = [
        *_pattern_rows(pattern),
        ("values", f"{dtype}{f', batch of {batch}' if batch else ''}"),
        ("input", str(inputs)),
        ("output", str(outputs)),
    ]
    return _html("Jacobian", rows, pattern)


def pattern_html(pattern: Pattern) -> str:
    """A table and a picture of the pattern."""
    return _html("SparsityPattern", _pattern_rows(pattern), pattern)


def _pattern_rows(pattern: Pattern) -> list[tuple[str, str]]:
    m, n = pattern.shape
    return [
        ("shape", f"{m:,} x {n:,}"),
        ("nonzeros", f"{pattern.nnz:,} ({_share(pattern)})"),
        ("structure", str(pattern.structure)),
    ]


def _html(title: str, rows: list[tuple[str, str]], pattern: Pattern) -> str:
    return beside(as_html(Table(title, (), rows)), picture(pattern))


def beside(*parts: str) -> str:
    """Pieces of HTML in a row, or under each other where the page is narrow."""
    return (
        "<div style='display:flex;flex-wrap:wrap;gap:0.5em 1.5em;align-items:center'>"
        f"{''.join(parts)}</div>"
    )


def picture(pattern: Pattern) -> str:
    """An SVG of the pattern, in the color of the text around it: a cell is as dark as it is full."""
    m, n = pattern.shape
    if pattern.nnz == 0:
        return ""
    # a cell with one entry among thousands must still be seen
    bins = Bins.of(pattern.shape, _CELLS)
    shades = np.ceil(_SHADES * bins.share(pattern, bins.count(pattern)[0])).astype(int)
    height, width = shades.shape
    sides = [_PIXELS * size / max(m, n) for size in (m, n)]
    if bins.is_stretched:
        sides = [max(side, _PIXELS / ELONGATED) for side in sides]
    paths = "".join(
        f"<path fill-opacity='{0.25 + 0.75 * shade / _SHADES:.2f}' d='{_runs(shades == shade)}'/>"
        for shade in np.unique(shades[shades > 0])
    )
    return (
        f"<svg width='{sides[1]:.0f}' height='{sides[0]:.0f}' "
        f"viewBox='0 0 {width} {height}' preserveAspectRatio='none' role='img' "
        f"aria-label='sparsity pattern, {m} x {n}' "
        "style='outline:1px solid rgba(128,128,128,0.5)'>"
        f"<g fill='currentColor' shape-rendering='crispEdges'>{paths}</g></svg>"
    )


def _runs(marked: np.ndarray) -> str:
    """The path around the marked cells, those side by side in one piece."""
    edges = np.diff(np.pad(marked.astype(int), ((0, 0), (1, 1))), axis=1)
    begins, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    return "".join(
        f"M{begin} {row}h{end - begin}v1h{begin - end}z"
        for (row, begin), (_, end) in zip(begins.tolist(), ends.tolist(), strict=True)
    )
