"""The shapes of an input, an output and the derivative between them, as boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log2, prod
from typing import Any

import jax.numpy as jnp
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.arguments import Argnames, Argnums, function_name
from jaxcalc.call.front_door import examination
from jaxcalc.display.axes import axes_for
from jaxcalc.kinds import brackets, chosen_and_output, kind_of, typed_leaf
from jaxcalc.visual.style import BLUE, CLEAR, INK, ORANGE, PAPER

_CELL = 0.3  # the side of an element, in inches
_DRAWN = 8  # elements in a row that are drawn as such; longer rows are drawn shorter than they are
_GAP = 0.35  # between leaves
_SHEETS = 3  # of a tensor of rank 3 or more
_SHIFT = 0.09  # from one sheet to the next
_SHADES = ("#d6e6f2", "#f3dfce")  # of neighboring blocks
_LEAVES = 6  # of each side that are drawn
_LABEL = 0.12  # from a box to its label
_LETTER = 0.085  # width of a letter
_SMALLEST, _TITLE = 3.2, 0.7  # of a new figure, and the height of its title


@dataclass(frozen=True)
class _Leaf:
    """A leaf of the input or output: its name, shape and type in words."""

    name: str
    shape: tuple[int, ...]
    typed: str

    @property
    def length(self) -> float:
        """How long it is as a row or column of the derivative, in inches."""
        return _length(prod(self.shape))


@examination
def shapes(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    argnames: Argnames | None = None,
    ax: Any = None,
) -> Any:
    """Draw the shapes of f's input, output and derivative as boxes, and name the derivative.

    The derivative has a row for each element of the output, which is drawn on the left, and a column
    for each element of the input, which is drawn above. There is a block for each leaf of the output
    and each of the input, with its shape: that of the output followed by that of the input.

    Args:
        f: any function that JAX can trace, of any pytrees.
        *args: its arguments: arrays, numbers, or `jax.ShapeDtypeStruct`s in their place.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name or names, instead of `argnums`.
        ax: matplotlib axes to draw on; those of a new figure without it.

    Returns:
        The axes; the title is the term: gradient, Jacobian, generalized Jacobian ... Up to eight
        elements in a row are drawn one by one; longer rows are drawn shorter than they are. Of
        pytrees with more than six leaves the first six are drawn.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: an argument is not an array or a number, or is an integer, or `ax` are no axes.
        ValueError: `argnums` or `argnames` do not fit the call, or there is nothing to differentiate.

    Cost: one abstract evaluation (a trace) of f, and no evaluation.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> ax = jaxcalc.visual.shapes(lambda x: jnp.stack([x[0] * x[1], x[2] ** 2]), jnp.ones(3))
        >>> print(ax.get_title())
        Jacobian
        R^3 -> R^2
    """
    api = "jaxcalc.visual.shapes"
    chosen, output = chosen_and_output(api, f, argnums, argnames, args, {})
    kind = kind_of(chosen.primal, output, bare=chosen.bare, arity=chosen.arity)
    inputs = [_Leaf(name, jnp.shape(leaf), typed_leaf(leaf)) for name, leaf in chosen.leaves()]
    outputs = [
        _Leaf(function_name(f) + keystr(path), jnp.shape(leaf), typed_leaf(leaf))
        for path, leaf in tree_flatten_with_path(output)[0]
    ]
    if not inputs or not outputs:
        empty = "output" if inputs else "input"
        raise ValueError(
            f"{api}: the {empty} of {function_name(f)} has no arrays, so there is no shape."
        )
    shown = inputs[:_LEAVES], outputs[:_LEAVES]
    xlim, ylim = _limits(*shown)
    size = (max(_SMALLEST, xlim[1] - xlim[0]), max(_SMALLEST, ylim[0] - ylim[1] + _TITLE))
    ax = axes_for(api, ax, size=size)
    _draw(ax, *shown)
    ax.set(xlim=xlim, ylim=ylim, aspect="equal")
    ax.set_axis_off()
    left_out = len(inputs) * len(outputs) - len(shown[0]) * len(shown[1])
    more = f", {left_out:,} more blocks" if left_out else ""
    ax.set_title(f"{kind.name}\n{kind.spaces}{more}", fontsize="medium")
    return ax


def _limits(
    inputs: Sequence[_Leaf], outputs: Sequence[_Leaf]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of x and of y, which points downwards; the first element of the derivative is at (0, 0)."""
    above, beside = _beside(inputs, outputs)
    letters = max(len(text) for leaf in outputs for text in (leaf.name, leaf.typed))
    width = _starts(inputs)[-1] + inputs[-1].length
    height = _starts(outputs)[-1] + outputs[-1].length
    left = -_GAP - beside - _LABEL - _LETTER * letters
    # a label may be wider than what it stands above
    overhang = max(0.0, _LETTER * len(inputs[-1].typed) - inputs[-1].length) / 2
    return (left, width + max(_LABEL, overhang)), (height + _LABEL, -_GAP - above - 0.6)


