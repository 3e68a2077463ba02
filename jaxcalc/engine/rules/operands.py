"""What rules ask of their operands: known or traced, and the shape they have beside lanes."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape
from jaxcalc.engine.tangents.manipulation import insert_axes


def out_shape(eqn: JaxprEqn) -> Shape:
    """The shape of the first output."""
    return tuple(equations.output(eqn).shape)


def zeros_like_value(eqn: JaxprEqn, i: int = 0) -> Lanes:
    """A symbolic zero for output i."""
    aval = equations.output(eqn, i)
    return Lanes(tuple(aval.shape), np.dtype(aval.dtype))


def static_value(x: Any) -> np.ndarray | None:
    """The value of an operand that is known now, in numpy; None for a traced one."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def broadcast_to(value: Lanes, shape: Shape) -> Lanes:
    """A tangent of a scalar, or of a value with axes of size 1, where a wider one is wanted."""
    if value.shape == shape:
        return value
    if value.shape and not all(n in (1, m) for n, m in zip(value.shape, shape, strict=True)):
        raise AssertionError(f"a tangent of shape {value.shape} beside a value of shape {shape}")
    places = range(len(value.shape))
    groups = [
        Group(insert_axes(g.data, len(shape), places), insert_axes(g.index, len(shape), places))
        for g in value.groups
    ]
    return Lanes(shape, value.dtype).with_groups(groups)


def as_factor(x: Any, value: Lanes, data: Any) -> Any:
    """An operand beside lanes of a value: `[1, *S or 1s]`, in the dtype of the data.

    An operand that is known and broadcast keeps size 1 along the axes that it was broadcast along.
    """
    known = static_value(x)
    if known is None:
        return x.reshape((1, *x.shape)) if x.ndim else x.reshape((1,) * (1 + len(value.shape)))
    known = known.astype(data.dtype, copy=False)
    if known.ndim == 0:
        return known.reshape((1,) * (1 + len(value.shape)))
    repeated = [n > 1 and stride == 0 for n, stride in zip(known.shape, known.strides, strict=True)]
    return known[tuple(slice(0, 1) if r else slice(None) for r in repeated)][None]
