"""Convolutions: small windows are stencils, and lanes that do not vary over the window stay lanes.

Both operands and the result are brought into one layout first, in which grouped convolutions are no
special case:

    input   [groups, batch, channels, *space]
    kernel  [groups, features, channels, *window]
    result  [batch, groups, features, *space]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules import windows as w
from jaxcalc.engine.rules.contraction import contract
from jaxcalc.engine.rules.dimension_numbers import Contraction
from jaxcalc.engine.rules.indexing import taken
from jaxcalc.engine.rules.operands import static_value, zeros_like_value
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents import manipulation
from jaxcalc.engine.tangents.contract import masked_by
from jaxcalc.engine.tangents.lanes import Group, Lanes, Shape, shrink, spread
from jaxcalc.engine.tangents.merge import merge
from jaxcalc.heuristics import heuristics


@rule("conv_general_dilated")
def convolution(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y_p = sum over channels c and places k of kernel_kc t_(p + k, c).

    For a kernel [a, b, c] over the identity of three elements with padding 1, the result has three
    lanes: data a, b and c, inputs [-1, 0, 1], [0, 1, 2] and [1, 2, -1]. The padding is no entry.
    Batches, and groups of channels, do not mix.
    """
    tangent, kernel = operands
    if isinstance(kernel, Lanes):
        groups = _by_kernel(eqn, kernel, tangent)
    else:
        groups = _by_input(eqn, tangent, kernel)
    return merge(zeros_like_value(eqn), groups)


@dataclass(frozen=True)
class Layout:
    """Between JAX's layout of a convolution and the one of this module.

    Attributes:
        read: what the equation says.
        lhs: the shape of the input in this module's layout, and likewise `rhs` and `out`.
        windows: the window along each axis of space.
    """

    read: equations.Convolution
    lhs: Shape
    rhs: Shape
    out: Shape
    windows: tuple[w.Window, ...]

    @property
    def places(self) -> list[w.Place]:
        """The places of the window that do not read padding everywhere."""
        return w.places(self.windows, self.lhs[3:], self.out[3:])

    def input(self, array: Any, shape: Shape) -> Any:
        """The input, or an index of it: `[k, *S or 1s]` of a value of `shape`."""
        spec, batches = self.read.lhs_spec, self.read.batch_groups > 1
        array, shape = manipulation.transpose(array, spec), tuple(shape[a] for a in spec)
        groups, n, c, *space = self.lhs
        if batches:
            return manipulation.reshape(array, shape, self.lhs)
        array = manipulation.reshape(array, shape, (n, groups, c, *space))
        return manipulation.transpose(array, [1, 0, *range(2, array.ndim - 1)])

    def input_back(self, array: Any) -> Any:
        """The inverse of `input`, for coefficients in full."""
        spec = self.read.lhs_spec
        groups, n, c, *space = self.lhs
        if self.read.batch_groups > 1:
            array = array.reshape((array.shape[0], groups * n, c, *space))
        else:
            array = manipulation.transpose(array, [1, 0, *range(2, array.ndim - 1)])
            array = array.reshape((array.shape[0], n, groups * c, *space))
        return manipulation.transpose(array, np.argsort(spec).tolist())

    def kernel(self, array: Any, shape: Shape) -> Any:
        """The kernel, or an index of it."""
        spec = self.read.rhs_spec
        array, shape = manipulation.transpose(array, spec), tuple(shape[a] for a in spec)
        return manipulation.reshape(array, shape, self.rhs)

    def kernel_back(self, array: Any) -> Any:
        """The inverse of `kernel`, for coefficients in full."""
        groups, o, *rest = self.rhs
        array = array.reshape((array.shape[0], groups * o, *rest))
        return manipulation.transpose(array, np.argsort(self.read.rhs_spec).tolist())

    def result(self, array: Any) -> Any:
        """A result in this module's layout, in the equation's."""
        n, groups, o, *space = self.out
        array = manipulation.reshape(array, self.out, (n, groups * o, *space))
        return manipulation.transpose(array, np.argsort(self.read.out_spec).tolist())


