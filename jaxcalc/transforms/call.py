"""A call of f taken apart: what is traced, what is known, and how to put it together again."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """The arguments of one call.

    Attributes:
        traced: the arrays and floating-point numbers, which a compiled derivative takes as inputs.
    """

    traced: list[Any]
    _treedef: Any
    _known: list[Any]
    _is_traced: list[bool]

    def rebuild(self, traced: Sequence[Any]) -> Arguments:
        """The arguments with other arrays in the place of the traced ones."""
        new, known = iter(traced), iter(self._known)
        leaves = [next(new) if on else next(known) for on in self._is_traced]
        args, kwargs = jax.tree.unflatten(self._treedef, leaves)
        return args, kwargs

    @cached_property
    def key(self) -> Hashable | None:
        """What a derivative made for this call also fits; None when a leaf cannot be compared.

        It is the structure, the shapes and dtypes, and the known leaves with their values.
        """
        parts = tuple(map(_known_key, self._known))
        if None in parts:
            return None
        return self._treedef, tuple(self._is_traced), parts, tuple(map(_shape_key, self.traced))

    def kinds(self) -> list[Any]:
        """What f may run of its arguments: leaves that are no arrays, and the classes of the nodes."""
        waiting, classes = [self._treedef], set[type]()
        while waiting:
            treedef = waiting.pop()
            data = treedef.node_data()
            if data is not None:
                classes.add(data[0])
            waiting.extend(treedef.children())
        leaves = [leaf for leaf in self._known if not isinstance(leaf, jax.Array | np.ndarray)]
        return [*leaves, *classes]

    @property
    def is_inside_a_trace(self) -> bool:
        """Whether an outer transformation traces an argument."""
        return any(isinstance(x, jax.core.Tracer) for x in self.traced)


def take_apart(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Tell apart what a derivative is traced by and what it is made for.

    Integers, booleans and integer arrays whose values are known are part of the structure: a gather
    by known indices has a known pattern. A floating-point number or array is an input.
    """
    leaves, treedef = jax.tree.flatten((args, kwargs))
    is_traced = [is_input(leaf) for leaf in leaves]
    traced = [leaf for leaf, on in zip(leaves, is_traced, strict=True) if on]
    known = [leaf for leaf, on in zip(leaves, is_traced, strict=True) if not on]
    return Call(traced, treedef, known, is_traced)


def is_input(leaf: Any) -> bool:
    """Whether a compiled derivative takes this leaf as an input, whatever its value."""
    if isinstance(leaf, jax.core.Tracer | jax.ShapeDtypeStruct | float | complex):
        return True
    dtype = getattr(leaf, "dtype", None)
    if dtype is None or not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return False
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return True  # a random key
    return not (jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_)) and (
        dtype.kind != "O" and not jnp.issubdtype(dtype, np.flexible)
    )


def _shape_key(leaf: Any) -> Hashable:
    if not hasattr(leaf, "dtype"):
        return type(leaf).__name__
    is_traced = isinstance(leaf, jax.core.Tracer)
    varying = getattr(jax.typeof(leaf), "manual_axis_type", None) if is_traced else None
    return np.shape(leaf), leaf.dtype, bool(getattr(leaf, "weak_type", False)), varying or None


def _known_key(leaf: Any) -> Hashable | None:
    if isinstance(leaf, jax.Array | np.ndarray):
        return leaf.shape, str(leaf.dtype), _digest(leaf)
    try:
        hash(leaf)
    except TypeError:
        return None
    return type(leaf), leaf


_digests: dict[int, tuple[weakref.ref[Any], bytes]] = {}


def _digest(array: Any) -> bytes:
    """A fingerprint of the values; JAX arrays do not change, so theirs is remembered."""
    if not isinstance(array, jax.Array):
        return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()
    number = id(array)
    kept = _digests.get(number)
    if kept is not None and kept[0]() is array:
        return kept[1]
    value = _digest(np.asarray(array))
    _digests[number] = (weakref.ref(array, lambda _: _digests.pop(number, None)), value)
    return value
