"""One equation evaluated in double precision, to see what rounding did to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import bodies, equations
from jaxcalc.engine.jaxprs.traits import having

# These read the bits of a number, draw random ones, or run outside of JAX: they have no wider form.
_NARROW = having("narrow")


def bind_widened(eqn: JaxprEqn, operands: Sequence[Any]) -> list[Any] | None:
    """The outputs for operands of double precision; None for what cannot be evaluated in it.

    To be called where 64-bit types are on. Integers and truth values stay as they are. Equations
    that hold a program of their own have no such form here: their program has.
    """
    if eqn.primitive.name in _NARROW or equations.programs(eqn):
        return None
    try:
        return equations.bind(bodies.with_each_param(eqn, _wider), operands)
    except (TypeError, ValueError, NotImplementedError):  # a primitive with a dtype of its own
        return None


def wide(x: Any) -> Any:
    """A value in double precision; one that is not real or complex as it is."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or jnp.issubdtype(dtype, jax.dtypes.extended):
        return x
    return jnp.asarray(np.asarray(x), _wider(dtype))


def _wider(value: Any) -> Any:
    """float64 or complex128 for an inexact dtype, and anything else as it is."""
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        dtype = np.dtype(value)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            return np.dtype(np.complex128)
        if jnp.issubdtype(dtype, jnp.floating):
            return np.dtype(np.float64)
    return value
