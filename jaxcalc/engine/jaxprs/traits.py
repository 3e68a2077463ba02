"""What is known about each primitive of JAX beside its rule: all of it, in this one place.

The cost model, folding, liveness, transposes, the Taylor series and the walk look here. A primitive
that is not listed, or has not got a trait, is one of which the trait is not known to hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Traits:
    """What is known about a primitive.

    Attributes:
        elementwise: each element of the result depends on those at the same place alone.
        reduces: it reduces axes, and is not linear.
        bilinear: it is linear in each of its operands, the others held constant.
        terms: the operands in all of which together it is linear, the others held constant.
        fixed: the operands in which it is not linear, where it is in the others.
        transpose_fails: it is linear, but what JAX registers as its transpose raises an error, at least
            in some cases.
        transpose_unlisted: it is linear, with a transpose that JAX's public table does not list.
        real_linear: it is linear over the real numbers and not over the complex ones.
        series_linear: the operands in all of which together it acts on each coefficient of a Taylor
            series, -1 for all of them.
        series_product: of two Taylor series it is their convolution.
        piecewise_constant: its derivative is zero wherever it has one.
        root: its slope grows without bound at some point of its domain; a square root.
        singular: it is not finite at some point, or its slope is not.
        joins: it puts arrays, or parts of them, side by side.
        shifts: a number that is added or joined to its operand keeps it from zero.
        free: it takes no time and no memory of its own.
        renames: its result is the same array in memory.
        moves: it copies elements from place to place.
        reorders: it changes their order.
        nanoseconds: of one element on a small CPU, in a loop with others.
        again: of one element, where it is computed once more in another loop.
        always_joined: XLA computes it with what uses it, however often that is.
        unfused: it is no part of a loop with others.
        factorizes: it is one of the cubic ones of linear algebra.
        never_again: XLA does not compute it once more for another use.
        folds: numpy gives the same bits, element by element, for integers and booleans.
        folds_places: its places can be followed where they are known.
        indexes: it is a gather or a scatter.
        narrow: it cannot be evaluated in a wider dtype in its place.
        sparse: it is an operation of `jax.experimental.sparse` that JAX itself gives a program of.
        sparse_places: one that sorts or moves the places of entries.
        calls: the parameter that holds a program, which it only runs.
        calls_at: the same of one that says where or how that runs, which holds for the value and not
            for lanes of its tangents.
    """

    elementwise: bool = False
    reduces: bool = False
    bilinear: bool = False
    terms: slice | None = None
    fixed: slice | None = None
    transpose_fails: bool = False
    transpose_unlisted: bool = False
    real_linear: bool = False
    series_linear: tuple[int, ...] | None = None
    series_product: bool = False
    piecewise_constant: bool = False
    root: bool = False
    singular: bool = False
    joins: bool = False
    shifts: bool = False
    free: bool = False
    renames: bool = False
    moves: bool = False
    reorders: bool = False
    nanoseconds: float | None = None
    again: float | None = None
    always_joined: bool = False
    unfused: bool = False
    factorizes: bool = False
    never_again: bool = False
    folds: bool = False
    folds_places: bool = False
    indexes: bool = False
    narrow: bool = False
    sparse: bool = False
    sparse_places: bool = False
    calls: str | None = None
    calls_at: str | None = None


_KNOWN: dict[str, Traits] = {}


def having(trait: str) -> frozenset[str]:
    """The primitives that have a trait."""
    return frozenset(name for name, known in _KNOWN.items() if getattr(known, trait) is True)


def values(trait: str) -> dict[str, Any]:
    """The value of a trait for each primitive that has one."""
    found = ((name, getattr(known, trait)) for name, known in _KNOWN.items())
    return {name: value for name, value in found if value is not None}


def _declare(names: str, **traits: Any) -> None:
    """Note what is known about primitives that are alike."""
    for name in names.split():
        if name in _KNOWN:
            raise ValueError(f"the traits of {name} are declared twice")
        _KNOWN[name] = Traits(**traits)


ALL = slice(None)

# arithmetic
_declare("add sub", elementwise=True, folds=True, series_linear=(-1,), shifts=True, terms=ALL)
_declare("add_any complex", elementwise=True, series_linear=(-1,), terms=ALL)
_declare("mul", bilinear=True, elementwise=True, folds=True, series_product=True)
_declare(
    "div", elementwise=True, fixed=slice(1, None), folds=True, nanoseconds=0.1, again=1.0, singular=True
)
_declare("convert_element_type neg", elementwise=True, folds=True, series_linear=(0,))
_declare("integer_pow", elementwise=True, nanoseconds=0.1, singular=True)
_declare("polynomial", elementwise=True, fixed=slice(1), terms=slice(1, None))
_declare("max", elementwise=True, folds=True, shifts=True)
_declare("and eq ge gt le lt min ne not or rem xor", elementwise=True, folds=True)
_declare("select_n", elementwise=True, folds=True, joins=True, terms=slice(1, None))
_declare("abs clamp is_finite nextafter one_minus_square square", elementwise=True)
_declare("sign", elementwise=True, folds=True, piecewise_constant=True)
_declare("ceil floor round", elementwise=True, piecewise_constant=True)
_declare("stop_gradient", piecewise_constant=True)
_declare("conj", elementwise=True, real_linear=True)
_declare("imag real", elementwise=True, real_linear=True, series_linear=(0,))
_declare("reduce_precision", elementwise=True, narrow=True, series_linear=(0,))

# functions of a number
_declare("cos sin tan", always_joined=True, elementwise=True, nanoseconds=1.5, again=12.0)
_declare("acos asin", elementwise=True, nanoseconds=1.5, again=12.0, singular=True)
_declare("atan", elementwise=True, nanoseconds=1.5, again=12.0)
_declare("atan2", elementwise=True, nanoseconds=1.5, again=12.0, root=True, singular=True)
_declare(
    "acosh asinh cosh erf erfc exp exp2 expm1 logistic sinh tanh",
    elementwise=True, nanoseconds=0.5, again=3.0,
)  # fmt: skip
_declare("atanh log log1p log2", elementwise=True, nanoseconds=0.5, again=3.0, singular=True)
_declare("cbrt", elementwise=True, nanoseconds=0.5, again=3.0, root=True, singular=True)
_declare("sqrt", elementwise=True, nanoseconds=0.1, again=1.0, root=True, singular=True)
_declare("rsqrt", elementwise=True, nanoseconds=0.1, again=1.0, singular=True)
_declare("pow", elementwise=True, nanoseconds=3.0, again=12.0, root=True, singular=True)
_declare("digamma erf_inv lgamma", elementwise=True, nanoseconds=3.0, again=12.0)
_declare("bessel_i0e bessel_i1e", nanoseconds=3.0, again=12.0)

# products, sums along axes, sorting
_declare(
    "conv_general_dilated dot_general",
    bilinear=True,
    never_again=True,
    series_product=True,
    unfused=True,
)
_declare("ragged_dot_general", bilinear=True)
_declare("reduce_sum", series_linear=(0,))
_declare("reduce_and reduce_max reduce_min reduce_or reduce_prod", reduces=True)
_declare("reduce_window_sum select_and_gather_add select_and_scatter_add", never_again=True)
_declare("cumsum", never_again=True, series_linear=(0,), unfused=True)
_declare("cumlogsumexp cummax cummin cumprod top_k", unfused=True)
_declare("fft sort", never_again=True, unfused=True)

# linear algebra
_declare("cholesky eigh lu qr svd", factorizes=True, never_again=True)
_declare("eig householder_product schur", factorizes=True)
_declare("triangular_solve", factorizes=True, fixed=slice(-1), never_again=True)
_declare("tridiagonal_solve", fixed=slice(-1))

# shapes and places
_declare("copy", elementwise=True, folds=True, free=True, renames=True, series_linear=(0,))
_declare("copy_p split", series_linear=(0,))
_declare("expand_dims reshape squeeze", free=True, renames=True, series_linear=(0,))
_declare("broadcast_in_dim", free=True, series_linear=(0,))
_declare("iota", free=True)
_declare("rev transpose", moves=True, reorders=True, series_linear=(0,))
_declare("slice", moves=True, series_linear=(0,), transpose_unlisted=True)
_declare("concatenate", joins=True, moves=True, series_linear=(-1,), terms=ALL)
_declare("stack", series_linear=(-1,), terms=ALL)
_declare("pad", joins=True, moves=True, series_linear=(0, 1), terms=slice(2))
_declare(
    "dynamic_slice",
    moves=True, reorders=True, series_linear=(0,), terms=slice(1), transpose_unlisted=True,
)  # fmt: skip
_declare(
    "dynamic_update_slice",
    joins=True, moves=True, never_again=True, series_linear=(0, 1), terms=slice(2),
)  # fmt: skip
_declare(
    "gather",
    folds_places=True, indexes=True, reorders=True, series_linear=(0,), terms=slice(1),
    transpose_unlisted=True, unfused=True,
)  # fmt: skip
_declare(
    "scatter",
    folds_places=True, indexes=True, joins=True, never_again=True, terms=slice(0, 3, 2),
    transpose_fails=True,
)  # fmt: skip
_declare(
    "scatter-add",
    folds_places=True, indexes=True, joins=True, never_again=True, series_linear=(0, 2),
    terms=slice(0, 3, 2),
)  # fmt: skip
_declare("scatter-sub", folds_places=True, indexes=True, terms=slice(0, 3, 2))
_declare("scatter-mul", fixed=slice(1, None), folds_places=True, indexes=True)
_declare("scatter_mul", fixed=slice(1, None), indexes=True)
_declare("scatter-max scatter-min scatter_add scatter_max scatter_min scatter_sub", indexes=True)
_declare(
    "bcoo_dot_general_sampled bcoo_extract bcoo_fromdense bcoo_spdot_general bcoo_todense bcsr_extract "
    "bcsr_fromdense bcsr_todense",
    sparse=True,
)
_declare("bcoo_sort_indices bcoo_sum_duplicates bcoo_transpose", sparse_places=True)

# calls, loops, devices, what is not of numbers
_declare("jit pjit", calls="jaxpr", free=True)
_declare("closed_call core_call", calls="call_jaxpr")
_declare("checkpoint remat2", calls="jaxpr")
_declare("fused_call", calls_at="jaxpr")
_declare("cond custom_jvp_call custom_linear_solve custom_vjp_call scan", never_again=True)
_declare("while", never_again=True, transpose_fails=True)
_declare("ffi_call io_callback pure_callback", narrow=True, transpose_fails=True)
_declare("compute_on xla_metadata_call", calls_at="jaxpr", transpose_unlisted=True)
_declare("optimization_barrier relayout reshard shard_map", transpose_unlisted=True)
_declare("bitcast_convert_type random_bits", narrow=True)
