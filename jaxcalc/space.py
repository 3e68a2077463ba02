"""One side of a derivative: the pytree whose elements are the rows, or the columns, of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import dtypes
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.arguments import dtype_of

Shape = tuple[int, ...]
_LISTED_LEAVES = 4  # a side with more leaves is described by their number


@dataclass(frozen=True)
class Side:
    """The input or the output of f: its pytree, and where each leaf sits among rows or columns.

    The elements are numbered as `jax.flatten_util.ravel_pytree` numbers them. Integer, boolean and
    float0 leaves stay in the pytree but take no rows or columns: nothing varies with them.

    Attributes:
        treedef: the structure of the pytree.
        shapes: the shape of every leaf, in the order of `treedef`.
        dtypes: the dtype of every leaf.
    """

    treedef: Any
    shapes: tuple[Shape, ...]
    dtypes: tuple[np.dtype[Any], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", tuple(tuple(shape) for shape in self.shapes))
        object.__setattr__(self, "dtypes", tuple(_plain(dtype) for dtype in self.dtypes))
        if not self.treedef.num_leaves == len(self.shapes) == len(self.dtypes):
            raise ValueError(
                f"Side: a pytree of {self.treedef.num_leaves} leaves was given {len(self.shapes)} "
                f"shapes and {len(self.dtypes)} dtypes."
            )

    @classmethod
    def of(cls, tree: Any) -> Side:
        """The side that a pytree of arrays, numbers or `jax.ShapeDtypeStruct`s describes."""
        leaves, treedef = jax.tree.flatten(tree)
        return cls(
            treedef,
            tuple(np.shape(leaf) for leaf in leaves),
            tuple(dtype_of(leaf) for leaf in leaves),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Side, (self.treedef, self.shapes, self.dtypes)  # without hashes, which differ elsewhere

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.treedef, self.shapes, self.dtypes))

    @cached_property
    def varies(self) -> tuple[bool, ...]:
        """For every leaf, whether it is real or complex and so takes rows or columns."""
        return tuple(jnp.issubdtype(dtype, jnp.inexact) for dtype in self.dtypes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each leaf begins, and the total at the end; one more number than leaves."""
        sizes = [
            prod(shape) if varies else 0 for shape, varies in zip(self.shapes, self.varies, strict=True)
        ]
        return tuple(int(n) for n in np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]))

    @property
    def size(self) -> int:
        """The number of rows or columns."""
        return self.offsets[-1]

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that holds every leaf, as `ravel_pytree` promotes them."""
        return promoted(
            [dtype for dtype, varies in zip(self.dtypes, self.varies, strict=True) if varies]
        )

    @cached_property
    def paths(self) -> tuple[tuple[Any, ...], ...]:
        """The key path of every leaf."""
        tree = jax.tree.unflatten(self.treedef, list(range(self.treedef.num_leaves)))
        return tuple(path for path, _ in tree_flatten_with_path(tree)[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The path of every leaf in words, such as `['w'][0]`; empty for a bare array."""
        return tuple(keystr(path) for path in self.paths)

    def leaf(self, number: int) -> Side:
        """The side that one leaf makes alone, as a bare array."""
        return Side(jax.tree.structure(0), (self.shapes[number],), (self.dtypes[number],))

    def element(self, number: int) -> str:
        """One row or column in words: its leaf's path and its position there, `['w'][3, 1]`."""
        leaf = int(np.searchsorted(self.offsets, number, side="right")) - 1
        position = np.unravel_index(number - self.offsets[leaf], self.shapes[leaf])
        inside = f"[{', '.join(str(int(p)) for p in position)}]" if position else ""
        return f"{self.names[leaf]}{inside}"

    def ravel(self, leaves: Sequence[Any]) -> Any:
        """The leaves as one vector `[size]`; those that do not vary are left out.

        Raises:
            ValueError: a leaf has another shape than this side's.
        """
        parts = []
        for leaf, shape, varies, name in zip(leaves, self.shapes, self.varies, self.names, strict=True):
            if not varies:
                continue
            if np.shape(leaf) != shape:
                raise ValueError(
                    f"leaf {name or '(the array)'} has shape {list(np.shape(leaf))}, expected "
                    f"{list(shape)}."
                )
            parts.append(jnp.ravel(jnp.asarray(leaf)))
        if not parts:
            return jnp.zeros(0, self.dtype)
        dtype = promoted([part.dtype for part in parts])
        return jnp.concatenate([part.astype(dtype) for part in parts])

    def unravel(self, flat: Any, dtypes_of_leaves: Sequence[Any] | None = None) -> Any:
        """A vector `[size]` as this side's pytree; leaves that do not vary are float0 zeros.

        Args:
            flat: the vector.
            dtypes_of_leaves: the dtype to give each leaf; without it they keep the vector's.
        """
        wanted = dtypes_of_leaves or [flat.dtype] * len(self.shapes)
        leaves = []
        for number, (shape, varies) in enumerate(zip(self.shapes, self.varies, strict=True)):
            if varies:
                part = flat[self.offsets[number] : self.offsets[number + 1]].reshape(shape)
                leaves.append(as_dtype(part, wanted[number]))
            else:
                leaves.append(np.zeros(shape, dtypes.float0))
        return jax.tree.unflatten(self.treedef, leaves)

    def __str__(self) -> str:
        leaves = [
            f"{name.lstrip('.')}: {dtype}{list(shape)}" if name else f"{dtype}{list(shape)}"
            for name, dtype, shape in zip(self.names, self.dtypes, self.shapes, strict=True)
        ]
        if len(leaves) > _LISTED_LEAVES:
            return f"{len(leaves)} arrays, {self.size:,} numbers"
        return leaves[0] if self.names == ("",) else f"({', '.join(leaves)})"


def _plain(dtype: Any) -> Any:
    # the dtype of random keys is none of numpy's
    return dtype if jnp.issubdtype(dtype, dtypes.extended) else np.dtype(dtype)


def promoted(given: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that holds all of these; the default float dtype for none."""
    if not given:
        return np.dtype(jnp.result_type(float))
    # a pytree of several dtypes is legal under strict promotion too: each leaf is cast explicitly
    with jax.numpy_dtype_promotion("standard"):
        return np.dtype(jnp.result_type(*given))


def as_dtype(array: Any, dtype: Any) -> Any:
    """The array in another dtype; from complex to real, its real part."""
    if array.dtype == dtype:
        return array
    if jnp.issubdtype(array.dtype, jnp.complexfloating) and not jnp.issubdtype(
        dtype, jnp.complexfloating
    ):
        array = jnp.real(array)
    return array.astype(dtype)
