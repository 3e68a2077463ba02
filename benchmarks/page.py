"""How figures become Markdown: numbers in few digits, tables, pictures in two variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PICTURES = "images/benchmarks"  # beside the page


def times(value: float | None) -> str:
    """A quotient, in two digits."""
    if value is None:
        return ""
    if value >= 100:
        return f"{float(f'{value:.2g}'):,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def seconds(value: float | None) -> str:
    """A duration with its unit."""
    if value is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{_short(value / scale)} {unit}"
    return f"{_short(value / 1e-6)} µs"


def size(value: float | None) -> str:
    """Bytes with their unit."""
    if value is None:
        return ""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{_short(value / scale)} {unit}"
    return f"{value:.0f} B"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2g}"


def error(value: float | None) -> str:
    """An error, or nothing."""
    return "" if value is None else "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-")


def exponent(value: float | None) -> str:
    """A growth exponent."""
    return "" if value is None else f"{value:.2f}".replace("-0.00", "0.00")


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table; its first column is text, the others are aligned to the right."""
    lines = [list(map(str, heads)), ["---", *["---:"] * (len(heads) - 1)]]
    lines += [[str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def picture(name: str, alt: str, folder: str = PICTURES) -> list[str]:
    """A picture that follows the reader's light or dark mode."""
    return [
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="{folder}/{name}-dark.svg">',
        f'  <img alt="{alt}" src="{folder}/{name}-light.svg">',
        "</picture>",
        "",
    ]
