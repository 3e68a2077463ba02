"""Types inside `jax.shard_map`, which say along which axes of the mesh the values of devices differ."""

from __future__ import annotations

from typing import Any

import jax
from jax import lax


def shape_of(aval: Any, *, weak_type: bool = False) -> jax.ShapeDtypeStruct:
    """What to trace a function with in the place of an array of this type."""
    varying = getattr(aval, "manual_axis_type", None)
    place = {"sharding": aval.sharding, "manual_axis_type": varying} if varying else {}
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=weak_type, **place)


def type_of(x: Any) -> Any:
    """The type of an array or of a number; that of a shape is itself."""
    return x if isinstance(x, jax.ShapeDtypeStruct) else jax.typeof(x)


def as_typed(aval: Any, value: Any) -> Any:
    """A value that is said to differ along the axes that a type says.

    One that is known, or was made by the library, is the same on each device.
    """
    axes = getattr(getattr(aval, "manual_axis_type", None), "varying", ())
    missing = tuple(axes - jax.typeof(value).manual_axis_type.varying) if axes else ()
    return lax.pcast(value, missing, to="varying") if missing else value
