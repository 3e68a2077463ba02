"""f as a map from a list of leaves to a list of leaves, and its derivatives put back into pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import dtypes
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.arguments import ArgumentError, Chosen, dtype_of, is_array, split_inexact

Shape = tuple[int, ...]
Blocks = Sequence[Sequence[Any]]  # a derivative: for each output leaf, for each input leaf

Leaves = Sequence[Any]
FlatCall = Callable[[Leaves], tuple[Leaves, Any]]  # the leaves of the output, and aux


@dataclass
class FlatMap:
    """f on the real and complex leaves of its chosen arguments; integer leaves are held constant.

    Attributes:
        chosen: the call of f that this is a view of.
        has_aux: whether f returns `(output, aux)`.
        leaves: the inexact leaves of the chosen arguments.
        treedef: the structure of the output, known once f was called or traced.
    """

    chosen: Chosen
    has_aux: bool = False
    leaves: list[Any] = field(init=False)
    treedef: Any = field(init=False, default=None)
    _rebuild: Callable[..., Any] = field(init=False)

    def __post_init__(self) -> None:
        leaves, self._rebuild = split_inexact(self.chosen.primal)
        # a program of f takes no numbers of Python, which f itself would make arrays of
        self.leaves = [jnp.asarray(x) if isinstance(x, float | complex) else x for x in leaves]

    def __call__(self, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
        """The output leaves of f, and its aux (None without `has_aux`)."""
        result, aux = split_aux(self.chosen.api, self.chosen.call(self._rebuild(leaves)), self.has_aux)
        output, self.treedef = jax.tree.flatten(result)
        return output, aux

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the inexact input leaves."""
        return [jnp.shape(leaf) for leaf in self.leaves]

    def value(self, output: Sequence[Any]) -> Any:
        """Output leaves as the pytree that f returns."""
        return jax.tree.unflatten(self.treedef, output)

    def inputs(self, blocks: Sequence[Any], shape: tuple[int, ...] = ()) -> Any:
        """One block for each inexact leaf, as the chosen arguments' pytree.

        An integer leaf gets float0 zeros of `shape + leaf.shape`: the derivative with respect to an
        integer is zero in a space of dimension zero, which is what `jax.grad` returns there.
        """
        return self._rebuild(
            blocks, integer=lambda leaf: np.zeros(shape + jnp.shape(leaf), dtypes.float0)
        )

    def jacobian(self, blocks: Blocks, shapes: Sequence[tuple[int, ...]]) -> Any:
        """Blocks as the output's pytree of the input's pytree, nested as `jax.jacfwd` nests them.

        `shapes` are the shapes of the output leaves.
        """
        rows = zip(blocks, shapes, strict=True)
        return self.value([self.inputs(row, shape) for row, shape in rows])

    def hessian(self, blocks: Sequence[Blocks], shapes: Sequence[tuple[int, ...]]) -> Any:
        """Second-order blocks, nested as `jax.hessian` nests them: output, input, input."""
        rows = []
        for block, shape in zip(blocks, shapes, strict=True):
            inner = [
                self.inputs(row, shape + input_shape)
                for row, input_shape in zip(block, self.shapes, strict=True)
            ]
            rows.append(self._hessian_row(inner, shape))
        return self.value(rows)

    def _hessian_row(self, inner: Sequence[Any], shape: tuple[int, ...]) -> Any:
        def integer(leaf: Any) -> Any:
            outer = shape + jnp.shape(leaf)
            zeros = [np.zeros(outer + inner, dtypes.float0) for inner in self.shapes]
            return self.inputs(zeros, outer)

        return self._rebuild(inner, integer=integer)