def _layout(eqn: JaxprEqn, lhs: Any, rhs: Any) -> Layout:
    read = equations.convolution(eqn)
    n, c, *space = (lhs.shape[a] for a in read.lhs_spec)
    o, inner, *sizes = (rhs.shape[a] for a in read.rhs_spec)
    out = [equations.output(eqn).shape[a] for a in read.out_spec]
    groups = max(read.feature_groups, read.batch_groups)
    windows = tuple(
        w.Window(size, stride, low, base, dilation)
        for size, stride, (low, _), base, dilation in zip(
            sizes, read.strides, read.padding, read.lhs_dilation, read.rhs_dilation, strict=True
        )
    )
    n //= read.batch_groups
    return Layout(
        read,
        (groups, n, c // read.feature_groups, *space),
        (groups, o // groups, inner, *sizes),
        (n, groups, o // groups, *out[2:]),
        windows,
    )


def _arranged(value: Lanes, shape: Shape, move: Any) -> Lanes:
    groups = [
        Group(move(g.data, value.shape), shrink(move(g.index, value.shape))) for g in value.groups
    ]
    return Lanes(shape, value.dtype).with_groups(groups)


def _by_input(eqn: JaxprEqn, tangent: Lanes, kernel: Any) -> list[Group]:
    layout = _layout(eqn, tangent, kernel)
    known = static_value(kernel)
    weights = kernel if known is None else known
    arranged = layout.kernel(weights.reshape((1, *weights.shape)), weights.shape)[0]
    value = _arranged(tangent, layout.lhs, layout.input)

    def aligned(part: Lanes) -> list[Group]:
        return [_lane_by_lane(eqn, g, kernel, layout) for g in part.groups]

    def read(part: Lanes) -> list[Group]:
        return _stencil(eqn, part, arranged, layout)

    mixed = range(2, len(layout.lhs))

    def reads(group: Group) -> np.ndarray:
        # of any channel
        return _reads(Group(group.data, group.index.max(axis=(0, 3), keepdims=True)), layout)

    return w.apply(value, w.Operation(mixed, [2], reads, aligned, read))


def _lane_by_lane(eqn: JaxprEqn, group: Group, kernel: Any, layout: Layout) -> Group:
    """One convolution with the lanes in its batch."""
    data = layout.input_back(spread(group.data, range(len(layout.lhs)), layout.lhs))
    data = jax.vmap(lambda lane: equations.bind(eqn, [lane, kernel])[0])(data)
    order = [1, 0, *range(2, len(layout.lhs))]
    return Group(data, shrink(layout.result(manipulation.transpose(group.index, order))))


def _stencil(eqn: JaxprEqn, part: Lanes, kernel: Any, layout: Layout) -> list[Group]:
    """Place by place of the kernel: a shifted copy of the tangent, contracted over its channels."""
    groups, n, o, *space = (layout.lhs[0], layout.lhs[1], layout.rhs[1], *layout.out[3:])
    axes = tuple(range(3, 3 + len(space)))
    how = Contraction(((0,), (0,)), ((2,), (2,)), ((1, *axes), (1,)), True, layout.read.options)
    product_shape = Lanes((groups, n, *space, o), np.dtype(equations.output(eqn).dtype))
    order = [1, 0, 2 + len(space), *range(2, 2 + len(space))]
    whole = (w.Window(), w.Window(), w.Window(), *layout.windows)
    if len(layout.places) > heuristics().copied_places:
        copies = taken(part, _sources(layout))
        ends = tuple(range(4, 4 + len(space)))
        all_places = Contraction(((1,), (0,)), ((3, 0), (2, 3)), ((2, *ends), (1,)), True, how.options)
        weights = kernel[(..., *np.asarray(layout.places).T)]
        return _arrived(contract(copies, weights, all_places, product_shape).groups, order, layout)
    products: list[Group] = []
    for place in layout.places:
        weights = kernel[(..., *place)]
        if isinstance(weights, np.ndarray) and not weights.any():
            continue  # a place that is known to weigh nothing
        read = w.shifted(part, whole, (0, 0, 0, *place), (*layout.lhs[:3], *space))
        if read.groups:
            products += contract(read, weights, how, product_shape).groups
    return _arrived(w.packed(products), order, layout)


def _sources(layout: Layout) -> np.ndarray:
    """What is read at each place, for a large window: `[places, groups, batch, channels, *space]`."""
    windows = (w.Window(), w.Window(), w.Window(), *layout.windows)
    places = [(0, 0, 0, *place) for place in layout.places]
    return w.sources(windows, places, layout.lhs, (*layout.lhs[:3], *layout.out[3:]))


def _arrived(products: Sequence[Group], order: list[int], layout: Layout) -> list[Group]:
    """Products in the order of the result's axes, and in the equation's layout."""
    return [
        Group(
            layout.result(manipulation.transpose(g.data, order)),
            shrink(layout.result(manipulation.transpose(g.index, order))),
        )
        for g in products
    ]


def _reads(support: Group, layout: Layout) -> np.ndarray:
    """How many places of its window read an entry of the input, for each element of the result."""
    groups, n, _, *space = layout.lhs
    windows = (w.Window(), w.Window(), w.Window(), *layout.windows)
    sizes = (groups, n, 1, *layout.out[3:])
    count = w.reads(support, windows, (groups, n, 1, *space), sizes)
    return layout.result(manipulation.transpose(count, [1, 0, *range(2, len(sizes))]))


def _by_kernel(eqn: JaxprEqn, tangent: Lanes, lhs: Any) -> list[Group]:
    layout = _layout(eqn, lhs, tangent)
    arranged = layout.input(lhs.reshape((1, *lhs.shape)), lhs.shape)
    value = _arranged(tangent, layout.rhs, layout.kernel)

    def aligned(part: Lanes) -> list[Group]:
        return [_kernel_by_kernel(eqn, g, lhs, layout) for g in part.groups]

    def read(part: Lanes) -> list[Group]:
        return _patches(eqn, part, arranged, layout)

    mixed = range(2, len(layout.rhs))

    def reads(group: Group) -> np.ndarray:
        # of all that the kernel meets, not of the kernel
        return _reads(Group(group.data, np.zeros((1,) * (1 + len(layout.lhs)), np.int32)), layout)

    return w.apply(value, w.Operation(mixed, [2], reads, aligned, read))


def _kernel_by_kernel(eqn: JaxprEqn, group: Group, lhs: Any, layout: Layout) -> Group:
    """One convolution with the lanes among its output features."""
    data = layout.kernel_back(spread(group.data, range(len(layout.rhs)), layout.rhs))
    data = jax.vmap(lambda lane: equations.bind(eqn, [lhs, lane])[0])(data)
    index = group.index.reshape((group.lanes, 1, *group.index.shape[1:3], *group.index.shape[4:]))
    return Group(data, shrink(layout.result(index)))


def _patches(eqn: JaxprEqn, part: Lanes, lhs: Any, layout: Layout) -> list[Group]:
    """Place by place of the kernel: its tangent there, contracted with a shifted copy of the input."""
    groups, n, o, *space = (layout.lhs[0], layout.lhs[1], layout.rhs[1], *layout.out[3:])
    axes = tuple(range(3, 3 + len(space)))
    how = Contraction(((0,), (0,)), ((2,), (2,)), ((1,), (1, *axes)), True, layout.read.options)
    product_shape = Lanes((groups, o, n, *space), np.dtype(equations.output(eqn).dtype))
    order = [2, 0, 1, *range(3, 3 + len(space))]
    whole = (w.Window(), w.Window(), w.Window(), *layout.windows)
    reached = (*layout.lhs[:3], *space)
    if len(layout.places) > heuristics().copied_places:
        sources = _sources(layout)
        copies = jnp.take(lhs.reshape(-1), np.maximum(sources, 0), mode="clip")
        copies = jnp.where(sources >= 0, copies, jnp.zeros((), copies.dtype))
        ends = tuple(range(4, 4 + len(space)))
        all_places = Contraction(((0,), (1,)), ((2, 3), (3, 0)), ((1,), (2, *ends)), True, how.options)
        kernels = _kernel_places(part, layout)
        return _arrived(contract(kernels, copies, all_places, product_shape).groups, order, layout)
    products: list[Group] = []
    for place in layout.places:
        weights = _kernel_place(part, place)
        if not weights.groups:
            continue
        # along an axis of one element the copy is not padded: what it must not reach is masked below
        read = w.shifted_array(lhs, whole, (0, 0, 0, *place), reached)
        read = spread(read, range(len(reached)), reached)[0]
        product = contract(weights, read, how, product_shape)
        mask = w.inside(layout.windows, place, layout.lhs[3:], tuple(space))
        products += masked_by(product, np.broadcast_to(mask, product.shape)).groups
    return _arrived(w.packed(products), order, layout)


def _kernel_place(part: Lanes, place: w.Place) -> Lanes:
    """The kernel's tangent at one place of the window: `[groups, features, channels]`."""
    rank = 3 + len(place)
    bounds = [(0, n, 1) for n in part.shape[:3]] + [(k, k + 1, 1) for k in place]

    def move(array: Any) -> Any:
        array = manipulation.slice_axes(array, bounds)
        return array.reshape(array.shape[: 1 + rank - len(place)])

    groups = [Group(move(g.data), shrink(move(g.index))) for g in part.groups]
    return Lanes(part.shape[:3], part.dtype).with_groups(groups)


def _kernel_places(part: Lanes, layout: Layout) -> Lanes:
    """The kernel's tangent at all places, in a line: `[groups, features, channels, places]`."""
    shape = part.shape[:3]
    elements = np.arange(part.size).reshape(part.shape)[(..., *np.asarray(layout.places).T)]
    return taken(part, elements.reshape((*shape, len(layout.places))))
