"""What a traced program computes, as a value that equals that of another program exactly where both do.

Two traces of one function give two jaxprs, with variables and constants of their own. They compute the
same where they consist of the same equations, wired alike, with equal parameters and constants.
Arrays are compared bit for bit (0.0 is not -0.0, a NaN equals itself), by digests of their bytes, so
that one which is changed in place later is told from what it was. The text of a jaxpr would not do: it
leaves out the constants of nested programs and abbreviates arrays.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Hashable, Mapping
from enum import Enum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Primitive

from jaxcalc.call.digests import digest
from jaxcalc.engine.jaxprs import equations

_BY_VALUE = (str, bytes, type(None), type(...), np.dtype, Enum, type, Primitive, np.ufunc)
_BY_VALUE_OF_JAX = (
    jax.sharding.Sharding,
    jax.sharding.Mesh,
    jax.sharding.AbstractMesh,
    jax.Device,
    jax.tree_util.PyTreeDef,
)


class IncomparableError(Exception):
    """A value of which nobody can tell whether it equals another: a closure, say."""


def signature(closed: ClosedJaxpr) -> Hashable:
    """What a program computes, equal for equal programs.

    Raises:
        IncomparableError: it holds what cannot be compared, such as a callback with a state.
    """
    return _of_jaxpr(closed.jaxpr), tuple(_of_value(c) for c in closed.consts)


def signature_of(*values: Any) -> Hashable:
    """What values are, by the same rules: numbers and arrays by their bits, the rest by what they hold.

    Raises:
        IncomparableError: as for a program.
    """
    return tuple(map(_of_value, values))


def _of_jaxpr(jaxpr: Jaxpr) -> Hashable:
    numbers: dict[Any, int] = {}

    def defined(variables: Any) -> Hashable:
        for v in variables:
            numbers[v] = len(numbers)
        return tuple(v.aval for v in variables)

    def read(v: Any) -> Hashable:
        return (v.aval, _of_value(v.val)) if isinstance(v, Literal) else numbers[v]

    inputs = defined(jaxpr.constvars), defined(jaxpr.invars)
    steps = [
        (_of_equation(eqn), tuple(map(read, eqn.invars)), defined(eqn.outvars)) for eqn in jaxpr.eqns
    ]
    return inputs, tuple(steps), tuple(map(read, jaxpr.outvars))


def _of_equation(eqn: JaxprEqn) -> Hashable:
    parameters = equations.parameters(eqn)
    return eqn.primitive, eqn.ctx, frozenset(eqn.effects), _of_items(parameters)


def _of_items(mapping: Mapping[Any, Any]) -> Hashable:
    return tuple((name, _of_value(value)) for name, value in mapping.items())


def _of_value(x: Any) -> Hashable:
    return type(x), next(key for key in (of(x) for of in _KINDS) if key is not None)


def _of_program(x: Any) -> Hashable:
    if isinstance(x, ClosedJaxpr):
        return signature(x)
    return _of_jaxpr(x) if isinstance(x, Jaxpr) else None


def _of_number(x: Any) -> Hashable:
    """Numbers of Python by their bits, and what is compared as JAX itself compares it."""
    if isinstance(x, bool | int):
        return int(x)
    if isinstance(x, float):
        return float(x).hex()
    if isinstance(x, complex):
        return x.real.hex(), x.imag.hex()
    is_plain = isinstance(x, types.FunctionType) and x.__closure__ is None and not x.__defaults__
    return (x,) if is_plain or isinstance(x, _BY_VALUE) or _is_of_jax_and_hashed(x) else None


def _of_container(x: Any) -> Hashable:
    if isinstance(x, tuple | list):
        return tuple(map(_of_value, x))
    if isinstance(x, Mapping):
        return _of_items(x)
    return frozenset(map(_of_value, x)) if isinstance(x, set | frozenset) else None


def _of_object(x: Any) -> Hashable:
    """An object of JAX's own, by what it holds; a compiled function hides its state."""
    root = type(x).__module__.split(".")[0]
    if root == "jax" or (root == "jaxlib" and not callable(x)):
        return _of_items(_attributes(x))
    raise IncomparableError(f"{x!r} of type {type(x).__name__}")


def _is_of_jax_and_hashed(x: Any) -> bool:
    """Whether equality of a value is what JAX itself goes by."""
    return isinstance(x, _BY_VALUE_OF_JAX) or jnp.issubdtype(
        x if hasattr(x, "type") and not hasattr(x, "shape") else np.float32, jax.dtypes.extended
    )


def _attributes(x: Any) -> dict[str, Any]:
    """What an object of JAX's own holds."""
    if dataclasses.is_dataclass(x):
        names = [f.name for f in dataclasses.fields(x)]
    elif hasattr(x, "__dict__"):
        names = [*vars(x)]
    else:
        names = [name for c in type(x).__mro__ for name in getattr(c, "__slots__", ())]
        if not names:
            raise IncomparableError(repr(x))
    return {name: getattr(x, name, None) for name in names}


def _of_array(x: Any) -> Hashable:
    if not (hasattr(x, "dtype") and hasattr(x, "shape")):
        return None
    if isinstance(x, jax.core.Tracer) or x.dtype == object:
        raise IncomparableError(f"an array of type {type(x).__name__}, {x.dtype}")
    if jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return x.shape, x.dtype, digest(jax.random.key_data(x))
    return x.shape, x.dtype, bool(getattr(x, "weak_type", False)), digest(x)


_KINDS = (_of_program, _of_number, _of_array, _of_container, _of_object)
