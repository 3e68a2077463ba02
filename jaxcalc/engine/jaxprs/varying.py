"""Types inside `jax.shard_map`, which say along which axes of the mesh the values of devices differ."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import jax
from jax import lax

_TYPES = ("vma", "manual_axis_type")  # what a type keeps them in: in JAX 0.9, and since


def shape_of(aval: Any, *, weak_type: bool = False) -> jax.ShapeDtypeStruct:
    """What to trace a function with in the place of an array of this type."""
    place = {name: getattr(aval, name) for name in _TYPES if getattr(aval, name, None)}
    if place:
        place["sharding"] = aval.sharding
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=weak_type, **place)


def type_of(x: Any) -> Any:
    """The type of an array or of a number; that of a shape is itself."""
    return x if isinstance(x, jax.ShapeDtypeStruct) else jax.typeof(x)


def as_typed(aval: Any, value: Any) -> Any:
    """A value that is said to differ along the axes that a type says.

    One that is known, or was made by the library, is the same on each device.
    """
    axes = _varying(aval)
    missing = tuple(axes - _varying(jax.typeof(value))) if axes else ()
    return lax.pcast(value, missing, to="varying") if missing else value


def _varying(aval: Any) -> Set[str]:
    found: Set[str] | None = getattr(aval, "vma", None)
    if found is None:
        found = getattr(getattr(aval, "manual_axis_type", None), "varying", None)
    return found or frozenset()