def _beside(inputs: Sequence[_Leaf], outputs: Sequence[_Leaf]) -> tuple[float, float]:
    """How high the highest input is, and how wide the widest output."""
    above = max(_sheet(leaf.shape, across=True)[0] for leaf in inputs)
    return above, max(_sheet(leaf.shape, across=False)[1] for leaf in outputs)


def _draw(ax: Any, inputs: Sequence[_Leaf], outputs: Sequence[_Leaf]) -> None:
    """The input above, the output on the left, and the blocks of the derivative between them."""
    above, beside = _beside(inputs, outputs)
    lefts, tops = _starts(inputs), _starts(outputs)
    for left, leaf in zip(lefts, inputs, strict=True):
        height, width = _sheet(leaf.shape, across=True)
        corner = (left + (leaf.length - width) / 2, -_GAP - height)
        _draw_tensor(ax, corner, leaf.shape, across=True, color=BLUE)
        where = (left + leaf.length / 2, -_GAP - above - _LABEL)
        _write(ax, where, f"{leaf.name}\n{leaf.typed}", ha="center", va="bottom")
    for top, leaf in zip(tops, outputs, strict=True):
        height, width = _sheet(leaf.shape, across=False)
        corner = (-_GAP - width, top + (leaf.length - height) / 2)
        _draw_tensor(ax, corner, leaf.shape, across=False, color=ORANGE)
        where = (-_GAP - beside - _LABEL, top + leaf.length / 2)
        _write(ax, where, f"{leaf.name}\n{leaf.typed}", ha="right", va="center")
    for i, (top, out) in enumerate(zip(tops, outputs, strict=True)):
        for j, (left, leaf) in enumerate(zip(lefts, inputs, strict=True)):
            shade = _SHADES[(i + j) % 2]
            _draw_grid(ax, (left, top), prod(out.shape), prod(leaf.shape), facecolor=shade)
            where = (left + leaf.length / 2, top + out.length / 2)
            text = brackets(out.shape + leaf.shape)
            _write(ax, where, text, ha="center", va="center", bbox=CLEAR)


def _starts(leaves: Sequence[_Leaf]) -> list[float]:
    """Where each begins, one after the other."""
    return list(accumulate((leaf.length + _GAP for leaf in leaves[:-1]), initial=0.0))


def _length(count: int) -> float:
    """Of so many elements; it grows slowly beyond those that are drawn one by one."""
    if count <= _DRAWN:
        return _CELL * max(count, 0.4)
    return _CELL * _DRAWN * (1 + 0.06 * log2(count / _DRAWN))


def _sheet(shape: tuple[int, ...], *, across: bool) -> tuple[float, float]:
    """Height and width of a tensor: a vector lies along its side of the derivative."""
    m, n = _plane(shape, across=across)
    shift = _SHIFT * (min(_SHEETS, prod(shape[:-2])) - 1) if len(shape) > 2 else 0.0
    return _length(m) + max(shift, 0.0), _length(n) + max(shift, 0.0)


def _plane(shape: tuple[int, ...], *, across: bool) -> tuple[int, int]:
    if len(shape) < 2:
        return (1, prod(shape)) if across else (prod(shape), 1)
    return shape[-2], shape[-1]


def _draw_tensor(
    ax: Any, corner: tuple[float, float], shape: tuple[int, ...], *, across: bool, color: str
) -> None:
    """A grid, or several behind each other where the rank is 3 or more."""
    sheets = max(1, min(_SHEETS, prod(shape[:-2]))) if len(shape) > 2 else 1
    for i in reversed(range(sheets)):  # the last one is in front
        place = (corner[0] + _SHIFT * i, corner[1] + _SHIFT * (sheets - 1 - i))
        style: dict[str, Any] = {
            "facecolor": PAPER,
            "edgecolor": color,
            "linewidth": 1.4,
            "zorder": 2 + sheets - i,
        }
        _draw_grid(ax, place, *_plane(shape, across=across), **style)


def _draw_grid(ax: Any, corner: tuple[float, float], m: int, n: int, **style: Any) -> None:
    """An m x n box, with its elements where they are few."""
    from matplotlib.patches import Rectangle

    x, y = corner
    width, height = _length(n), _length(m)
    style = {"edgecolor": INK, "linewidth": 1.2, "zorder": 2, **style}
    ax.add_patch(Rectangle(corner, width, height, **style))
    line = {"color": style["edgecolor"], "linewidth": 0.5, "zorder": style["zorder"]}
    for k in range(1, n if n <= _DRAWN else 0):
        ax.plot([x + _CELL * k] * 2, [y, y + height], **line)
    for k in range(1, m if m <= _DRAWN else 0):
        ax.plot([x, x + width], [y + _CELL * k] * 2, **line)


def _write(ax: Any, where: tuple[float, float], text: str, **style: Any) -> None:
    ax.text(*where, text, fontsize=9, color=INK, zorder=9, **style)
