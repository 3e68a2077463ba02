"""What is done with each primitive of JAX: one table, shown by `jaxcalc.engine.coverage()`.

It holds the primitives of every supported version of JAX; `tests/engine/test_coverage.py` finds it
complete over those of the installed one, and checks what it says. A new primitive gets a rule
(`jaxcalc/engine/rules`) and a line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from jaxcalc.engine.rules import registry

How = Literal["rule", "followed", "replaced", "constant", "dense", "refused"]

MEANINGS: dict[How, str] = {
    "rule": "has a rule: structure is kept, along the axes that it mixes only where that can be",
    "followed": "runs a program, and the program is followed",
    "replaced": "JAX's derivative of it is made of other primitives, so that it never sees a tangent",
    "constant": "its result does not depend on a tangent: integers, comparisons, random bits, tokens",
    "dense": "no rule: each result is taken to depend on all inputs that its operands depend on",
    "refused": "JAX has no derivative of it that can be followed, and says so",
}


class Row(NamedTuple):
    """One primitive: its name, what is done with it, the axes that it mixes, and a remark."""

    primitive: str
    how: How
    mixes: str
    note: str


@dataclass(frozen=True, repr=False)
class Coverage:
    """Rows sorted by primitive; prints as a table."""

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in (*self.rows, Row._fields)) for i in range(3)]
        lines = []
        for row in (Row._fields, *self.rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            lines.append("  ".join([*cells, row[3]]).rstrip())
        legend = [f"{how}: {meaning}" for how, meaning in MEANINGS.items()]
        return "\n".join([*lines, "", *legend])

    __repr__ = __str__

    def markdown(self) -> str:
        """The table as it stands in docs/coverage.md, one for each way of dealing with a primitive."""
        parts = []
        for how, meaning in MEANINGS.items():
            chosen = [row for row in self.rows if row.how == how]
            lines = [f"### {how} ({len(chosen)})", "", f"{meaning[0].upper()}{meaning[1:]}.", ""]
            lines += ["| primitives | mixes | note |", "|---|---|---|"]
            families: dict[tuple[str, str], list[str]] = {}
            for row in chosen:
                families.setdefault((row.mixes, row.note), []).append(f"`{row.primitive}`")
            lines += [f"| {' '.join(names)} | {m} | {note} |" for (m, note), names in families.items()]
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"


def coverage() -> Coverage:
    """What is done with each primitive of JAX that a derivative may meet.

    Returns:
        Rows, sorted by primitive, to iterate over: its name; how it is dealt with, "rule", "followed",
        "replaced", "constant", "dense" or "refused"; the axes that it mixes; a remark. It prints as a
        table with a legend. Rules of `register_rule` are among them. The table is that of all supported
        versions of JAX, none of which has every primitive. A primitive that is not in it is followed
        through its `impl`, where that is JAX code and linear, and else dense.

    Cost: no evaluation of f.

    Method: the table of `jaxcalc/engine/rules/coverage.py`, held complete by a test.

    Example:
        >>> import jaxcalc.engine
        >>> [row for row in jaxcalc.engine.coverage() if row.primitive == "cumsum"][0].mixes
        'its axis'
    """
    rows = {row.primitive: row for row in _rows()}
    for name, mixes in registry.declared().items():
        rows[name] = Row(name, "rule", _shown(mixes), "registered with register_rule")
    return Coverage(tuple(sorted(rows.values())))


def followed() -> dict[str, str]:
    """The primitives whose programs are followed, with the remark: a rule would not be asked."""
    return {row.primitive: row.note for row in _rows() if row.how == "followed"}


def is_listed(name: str) -> bool:
    """Whether the table says what is done with a primitive of this name."""
    return name in _listed()


@cache
def _listed() -> frozenset[str]:
    return frozenset(row.primitive for row in _rows())


def _shown(mixes: registry.Mixes | None) -> str:
    if mixes is None or callable(mixes):
        return "as its rule says"
    return ", ".join(f"axis {a}" for a in mixes) or "nothing"


def _rows() -> Iterator[Row]:
    for how, mixes, note, names in _FAMILIES:
        for name in names.split():
            yield Row(name, how, mixes, note)


# fmt: off
_FAMILIES: list[tuple[How, str, str, str]] = [
    ("rule", "nothing", "element by element",
     "add add_any sub neg mul div convert_element_type real imag conj complex select_n copy "
     "reduce_precision"),
    ("rule", "nothing", "in its coefficients, element by element", "polynomial"),
    ("rule", "nothing", "where or how a value is kept: nothing changes",
     "device_put sharding_constraint layout_constraint optimization_barrier name pvary shard_alike "
     "xla_metadata_value relayout with_memory_space_constraint"),
    ("rule", "nothing", "moves elements to known places",
     "transpose broadcast_in_dim reshape squeeze slice pad concatenate stack unstack split tile rev"),
    ("rule", "nothing", "at known places; the axes that they move along, where they are traced",
     "gather scatter scatter-add scatter-sub scatter-mul dynamic_slice dynamic_update_slice"),
    ("rule", "the axes summed over", "", "reduce_sum"),
    ("rule", "its axis", "a triangle where the tangent varies along it", "cumsum"),
    ("rule", "contracted axes", "known zeros of the other operand leave no entries", "dot_general"),
    ("rule", "contracted axes", "of a right operand, the groups as well", "ragged_dot_general"),
    ("rule", "features, and the window along space", "", "conv_general_dilated"),
    ("rule", "the window along each axis", "",
     "reduce_window_sum select_and_gather_add select_and_scatter_add"),
    ("rule", "rows, or columns for a matrix on the right", "batch by batch", "triangular_solve"),
    ("rule", "rows", "batch by batch", "tridiagonal_solve"),
    ("rule", "the axes transformed", "", "fft"),
    ("rule", "nothing", "between devices, inside shard_map: lanes are the same on all of them",
     "psum psum_invariant unreduced_psum ppermute pbroadcast pbroadcast_dynamic preduced "
     "reduced_vary_cast reduced_vary_cast_p vary_unreduced_cast vary_unreduced_cast_p all_gather "
     "all_gather_invariant all_gather_reduced"),
    ("rule", "the axis that is taken apart", "between devices, inside shard_map",
     "reduce_scatter unreduced_reduce_scatter all_to_all"),
    ("rule", "rows", "between devices, inside shard_map", "ragged_all_to_all"),

    ("followed", "as what is inside", "calls", "jit closed_call remat2"),
    ("followed", "as what is inside", "calls that say where or how they run",
     "compute_on xla_metadata_call fused_call"),
    ("followed", "as what is inside", "its rule has been applied before",
     "custom_jvp_call custom_vjp_call linear_call custom_linear_solve"),
    ("followed", "as what is inside", "loops and branches; the pattern of a carry holds at every step",
     "scan while cond"),
    ("followed", "as what is inside", "sparse matrices, as gathers, products and scatters",
     "bcoo_todense bcoo_fromdense bcoo_extract bcoo_transpose bcoo_sort_indices bcoo_sum_duplicates "
     "bcoo_dot_general_sampled bcoo_spdot_general bcsr_todense bcsr_fromdense bcsr_extract"),
    ("followed", "as what is inside",
     "sparse matrices; dense where the matrix has batch or dense axes of its own",
     "bcoo_dot_general bcsr_dot_general"),

    ("replaced", "", "products with its derivative",
     "abs acos acosh asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt cos cosh digamma erf "
     "erf_inv erfc exp exp2 expm1 igamma igammac integer_pow lgamma log log1p log2 logistic "
     "one_minus_square polygamma pow regularized_incomplete_beta rem rsqrt sin sinh sqrt square tan "
     "tanh"),
    ("replaced", "", "products with its derivative in the parameter", "random_gamma"),
    ("replaced", "", "a copy of its first operand's tangent; refused before JAX 0.12", "nextafter"),
    ("replaced", "", "selections", "clamp max min"),
    ("replaced", "", "selections, means of equal ones, and sums", "reduce_max reduce_min"),
    ("replaced", "", "gathers at traced places", "sort top_k approx_top_k"),
    ("replaced", "", "gathers, scatters or selections at the places that it finds",
     "reduce_window_max reduce_window_min scatter-max scatter-min"),
    ("replaced", "", "its parts: slices, products and sums",
     "cumlogsumexp cummax cummin cumprod reduce_prod reduce"),
    ("replaced", "", "matrix products and triangular solves", "cholesky eig eigh lu qr svd"),

    ("constant", "", "integers and truth values",
     "and or xor not shift_left shift_right_arithmetic shift_right_logical clz population_count mulhi "
     "reduce_and reduce_or reduce_xor argmax argmin lu_pivots_to_permutation axis_index iota"),
    ("constant", "", "comparisons", "eq ne lt le gt ge eq_to lt_to le_to is_finite"),
    ("constant", "", "piecewise constant: the derivative is zero", "ceil floor round sign"),
    ("constant", "", "bits of a number, or cut off on purpose", "bitcast_convert_type stop_gradient"),
    ("constant", "", "random keys and bits",
     "random_bits random_seed random_split random_fold_in random_wrap random_unwrap random_clone "
     "rng_bit_generator threefry2x32 threefry4x32 philox2x32 philox4x32"),
    ("constant", "", "effects that take values and give none of them back",
     "debug_callback debug_print dce_sink inspect_sharding check after_all create_token"),
    ("constant", "", "made of nothing", "empty empty2"),
    ("dense", "all axes", "runs outside of JAX: tell with register_rule what it mixes",
     "pure_callback ffi_call"),
    ("dense", "all axes", "a program on each device's part", "shard_map"),
    ("dense", "all axes", "linear, and a solve with any sparse matrix", "spsolve"),
    ("dense", "all axes", "sparse matrices of older kinds, one lane after the other",
     "coo_todense coo_fromdense coo_matvec coo_matmat csr_todense csr_fromdense csr_matvec csr_matmat"),
    ("dense", "all axes", "between processes",
     "global_array_to_host_local_array host_local_array_to_global_array reshard"),
    ("dense", "all axes", "programs on parts of the devices, or in an order", "mpmd_map program_order"),
    ("dense", "all axes", "mutable arrays: sparse formats refuse them by name, the dense one is JAX's",
     "new_ref get swap addupdate freeze free_ref empty_ref accum_grad_in_ref masked_load masked_swap "
     "run_state get_global"),
    ("dense", "all axes", "types with a representation of their own",
     "box_get box_set new_box new_log log_read log_extend from_edtype to_edtype stage tie todense "
     "call_hi_primitive call_hi_primitive_linearized eval_jaxpr remat_opt"),

    ("refused", "", "give the function around it a custom_jvp or a custom_vjp",
     "composite io_callback buffer_callback pmax pmin unreduced_pmax unreduced_pmin "
     "select_and_scatter rng_uniform "
     "igamma_grad_a zeta schur hessenberg tridiagonal householder_product ormqr geqrf geqp3 "
     "symmetric_product scaled_dot scaled_matmul scaled_matmul_wrapper"),
    ("refused", "", "JAX has jax.jvp of it, and can linearize none",
     "custom_vmap_call pallas_call reduce_window"),
    ("refused", "", "what JAX puts in the place of a custom_vjp in forward mode", "custom_lin"),
    ("refused", "", "met inside the derivatives of others, or no longer made by JAX",
     "call custom_transpose_call pgather tpu_custom_call xla_pmap "
     "dot_product_attention_fwd_wrapper dot_product_attention_bwd_wrapper "
     "dot_product_attention_fp8_fwd_wrapper dot_product_attention_fp8_bwd_wrapper precv psend"),
]
# fmt: on
