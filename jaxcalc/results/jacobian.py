"""The `Jacobian`: a derivative as one sparse matrix that remembers both sides' pytrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxcalc.display import render, spy
from jaxcalc.results import export, products
from jaxcalc.results.blocks import batched_blocks, diagonal
from jaxcalc.results.layout import Layout
from jaxcalc.results.leaves import find_leaf, restrict
from jaxcalc.results.pattern import SparsityPattern
from jaxcalc.space import Side

__all__ = ["Jacobian", "Layout", "Side"]


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True, eq=False, repr=False)
class Jacobian:
    """The derivative of all outputs with respect to all chosen arguments, as an M x N sparse matrix.

    Rows number the outputs and columns the inputs in the order of
    `jax.flatten_util.ravel_pytree`; the pytrees of both sides are remembered. Only the values are
    traced: the entries are static, unique and without padding, so a `Jacobian` passes through
    `jit`, `vmap`, `grad` and `scan` as a pytree of one array. It can be copied and pickled; a pickle
    leaves out the source lines that errors of `blocks` name.

    Attributes:
        values: `[nnz]` the entries, in the engine's own order (`sorted()` gives row-major).
        layout: the static half: rows, columns and both sides' pytrees.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> from jaxcalc.results.jacobian import Jacobian, Layout, Side
        >>> x = {"a": jnp.ones(2), "b": jnp.ones(())}
        >>> layout = Layout([0, 1, 1], [0, 1, 2], Side.of(x), Side.of(jnp.ones(2)))
        >>> J = Jacobian(jnp.array([1.0, 2.0, 3.0]), layout)
        >>> J.matrix().tolist()
        [[1.0, 0.0, 0.0], [0.0, 2.0, 3.0]]
        >>> (J @ {"a": jnp.array([1.0, 1.0]), "b": jnp.array(10.0)}).tolist()
        [1.0, 32.0]
        >>> {name: g.tolist() for name, g in (jnp.ones(2) @ J).items()}
        {'a': [1.0, 2.0], 'b': 3.0}
    """

    values: Any
    layout: Layout

    # numpy would otherwise make `array @ J` dense; there is no __jax_array__ for the same reason
    __array_ufunc__ = None

    def __post_init__(self) -> None:
        if np.shape(self.values)[-1:] != (self.nnz,):
            raise ValueError(
                f"Jacobian: values of shape {list(np.shape(self.values))} do not fit a layout of "
                f"{self.nnz} entries."
            )

    def tree_flatten_with_keys(self) -> tuple[tuple[tuple[Any, Any]], Layout]:
        """For `jax.tree_util`: one child, the values."""
        return ((jax.tree_util.GetAttrKey("values"), self.values),), self.layout

    @classmethod
    def tree_unflatten(cls, layout: Layout, children: tuple[Any]) -> Jacobian:
        """For `jax.tree_util`, which may put anything in place of the values."""
        new = object.__new__(cls)
        object.__setattr__(new, "values", children[0])
        object.__setattr__(new, "layout", layout)
        return new

    @property
    def rows(self) -> np.ndarray:
        """`[nnz]` static row of each value."""
        return self.layout.rows

    @property
    def cols(self) -> np.ndarray:
        """`[nnz]` static column of each value."""
        return self.layout.cols

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (M, N): output elements, input elements; batched values do not change it."""
        return self.layout.shape

    @property
    def nnz(self) -> int:
        """The number of entries."""
        return self.layout.nnz

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, 2."""
        return 2

    @property
    def input_side(self) -> Side:
        """The pytree behind the columns."""
        return self.layout.input_side

    @property
    def output_side(self) -> Side:
        """The pytree behind the rows."""
        return self.layout.output_side

    @property
    def pattern(self) -> SparsityPattern:
        """Which entries there are, in row-major order."""
        return self.layout.pattern

    @property
    def T(self) -> Jacobian:  # noqa: N802
        """The transpose, N x M, with the sides swapped; costs nothing."""
        return Jacobian(self.values, self.layout.transposed)

    def sorted(self) -> Jacobian:
        """The same matrix with its values in row-major order.

        Cost: one gather of the values; nothing when they are in that order already.
        """
        require_unbatched("sorted", self)
        values = products.take(self.values, self.layout, "order", lambda: self.layout.order)
        return Jacobian(values, self.layout.sorted)

    def __matmul__(self, other: Any) -> Any:
        require_unbatched("__matmul__", self)
        return products.matmul(self.values, self.layout, other)

    def __rmatmul__(self, other: Any) -> Any:
        require_unbatched("__rmatmul__", self)
        return products.rmatmul(self.values, self.layout, other)

    def __mul__(self, factor: Any) -> Any:
        if np.ndim(factor) != 0 or isinstance(factor, Jacobian):
            raise _only("J * c", "a number c; for a product of matrices write J @ v", factor)
        return Jacobian(self.values * factor, self.layout)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Any:
        if np.ndim(divisor) != 0 or isinstance(divisor, Jacobian):
            raise _only("J / c", "a number c", divisor)
        return Jacobian(self.values / divisor, self.layout)

    def __neg__(self) -> Jacobian:
        return Jacobian(-self.values, self.layout)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Jacobian):
            raise _only("J1 + J2", "two Jacobians", other)
        require_same_layout("+", self, other)
        return Jacobian(self.values + other.values, self.layout)

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, Jacobian):
            raise _only("J1 - J2", "two Jacobians", other)
        require_same_layout("-", self, other)
        return Jacobian(self.values - other.values, self.layout)

    __radd__, __rsub__ = __add__, __sub__  # of what is no Jacobian, which they refuse

    def todense(self) -> Any:
        """What `format="dense"` gives.

        Returns:
            The output's pytree of the input's pytrees of arrays, each of shape output shape +
            input shape; float0 zeros where a leaf is an integer.
        """
        require_unbatched("todense", self)
        return export.to_dense(self.values, self.layout)

    def toarray(self) -> np.ndarray:
        """The `[M, N]` array of numpy, on the host; what `np.asarray(J)` gives.

        Raises:
            MemoryError: it would take more than 4 GiB; the error names the sparse ways.
            TypeError: the values are traced; `matrix()` is for them.
        """
        require_unbatched("toarray", self)
        return export.to_numpy(self.values, self.layout)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("jaxcalc.Jacobian: its array is made anew; leave out copy=False.")
        return self.toarray().astype(dtype or self.dtype, copy=False)

    def matrix(self) -> Any:
        """The `[M, N]` array."""
        require_unbatched("matrix", self)
        return export.to_matrix(self.values, self.layout)

    def to_bcoo(self) -> Any:
        """What `format="bcoo"` gives.

        Returns:
            The output's pytree of the input's pytrees of `jax.experimental.sparse.BCOO`, each of
            shape output shape + input shape with one index column for each axis, unique indices and
            no padding; in the order of the values, and `indices_sorted` says whether that is
            row-major. float0 zeros where a leaf is an integer.
        """
        require_unbatched("to_bcoo", self)
        return export.to_bcoo(self.values, self.layout)

    def to_scipy(self, format: export.ScipyFormat = "csr") -> Any:  # noqa: A002
        """The matrix as a `scipy.sparse` array, on the host.

        Args:
            format: `"csr"` and `"csc"` are sorted; `"coo"` keeps the order of the values.

        Returns:
            A `scipy.sparse.csr_array`, `csc_array` or `coo_array` of shape (M, N). scipy knows no
            bfloat16 and no float16: these become float32.

        Raises:
            ImportError: scipy is not installed.
            TypeError: the values are traced; scipy needs numbers.
        """
        require_unbatched("to_scipy", self)
        return export.to_scipy(self.values, self.layout, format)

    def diagonal(self) -> Any:
        """The main diagonal `[min(M, N)]`, zero where there is no entry."""
        require_unbatched("diagonal", self)
        return diagonal(self.values, self.layout)

    def blocks(self, count: int | None = None) -> Any:
        """The blocks of a block-diagonal derivative: a network's samples do not mix.

        Args:
            count: the number of blocks, B. Without it: the length of the leading axis when all
                leaves of both sides share it (block b is then sample b); else the largest B for
                which the matrix is B equal blocks along its diagonal.

        Returns:
            `[B, outputs of one sample, inputs of one sample]`, leaves in the pytree's order.

        Raises:
            ValueError: an output of one sample depends on the input of another (the message names
                both), or there are no blocks.
        """
        require_unbatched("blocks", self)
        return batched_blocks(self.values, self.layout, count)

    def block(self, output_path: Any = None, input_path: Any = None) -> Jacobian:
        """The derivative of one output leaf with respect to one input leaf.

        Args:
            output_path: which output leaf: `"['w'][0]"` as `jax.tree_util.keystr` writes it,
                `"w/0"`, the keys `("w", 0)` or a key path. None takes the whole output.
            input_path: which input leaf, likewise.

        Returns:
            A `Jacobian` whose sides are these leaves as bare arrays.

        Raises:
            ValueError: there is no such leaf; the message lists those there are.
        """
        require_unbatched("block", self)
        call = "jaxcalc.Jacobian.block"
        pair = restrict(
            self.layout,
            find_leaf(self.output_side, output_path, call, "output"),
            find_leaf(self.input_side, input_path, call, "input"),
        )
        return Jacobian(pair.select(self.values, self.layout), pair.layout)

    def plot(self, ax: Any = None) -> Any:
        """Draw the pattern, colored by its structure; the same picture as `jaxcalc.visual.spy`.

        Args:
            ax: matplotlib axes to draw on; new ones without it.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        sides = {"inputs": self.input_side, "outputs": self.output_side}
        return spy.draw("jaxcalc.Jacobian.plot", self.pattern, ax, **sides)

    def __getitem__(self, place: Any) -> Any:
        raise TypeError(
            "jaxcalc.Jacobian: J[...] is not supported; take J.matrix()[...] or J.to_scipy()[...], the "
            "derivative of a leaf with J.block, or jaxcalc.jacobian(f, rows=..., columns=...)."
        )

    def __repr__(self) -> str:
        d = self.layout
        return render.jacobian_line(self.values, d.pattern, d.input_side, d.output_side)

    def _repr_html_(self) -> str:
        d = self.layout
        return render.jacobian_html(self.values, d.pattern, d.input_side, d.output_side)


