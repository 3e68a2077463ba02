"""What is read of indexing, of windows, of ragged and sparse products, and of collectives.

Like `equations`, this module knows the layouts of JAX's `eqn.params`, pinned by
`tests/engine/test_layouts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax import lax
from jax.extend.core import JaxprEqn, Primitive

from jaxcalc.engine.jaxprs.params import arguments, changed, param, part
from jaxcalc.engine.jaxprs.traits import having


class Places(NamedTuple):
    """The dimension numbers of a gather or a scatter.

    Attributes:
        mapped: the axis of the operand that each column of the places moves along.
        dropped: the axes of the operand that a window has not got.
        operand_batch: the batch axes of the operand.
        places_batch: the batch axes of the places.
        window: the axes of a gather's result, or of a scatter's updates, that belong to a window.
    """

    mapped: tuple[int, ...]
    dropped: tuple[int, ...]
    operand_batch: tuple[int, ...]
    places_batch: tuple[int, ...]
    window: tuple[int, ...]


_GATHER = (
    "start_index_map",
    "collapsed_slice_dims",
    "operand_batching_dims",
    "start_indices_batching_dims",
    "offset_dims",
)
_SCATTER = (
    "scatter_dims_to_operand_dims",
    "inserted_window_dims",
    "operand_batching_dims",
    "scatter_indices_batching_dims",
    "update_window_dims",
)


def places(eqn: JaxprEqn) -> Places:
    """Read the dimension numbers of a gather or a scatter."""
    names = _place_names(eqn)
    return Places(*(tuple(part(eqn, "dimension_numbers", name, tuple)) for name in names))


def with_places(eqn: JaxprEqn, new: Places) -> JaxprEqn:
    """The same gather or scatter with other dimension numbers."""
    fields = dict(zip(_place_names(eqn), new, strict=True))
    return changed(eqn, dimension_numbers=part(eqn, "dimension_numbers", "_replace")(**fields))


def _place_names(eqn: JaxprEqn) -> tuple[str, ...]:
    return _GATHER if eqn.primitive.name == "gather" else _SCATTER


def window_sizes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The size of a gather's window along each axis of the operand."""
    return tuple(param(eqn, "slice_sizes", tuple))


def gather_options(eqn: JaxprEqn) -> dict[str, Any]:
    """The arguments of `lax.gather` that do the same to another operand."""
    return {name: param(eqn, name) for name in ("dimension_numbers", "slice_sizes", "mode")}


INDEXING = having("indexes")


def promises(eqn: JaxprEqn) -> bool:
    """Whether an equation is a gather or a scatter that promises that its places are in bounds."""
    if eqn.primitive.name not in INDEXING:
        return False
    mode = param(eqn, "mode", lax.GatherScatterMode)
    return bool(mode == lax.GatherScatterMode.PROMISE_IN_BOUNDS)


def without_promise(eqn: JaxprEqn) -> JaxprEqn:
    """The same gather or scatter; what XLA does where a promise does not hold is what it asks for."""
    if not promises(eqn):
        return eqn
    is_read = eqn.primitive.name == "gather"
    modes = lax.GatherScatterMode
    return changed(eqn, mode=modes.CLIP if is_read else modes.FILL_OR_DROP)


def scatter_options(eqn: JaxprEqn) -> dict[str, Any]:
    """The arguments of `lax.scatter_add` that put updates at the same places.

    Where places are promised to be in bounds, XLA leaves those out that are not.
    """
    mode = param(eqn, "mode")
    if mode == lax.GatherScatterMode.PROMISE_IN_BOUNDS:
        mode = lax.GatherScatterMode.FILL_OR_DROP
    return {"dimension_numbers": param(eqn, "dimension_numbers"), "mode": mode}


class Pooling(NamedTuple):
    """The window of a `reduce_window` and its kin, along each axis."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]


def pooling(eqn: JaxprEqn) -> Pooling:
    """Read a window's params; a `select_and_scatter_add` has no dilation."""
    names = ["window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation"]
    is_scatter = eqn.primitive.name == "select_and_scatter_add"
    given = [tuple(param(eqn, name, tuple)) for name in (names[:3] if is_scatter else names)]
    ones = (1,) * len(given[0])
    return Pooling(*given, *([ones, ones] if is_scatter else []))


