"""Some rows and columns of a Jacobian: the whole Jacobian of a function of fewer numbers.

With the columns c and the rows r, that function takes z to `ravel(f(x with x[c] + z))[r]`, so that
every format, direction and plan applies, and nothing of the size of the whole Jacobian is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import Chosen
from jaxcalc.call.flatten import FlatMap, require_differentiable_output
from jaxcalc.call.request import Request
from jaxcalc.call.symbolic import require_known_sizes
from jaxcalc.methods.base import Outcome
from jaxcalc.space import Side, as_dtype, promoted

Indices = Sequence[int] | np.ndarray | jax.Array
Evaluate = Callable[..., Outcome]


@dataclass(frozen=True, eq=False)
class Part:
    """The rows and columns that a call asks for, perhaps negative; None for all of them."""

    rows: np.ndarray | None
    columns: np.ndarray | None

    @cached_property
    def key(self) -> Hashable:
        """A fingerprint, equal for equal indices."""
        return tuple(
            None if x is None else (x.size, hashlib.blake2b(x.tobytes(), digest_size=16).digest())
            for x in (self.rows, self.columns)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class EvaluatePart:
    """Makes a part of a Jacobian for a request, by `evaluate`, which makes whole ones."""

    part: Part
    evaluate: Evaluate

    def __call__(self, request: Request, *, with_value: bool) -> Outcome:
        """Value, aux and the part, in the format asked for."""
        option = "columns" if self.part.rows is None else "rows"
        require_known_sizes(request.options.api, option, request.call.traced)
        found = self.evaluate(self.narrowed(request, with_value=with_value), with_value=False)
        if not (with_value or request.options.has_aux):
            return found
        value, aux = found.aux
        return Outcome(value, None, aux, found.derivative)  # a call like it has to bring the value too

    def narrowed(self, request: Request, *, with_value: bool) -> Request:
        """The request for a whole Jacobian that gives the part."""
        return _PartRequest.narrowed(request, self.part, with_value or request.options.has_aux)


def evaluate_part(
    api: str, rows: Indices | None, columns: Indices | None, evaluate: Evaluate
) -> Evaluate:
    """`evaluate`, which makes a Jacobian for a request, for these rows and columns of it alone.

    Raises:
        TypeError: they are not integers, or not known.
        ValueError: they are not one-dimensional.
    """
    if rows is None and columns is None:
        return evaluate
    return EvaluatePart(Part(_known(api, "rows", rows), _known(api, "columns", columns)), evaluate)


@dataclass(frozen=True)
class _PartRequest(Request):
    """A request for a part: it differentiates with respect to one vector z; the output is one vector.

    The function for which derivatives are kept is still f, so that they are freed with it. Where the
    value is wanted, it comes as aux, in a pair with the aux of f.
    """

    part: Part
    has_aux: bool  # of f

    @classmethod
    def narrowed(cls, request: Request, part: Part, wants_value: bool) -> _PartRequest:
        """A request for a part of what `request` asks for."""
        options = replace(request.options, has_aux=wants_value)
        return cls(
            request.f,
            options,
            request.argnums,
            request.argnames,
            request.call,
            part,
            request.options.has_aux,
            like=request.like,
            entry_limit=request.entry_limit,
            recorded=request.recorded,
        )

    def _key(self, kind: str, of_call: Hashable | None) -> Hashable | None:
        key = super()._key(kind, of_call)
        return None if key is None else (key, self.part.key, self.has_aux)

    def chosen(self, traced: Sequence[Any]) -> Chosen:
        """z, and f as a function of it."""
        whole = super().chosen(traced)
        self.options.require_inputs(whole)
        api, f = self.options.api, FlatMap(whole, self.has_aux)
        z, leaves_at = _inputs(api, f.leaves, self.part.columns)

        def call(z: Any) -> Any:
            output, aux = f(leaves_at(z))
            require_differentiable_output(api, output, f.treedef, holomorphic=self.options.holomorphic)
            some = _outputs(api, output, self.part.rows)
            return (some, (f.value(output), aux)) if self.options.has_aux else some

        return replace(whole, call=call, primal=z, names=(" and ".join(whole.names),), bare=True)


def _inputs(
    api: str, leaves: Sequence[Any], columns: np.ndarray | None
) -> tuple[Any, Callable[[Any], list[Any]]]:
    """z, and the leaves as a function of it.

    z is all elements, or zeros that are added to some: one that is asked for twice has two zeros.
    """
    side = Side.of(list(leaves))
    if columns is None:
        return side.ravel(leaves), lambda z: side.unravel(z, side.dtypes)
    places = _places(api, "columns", columns, side)
    zeros = jnp.full(columns.size, -0.0, _dtype(side, places))  # -0.0 leaves every number as it is

    def leaves_at(z: Any) -> list[Any]:
        moved = list(leaves)
        for i, (which, elements) in places.items():
            change = as_dtype(z if which.size == columns.size else z[which], side.dtypes[i])
            flat = jnp.ravel(jnp.asarray(leaves[i]))
            flat = flat.at[elements].add(change, mode="promise_in_bounds", wrap_negative_indices=False)
            moved[i] = flat.reshape(side.shapes[i])
        return moved

    return zeros, leaves_at


def _outputs(api: str, output: Sequence[Any], rows: np.ndarray | None) -> Any:
    """The elements of the output as one vector, all of them or some."""
    side = Side.of(list(output))
    if rows is None:
        return side.ravel(output)
    places = _places(api, "rows", rows, side)
    dtype = _dtype(side, places)
    parts = []
    for i, (_, elements) in places.items():
        flat = jnp.ravel(jnp.asarray(output[i]))
        some = flat.at[elements].get(mode="promise_in_bounds", wrap_negative_indices=False)
        parts.append(some.astype(dtype))
    if not parts:
        return jnp.zeros(0, dtype)
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([which for which, _ in places.values()]))
    together = jnp.concatenate(parts)
    return together.at[order].get(
        mode="promise_in_bounds", wrap_negative_indices=False, unique_indices=True
    )


def _places(
    api: str, name: str, given: np.ndarray, side: Side
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """For each leaf with an element that is asked for: which of `given` these are, and where in it."""
    wrong = given[(given < -side.size) | (given >= side.size)]
    if wrong.size:
        elements = "the input's" if name == "columns" else "the output's"
        legal = f"from {-side.size} to {side.size - 1}" if side.size else "none"
        raise IndexError(
            f"{api}: {name} asks for {int(wrong[0])}, but there are {side.size} {name}, one for each "
            f"of {elements} elements; those that can be asked for: {legal}."
        )
    numbers = np.where(given < 0, given + side.size, given)
    leaf = np.searchsorted(side.offsets, numbers, side="right") - 1
    places = {}
    for i in np.unique(leaf):
        which = np.flatnonzero(leaf == i)
        places[int(i)] = which, numbers[which] - side.offsets[i]
    return places


def _dtype(side: Side, places: dict[int, Any]) -> Any:
    return promoted([side.dtypes[i] for i in places]) if places else side.dtype


def _known(api: str, name: str, given: Any) -> np.ndarray | None:
    """Indices as an array of their own, checked as far as they can be without f."""
    if given is None:
        return None
    try:
        array = np.array(given)
    except jax.errors.TracerArrayConversionError:
        raise TypeError(
            f"{api}: {name} must be known when the function is traced, got {given!r}, which an outer "
            "transformation traces. Pass a numpy array, or use products with a vector (jax.jvp)."
        ) from None
    except ValueError:  # ragged
        array = np.array(None)
    if array.ndim == 1 and not array.size:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        hint = "use numpy.arange for a range" if isinstance(given, slice) else "as a list or an array"
        hint = "use numpy.flatnonzero for a mask" if array.dtype.kind == "b" else hint
        dtype = "" if array.dtype == object else f" of dtype {array.dtype}"
        raise TypeError(f"{api}: {name} must be integers, got {given!r}{dtype}; {hint}.")
    if array.ndim != 1:
        raise ValueError(
            f"{api}: {name} must be one-dimensional, got shape {list(array.shape)}; it numbers the "
            f"{name} of the matrix that format='structured' gives."
        )
    return array.astype(np.int64)
