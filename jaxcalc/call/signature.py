"""A call of f taken apart: what is traced, what is known, and how to put it together again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.digests import digest

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """The arguments of one call.

    Attributes:
        traced: the arrays and floating-point numbers, which a compiled derivative takes as inputs.
        treedef: the structure of the arguments.
        is_traced: for each leaf, whether it is one of these.
    """

    traced: list[Any]
    treedef: Any
    is_traced: list[bool]
    _known: list[Any]

    def rebuild(self, traced: Sequence[Any]) -> Arguments:
        """The arguments with other arrays in the place of the traced ones."""
        new, known = iter(traced), iter(self._known)
        leaves = [next(new) if on else next(known) for on in self.is_traced]
        args, kwargs = jax.tree.unflatten(self.treedef, leaves)
        return args, kwargs

    @cached_property
    def key(self) -> Hashable | None:
        """What a derivative made for this call also fits; None when a leaf cannot be compared.

        It is the structure, the shapes and dtypes, and the known leaves with their values.
        """
        return self._key(known_key)

    @cached_property
    def family(self) -> Hashable | None:
        """The key without the values of arrays: equal for calls that differ in these alone."""
        return self._key(lambda x: _shape_key(x) if _is_array(x) else known_key(x))

    def _key(self, of_known: Callable[[Any], Hashable | None]) -> Hashable | None:
        parts = tuple(map(of_known, self._known))
        if None in parts:
            return None
        return self.treedef, tuple(self.is_traced), parts, tuple(map(_shape_key, self.traced))

    @property
    def leaves(self) -> list[Any]:
        """The leaves of all arguments."""
        new, known = iter(self.traced), iter(self._known)
        return [next(new) if on else next(known) for on in self.is_traced]

    @property
    def known_arrays(self) -> dict[int, Any]:
        """The arrays whose values are part of the structure, by their places among the leaves."""
        places = (i for i, on in enumerate(self.is_traced) if not on)
        return {i: x for i, x in zip(places, self._known, strict=True) if _is_array(x)}

    def tracing(self, places: Collection[int]) -> Call:
        """The same call, with the leaves at these places traced too."""
        is_traced = [on or i in places for i, on in enumerate(self.is_traced)]
        return _taken_apart(self.leaves, self.treedef, is_traced)

    def kinds(self) -> list[Any]:
        """What f may run of its arguments: leaves that are no arrays, and the classes of the nodes."""
        waiting, classes = [self.treedef], set[type]()
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
    """Tell apart what a derivative is traced with and what it is made for.

    Integers, booleans and integer arrays whose values are known are part of the structure: a gather
    by known indices has a known pattern. A floating-point number or array is an input.
    """
    leaves, treedef = jax.tree.flatten((args, kwargs))
    return _taken_apart(leaves, treedef, [is_input(leaf) for leaf in leaves])


def _taken_apart(leaves: Sequence[Any], treedef: Any, is_traced: list[bool]) -> Call:
    traced = [leaf for leaf, on in zip(leaves, is_traced, strict=True) if on]
    known = [leaf for leaf, on in zip(leaves, is_traced, strict=True) if not on]
    return Call(traced, treedef, is_traced, known)


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


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) and leaf.dtype != object


def known_key(leaf: Any) -> Hashable | None:
    """The value of a leaf that is no input, equal for equal values; None where it cannot be told."""
    if isinstance(leaf, jax.Array | np.ndarray):
        return (leaf.shape, leaf.dtype, digest(leaf)) if _is_array(leaf) else None
    try:
        hash(leaf)
    except TypeError:
        return None
    return type(leaf), leaf