def keeps(eqn: JaxprEqn, a: Any, b: Any) -> Any:
    """Whether a `select_and_scatter_add` keeps a when it meets b."""
    return param(eqn, "select_prim", Primitive).bind(a, b)


def selects_largest(eqn: JaxprEqn) -> bool:
    """Whether a `select_and_scatter_add` selects the largest element, rather than the smallest."""
    return bool(param(eqn, "select_prim", Primitive).name == "ge")


class RaggedDot(NamedTuple):
    """The axes of a `ragged_dot_general`: those of the left and of the right operand.

    Attributes:
        contracted: the axes that are summed over.
        batch: the batch axes.
        ragged: the axis of the left operand whose parts belong to the groups.
        groups: the axes of the right operand that count the groups.
    """

    contracted: tuple[tuple[int, ...], tuple[int, ...]]
    batch: tuple[tuple[int, ...], tuple[int, ...]]
    ragged: int
    groups: tuple[int, ...]


def ragged_dot(eqn: JaxprEqn) -> RaggedDot:
    """Read the params of a `ragged_dot_general`."""
    numbers = "ragged_dot_dimension_numbers"
    (left, right), (left_batch, right_batch) = part(eqn, numbers, "dot_dimension_numbers")
    (ragged,) = part(eqn, numbers, "lhs_ragged_dimensions")
    return RaggedDot(
        (tuple(left), tuple(right)),
        (tuple(left_batch), tuple(right_batch)),
        int(ragged),
        tuple(part(eqn, numbers, "rhs_group_dimensions")),
    )


class SparseDot(NamedTuple):
    """The product of a sparse matrix, `bcoo_dot_general` or `bcsr_dot_general`, with a dense array.

    Attributes:
        shape: of the sparse matrix.
        contracted: the axes that are summed over, left and right.
    """

    shape: tuple[int, ...]
    contracted: tuple[tuple[int, ...], tuple[int, ...]]


def sparse_dot(eqn: JaxprEqn) -> SparseDot:
    """Read the params of a `bcoo_dot_general` or `bcsr_dot_general`."""
    (left, right), _ = param(
        eqn, "dimension_numbers", tuple
    )  # batch axes belong to batched matrices alone
    return SparseDot(tuple(part(eqn, "lhs_spinfo", "shape")), (tuple(left), tuple(right)))


def implementation(eqn: JaxprEqn) -> Any:
    """The function of the operands that a primitive such as `bcoo_todense` is defined by."""
    return lambda *operands: eqn.primitive.impl(*operands, **arguments(eqn))


_CALLBACKS = frozenset({"pure_callback", "ffi_call"})


def lacks_vmap_method(eqn: JaxprEqn) -> bool:
    """Whether an equation calls out of JAX and does not say how to do so for many values at once."""
    return eqn.primitive.name in _CALLBACKS and param(eqn, "vmap_method") is None


def summed_over(eqn: JaxprEqn) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The axes of the operand that a `psum` sums over, and the names of axes of devices."""
    axes: Sequence[Any] = param(eqn, "axes", tuple)
    return tuple(a for a in axes if isinstance(a, int)), tuple(a for a in axes if isinstance(a, str))


class Gathered(NamedTuple):
    """Where an `all_gather` puts what the devices hold; tiled, along an axis there is."""

    axis: int
    devices: int
    tiled: bool


def gathered(eqn: JaxprEqn) -> Gathered:
    """Read the params of an `all_gather`."""
    axis, devices = param(eqn, "all_gather_dimension", int), param(eqn, "axis_size", int)
    return Gathered(axis, devices, param(eqn, "tiled", bool))


def scattered_along(eqn: JaxprEqn) -> int:
    """The axis of which a `reduce_scatter` keeps a part."""
    return int(param(eqn, "scatter_dimension", int))


class Exchanged(NamedTuple):
    """The axis that an `all_to_all` takes apart, and the one along which it puts the parts together."""

    split: int
    concat: int


def exchanged(eqn: JaxprEqn) -> Exchanged:
    """Read the params of an `all_to_all`."""
    return Exchanged(*(param(eqn, name, int) for name in ("split_axis", "concat_axis")))
