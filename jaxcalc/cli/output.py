"""Results for people and for programs: plain text and JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path


def by_name(
    result: Any, output: Any, arguments: Sequence[Any], names: Sequence[str], order: int
) -> Any:
    """A derivative with its tuples of arguments turned into dictionaries by name.

    `output` has the structure of f's output, `arguments` those of the arguments to differentiate with
    respect to; `order` is how many times. One bare argument adds no level.
    """

    def level(tree: Any, remaining: int) -> Any:
        if remaining == 0:
            return tree
        if len(arguments) == 1:
            return each(tree, arguments[0], remaining)
        parts = zip(names, tree, arguments, strict=True)
        return {name: each(part, argument, remaining) for name, part, argument in parts}

    def each(tree: Any, argument: Any, remaining: int) -> Any:
        # the argument is a prefix of the derivative: below each of its leaves the next level begins
        return jax.tree.map(lambda _, part: level(part, remaining - 1), argument, tree)

    return jax.tree.map(lambda _, part: level(part, order), output, result)


def text(tree: Any, label: str = "") -> str:
    """A pytree of arrays, one line for each leaf; a matrix takes a line for each row."""
    return "\n".join(_lines(tree, label))


def _lines(tree: Any, label: str) -> list[str]:
    children = _children(tree)
    if children is None:
        shown = array_text(tree)
        if not label:
            return [shown]
        return [f"{label}  {shown}"] if "\n" not in shown else [label, shown]
    return [line for key, child in children for line in _lines(child, f"{label} {key}".strip())]


def _children(tree: Any) -> list[tuple[str, Any]] | None:
    if isinstance(tree, dict):
        return [(str(key), child) for key, child in tree.items()]
    if isinstance(tree, list | tuple):
        return [(f"[{i}]", child) for i, child in enumerate(tree)]
    paths = tree_flatten_with_path(tree)[0]
    return None if len(paths) == 1 and not paths[0][0] else [(keystr(p), leaf) for p, leaf in paths]


def array_text(leaf: Any) -> str:
    """Every element of an array, with all its digits; the columns of a matrix are aligned."""
    array = np.asarray(leaf)
    if array.ndim == 0:
        return str(array[()])
    width = max((len(str(x)) for x in array.flat), default=0) if array.ndim > 1 else 0
    rows = np.array2string(
        array.astype(object),
        separator=", ",
        threshold=sys.maxsize,
        max_line_width=sys.maxsize if array.ndim > 1 else 100,
        formatter={"all": lambda x: str(array.dtype.type(x)).rjust(width)},
    )
    return str(rows)


def plain(tree: Any) -> Any:
    """A pytree of arrays and texts as what JSON can hold.

    Infinities and NaN become strings, a complex number an object of its two parts.
    """
    if tree is None or isinstance(tree, str | bool):
        return tree
    if isinstance(tree, dict):
        return {str(key): plain(child) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(child) for child in tree]
    children = _children(tree)
    if children is not None:
        return {key: plain(child) for key, child in children}
    return _plain_numbers(np.asarray(tree).tolist())


def _plain_numbers(x: Any) -> Any:
    if isinstance(x, list):
        return [_plain_numbers(element) for element in x]
    if isinstance(x, complex):
        return {"real": _plain_numbers(x.real), "imag": _plain_numbers(x.imag)}
    return x if not isinstance(x, float) or math.isfinite(x) else str(x)


def as_json(record: dict[str, Any]) -> str:
    """One JSON object on one line."""
    return json.dumps(plain(record), allow_nan=False)