def require_unbatched(name: str, matrix: Jacobian) -> None:
    """Refuse values with batch axes, which `vmap` leaves behind outside of it."""
    shape = np.shape(matrix.values)
    if shape != (matrix.nnz,):
        raise ValueError(
            f"jaxcalc.Jacobian.{name}: the values have shape {list(shape)}, expected "
            f"[{matrix.nnz}]: this is a batch of Jacobians, as vmap returns it. Call it for each "
            "one: jax.vmap(lambda J: ...)(J)."
        )


def _only(operation: str, operands: str, given: Any) -> TypeError:
    shape = getattr(given, "shape", ())
    shown = f"{type(given).__name__}{f' of shape {list(shape)}' if shape else ''}"
    return TypeError(
        f"jaxcalc.Jacobian: {operation} takes {operands}, got {shown}; compute with J.matrix() or "
        "J.to_scipy() instead."
    )


def require_same_layout(sign: str, left: Jacobian, right: Jacobian) -> None:
    """Refuse to combine Jacobians whose entries or sides differ."""
    if left.layout != right.layout:
        raise ValueError(
            f"jaxcalc.Jacobian: J1 {sign} J2 needs two Jacobians with the same entries and the same "
            f"sides, got {left!r} and {right!r}; combine their matrix() or to_bcoo()."
        )
