"""The values given with `--at`: numbers, vectors, matrices and JSON objects, named or in order."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.cli.errors import UsageError
from jaxcalc.cli.expression import as_array, evaluate
from jaxcalc.cli.syntax import parse, variables
from jaxcalc.cli.vocabulary import CONSTANTS, FUNCTIONS

_NAMED = re.compile(r"\s*([^\W\d]\w*)\s*=(?!=)(.*)", re.DOTALL)
_SHAPE = re.compile(r"\s*(bool|(?:bfloat|float|complex|u?int)\d+)\s*\[(.*)\]\s*", re.DOTALL)
_DTYPES = (
    *("bfloat16", "bool", "complex64", "complex128", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
_DOUBLE = frozenset({"complex128", "float64", "int64", "uint64"})  # there with 64-bit types on
_NEXT_NAME = re.compile(r",(?=\s*[^\W\d]\w*\s*=(?!=))")  # the comma in x=1,2,z=3 before a name


def read_values(given: Sequence[str], dtype: str) -> tuple[list[Any], dict[str, Any]]:
    """What `--at` holds, as positional and keyword arguments.

    `2` and `x=2` are numbers, `x=1,2,3` and `x=[1,2,3]` vectors, `x=[[1,2],[3,4]]` a matrix,
    `p={"w": [1, 2]}` a pytree. `x=1,z=2` is the same as `x=1 z=2`. `x=float32[3,4]` is a shape alone.
    """
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for item in (part for text in given for part in _NEXT_NAME.split(text)):
        match = _NAMED.fullmatch(item)
        if match is None:
            if named:
                raise UsageError(f"--at: the value {item.strip()!r} comes after a named one; name it")
            positional.append(_value("", item, dtype))
            continue
        name, text = match.groups()
        if name in named:
            raise UsageError(f"--at: {name} is given twice")
        if name in CONSTANTS.keys() | FUNCTIONS.keys():
            raise UsageError(f"--at: {name} has a meaning of its own; use another name")
        named[name] = _value(name, text, dtype)
    return positional, named


def _value(name: str, text: str, dtype: str) -> Any:
    label = f"--at {name}=" if name else "--at "
    shape = _SHAPE.fullmatch(text)
    if shape is not None:
        return _shape(f"{label}{text.strip()}", shape[1], shape[2], dtype)
    if text.strip().startswith("{"):
        return _pytree(label, text, dtype)
    tree = parse(text) if text.strip() else None
    if tree is None:
        raise UsageError(f"{label}: the value is empty; give one such as 2 or 1,2,3")
    unknown = variables(tree)
    if unknown:
        raise UsageError(
            f"{label}{text.strip()}: {unknown[0]!r} is not a number; give one such as 2, pi/2, "
            "1,2,3 or [[1,2],[3,4]]"
        )
    return jnp.asarray(as_array(evaluate(tree, {})), dtype)


def _shape(label: str, name: str, sizes: str, precision: str) -> jax.ShapeDtypeStruct:
    """`float32[3,4]`: a shape alone."""
    if name not in _DTYPES:
        raise UsageError(f"{label}: no dtype {name!r}; it can be {', '.join(_DTYPES)}")
    if name in _DOUBLE and precision != "float64":
        raise UsageError(f"{label}: {name} goes with --dtype float64")
    parts = [part.strip() for part in sizes.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{label}: sizes are whole numbers, as in float32[3,4]; float32[] is a number")
    return jax.ShapeDtypeStruct(tuple(map(int, parts)), jnp.dtype(name))


def _pytree(label: str, text: str, dtype: str) -> Any:
    try:
        tree = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{label}{text.strip()}: not valid JSON: {error}") from None
    leaves = jax.tree.leaves(tree)
    if not leaves or not all(type(leaf) in {int, float} for leaf in leaves):
        raise UsageError(f"{label}{text.strip()}: expected numbers, lists and objects of them")
    return jax.tree.map(
        lambda leaf: jnp.asarray(as_array(leaf), dtype), tree, is_leaf=lambda x: isinstance(x, list)
    )