def split_aux(api: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    """What f returned, as output and aux; aux is None without `has_aux`."""
    aux = None
    if has_aux:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ArgumentError(
                f"{api}: with has_aux=True the function must return a pair (output, aux), but it "
                f"returned {_described(result)}."
            )
        result, aux = result
    for path, leaf in tree_flatten_with_path(result)[0]:
        if not is_array(leaf):
            raise TypeError(
                f"{api}: the function returned {leaf!r} of type {type(leaf).__name__} in "
                f"output{keystr(path)}; it must return arrays or numbers, and anything else as aux "
                "with has_aux=True."
            )
    return result, aux


def _described(result: Any) -> str:
    if is_array(result):
        return f"an array {dtype_of(result)}{list(jnp.shape(result))}"
    return f"a {type(result).__name__}"


def require_differentiable_output(
    api: str, output: Sequence[Any], treedef: Any, *, holomorphic: bool, allow_int: bool = False
) -> None:
    """Refuse output leaves that have no derivative, naming the leaf; `allow_int` lets integers pass.

    Raises:
        TypeError: a leaf is an integer or boolean, or is real under `holomorphic`.
    """
    paths = tree_flatten_with_path(jax.tree.unflatten(treedef, list(output)))[0]
    for path, leaf in paths:
        dtype = dtype_of(leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            if allow_int and not holomorphic and jnp.issubdtype(dtype, jnp.integer):
                continue
            raise TypeError(
                f"{api}: output{keystr(path)} is {dtype}, which has no derivative; convert it to a "
                "floating dtype if it depends smoothly on the inputs, or return it as aux with "
                "has_aux=True."
            )
        if holomorphic and not jnp.issubdtype(dtype, jnp.complexfloating):
            raise TypeError(
                f"{api}: holomorphic=True requires complex outputs, but output{keystr(path)} is "
                f"{dtype}."
            )


def require_real_side(chosen: Chosen, output: Sequence[Any], treedef: Any) -> None:
    """Refuse a complex output of a complex input, which only a holomorphic function differentiates.

    Raises:
        TypeError: both sides have a complex leaf.
    """
    inputs = [f"{name} is {dtype_of(leaf)}" for name, leaf in chosen.leaves() if _is_complex(leaf)]
    outputs = [
        f"output{keystr(path)} is {dtype_of(leaf)}"
        for path, leaf in tree_flatten_with_path(jax.tree.unflatten(treedef, list(output)))[0]
        if _is_complex(leaf)
    ]
    if inputs and outputs:
        raise TypeError(
            f"{chosen.api}: {inputs[0]} and {outputs[0]}: one number for each pair of them exists only "
            "for a holomorphic function. Set holomorphic=True if it is one; else take the real and the "
            "imaginary part of one side as two leaves."
        )


def _is_complex(leaf: Any) -> bool:
    return bool(jnp.issubdtype(dtype_of(leaf), jnp.complexfloating))


def as_forward_types(blocks: Blocks, output: Sequence[Any]) -> Blocks:
    """Blocks of reverse mode in the dtypes of forward mode, which are those of the output leaves.

    There is no forward mode to follow where an input is complex, and no dtype in a number of Python.
    """
    if any(_is_complex(b) for row in blocks for b in row):
        return blocks

    def as_of(y: Any, block: Any) -> Any:
        is_weak = getattr(y, "weak_type", not hasattr(y, "dtype"))
        return block if is_weak else block.astype(dtypes.canonicalize_dtype(dtype_of(y)))

    return [[as_of(y, b) for b in row] for row, y in zip(blocks, output, strict=True)]


def column_blocks(columns: Any, inputs: Sequence[Shape]) -> list[Any]:
    """`[*out, N]` as one block `[*out, *leaf]` for each input leaf."""
    parts = jnp.split(columns, _cuts(inputs), axis=-1)
    return [p.reshape(columns.shape[:-1] + shape) for p, shape in zip(parts, inputs, strict=True)]


def row_blocks(rows: Sequence[Any], outputs: Sequence[Shape]) -> list[list[Any]]:
    """`[M, *leaf]` for each input leaf as blocks `[*out, *leaf]`, for each output, for each input."""
    each = [
        [p.reshape(shape + p.shape[1:]) for p, shape in zip(parts, outputs, strict=True)]
        for parts in (jnp.split(row, _cuts(outputs)) for row in rows)
    ]
    return [[parts[i] for parts in each] for i in range(len(outputs))]


def _cuts(shapes: Sequence[Shape]) -> list[int]:
    return list(accumulate(prod(shape) for shape in shapes))[:-1]
