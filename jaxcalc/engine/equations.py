"""What the walks read of an equation: the one module that knows the layout of JAX's `eqn.params`.

A new JAX version that renames a parameter breaks here and nowhere else. The contract tests in
`tests/engine/test_equations.py` pin every layout that is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine import sparse_products
from jaxcalc.engine.varying import as_typed

# the primitives that only run another program, and the parameter that holds it
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}

# those that say where or how it runs, which holds for the value and not for lanes of its tangents
_PLACED_CALLS = {"compute_on": "jaxpr", "xla_metadata_call": "jaxpr", "fused_call": "jaxpr"}


def bind(eqn: JaxprEqn, operands: Sequence[Any], *, known: bool = False) -> list[Any]:
    """Evaluate one equation, of known operands or of any; always a list of outputs."""
    if not known:
        operands = [as_typed(v.aval, x) for v, x in zip(eqn.invars, operands, strict=True)]
    bound: Any = eqn.primitive.get_bind_params(eqn.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a pair before JAX 0.9
    with eqn.ctx.manager:
        outputs = eqn.primitive.bind(*functions, *operands, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def is_inexact(aval: Any) -> bool:
    """Whether an abstract value is a real or complex array."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))


def output(eqn: JaxprEqn, i: int = 0) -> Any:
    """Shape and dtype of output i."""
    return eqn.outvars[i].aval


def operand(eqn: JaxprEqn, i: int = 0) -> Any:
    """Shape and dtype of operand i."""
    return eqn.invars[i].aval


def called(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """The program that a call such as a nested jit, or a move of sparse places, runs; or None."""
    if eqn.primitive.name in sparse_products.OF_PLACES:
        return sparse_products.as_program(eqn)
    param = CALLS.get(eqn.primitive.name)
    return None if param is None else _closed(eqn.params[param])


class LinearMap(NamedTuple):
    """A program that an equation applies to tangents, and the operands that it takes."""

    program: ClosedJaxpr
    operands: Sequence[int]


def linear_map(eqn: JaxprEqn) -> LinearMap | None:
    """What an equation with a program of its own does to a tangent; None for others.

    Inside a linear program a custom rule was applied already: what is left is linear as it stands.
    """
    everything = range(len(eqn.invars))
    match eqn.primitive.name:
        case "custom_jvp_call" | "custom_vjp_call":
            return LinearMap(_closed(eqn.params["call_jaxpr"]), everything)
        case "linear_call":
            return LinearMap(_closed(eqn.params["callee"]), everything)
        case "custom_linear_solve":
            lengths, programs = eqn.params["const_lengths"], eqn.params["jaxprs"]
            start = lengths.matvec + lengths.vecmat
            right_side = range(sum(lengths), len(eqn.invars))
            return LinearMap(programs.solve, [*range(start, start + lengths.solve), *right_side])
        case name if name in _PLACED_CALLS:
            return LinearMap(_closed(eqn.params[_PLACED_CALLS[name]]), everything)
        case name if name in sparse_products.SPARSE:
            program = sparse_products.as_program(eqn)
            return None if program is None else LinearMap(program, everything)
    return None


def _closed(program: Any) -> ClosedJaxpr:
    return ClosedJaxpr(program, ()) if isinstance(program, Jaxpr) else program


def new_dtype(eqn: JaxprEqn) -> Any:
    """The dtype that a `convert_element_type` makes."""
    return eqn.params["new_dtype"]


def iota(eqn: JaxprEqn) -> tuple[tuple[int, ...], int]:
    """The shape of an `iota`, and the dimension along which it counts."""
    return eqn.params["shape"], eqn.params["dimension"]


def broadcast_in_dim(eqn: JaxprEqn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of the result, and the axis of the result that each axis of the operand becomes."""
    return eqn.params["shape"], eqn.params["broadcast_dimensions"]


def slices(eqn: JaxprEqn) -> list[tuple[int, int, int]]:
    """Start, limit and stride along each axis of a `slice`."""
    p = eqn.params
    strides = p["strides"] or (1,) * len(p["start_indices"])
    return list(zip(p["start_indices"], p["limit_indices"], strides, strict=True))


def reshape_order(eqn: JaxprEqn) -> tuple[int, ...] | None:
    """The permutation of the axes that a `reshape` begins with, or None."""
    order = eqn.params.get("dimensions")
    return None if order is None else tuple(order)


def permutation(eqn: JaxprEqn) -> tuple[int, ...]:
    """The permutation of a `transpose`."""
    return tuple(eqn.params["permutation"])


def dimensions(eqn: JaxprEqn) -> tuple[int, ...]:
    """The axes of a `rev`, `squeeze` or `expand_dims`."""
    return tuple(eqn.params["dimensions"])


def dimension(eqn: JaxprEqn) -> int:
    """The axis of a `concatenate`."""
    return int(eqn.params["dimension"])


def axis(eqn: JaxprEqn) -> int:
    """The axis of a `stack`, a `split` or a cumulative sum."""
    return int(eqn.params["axis"])


def is_reversed(eqn: JaxprEqn) -> bool:
    """Whether a cumulative sum runs from the end."""
    return bool(eqn.params["reverse"])


def axes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The axes of a `reduce_sum`."""
    return tuple(eqn.params["axes"])


def sizes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The sizes of the parts of a `split`."""
    return tuple(eqn.params["sizes"])


def repeats(eqn: JaxprEqn) -> tuple[int, ...]:
    """How often a `tile` repeats each axis."""
    return tuple(eqn.params["reps"])


def padding(eqn: JaxprEqn) -> tuple[tuple[int, int, int], ...]:
    """Low, high and interior padding of each axis of a `pad`."""
    return tuple(eqn.params["padding_config"])


class Scan(NamedTuple):
    """The parts of a scan."""

    body: ClosedJaxpr
    consts: int
    carry: int
    options: dict[str, Any]


def scan(eqn: JaxprEqn) -> Scan:
    """Read a scan's params."""
    p = eqn.params
    options = {name: p[name] for name in ("length", "reverse", "unroll")}
    return Scan(p["jaxpr"], p["num_consts"], p["num_carry"], options)


class While(NamedTuple):
    """The parts of a while loop."""

    condition: ClosedJaxpr
    condition_consts: int
    body: ClosedJaxpr
    body_consts: int


def while_loop(eqn: JaxprEqn) -> While:
    """Read a while loop's params."""
    p = eqn.params
    return While(p["cond_jaxpr"], p["cond_nconsts"], p["body_jaxpr"], p["body_nconsts"])


def branches(eqn: JaxprEqn) -> Sequence[ClosedJaxpr]:
    """The branches of a cond."""
    return eqn.params["branches"]


def programs(eqn: JaxprEqn) -> list[Jaxpr]:
    """Every program in an equation's params, whatever the primitive does with it."""
    found: list[Jaxpr] = []
    for param in eqn.params.values():
        for item in param if isinstance(param, tuple | list) else (param,):
            if isinstance(item, ClosedJaxpr):
                found.append(item.jaxpr)
            elif isinstance(item, Jaxpr):
                found.append(item)
    return found


# how a call is differentiated, or what of it is kept meanwhile: not what it computes
_ASIDE = frozenset({"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees", "policy"})


def parameters(eqn: JaxprEqn) -> dict[str, Any]:
    """All that decides what an equation computes when it runs."""
    return {name: value for name, value in eqn.params.items() if name not in _ASIDE}


def label(eqn: JaxprEqn) -> str:
    """What a `jax.ad_checkpoint.checkpoint_name` calls its operand."""
    return str(eqn.params["name"])


def count(jaxpr: Jaxpr) -> int:
    """How many equations a program has, those of the programs inside it included."""
    return sum(1 + sum(count(inner) for inner in programs(eqn)) for eqn in jaxpr.eqns)


class LinearSolve(NamedTuple):
    """The matrix of a `custom_linear_solve`, as a program, and which operands are its constants."""

    matvec: ClosedJaxpr
    place: slice


def linear_solve(eqn: JaxprEqn) -> LinearSolve:
    """Read the params of a `custom_linear_solve`."""
    matvec = eqn.params["jaxprs"].matvec
    return LinearSolve(_closed(matvec), slice(0, eqn.params["const_lengths"].matvec))


class TriangularSolve(NamedTuple):
    """How a `triangular_solve` reads its matrix."""

    left_side: bool
    lower: bool
    transpose_a: bool
    conjugate_a: bool
    unit_diagonal: bool


def triangular_solve(eqn: JaxprEqn) -> TriangularSolve:
    """Read the params of a `triangular_solve`."""
    return TriangularSolve(*(eqn.params[name] for name in TriangularSolve._fields))


class DotGeneral(NamedTuple):
    """The axes of a `dot_general`: contracted and batch axes of the left and of the right operand."""

    contracted: tuple[tuple[int, ...], tuple[int, ...]]
    batch: tuple[tuple[int, ...], tuple[int, ...]]
    options: dict[str, Any]


def dot_general(eqn: JaxprEqn) -> DotGeneral:
    """Read a matrix product's params."""
    p = eqn.params
    (left, right), (left_batch, right_batch) = p["dimension_numbers"]
    options = {name: p[name] for name in ("precision", "preferred_element_type")}
    return DotGeneral((tuple(left), tuple(right)), (tuple(left_batch), tuple(right_batch)), options)


def kernel_size(eqn: JaxprEqn) -> int:
    """How many products a convolution adds up for each element of its result."""
    kernel = eqn.params["dimension_numbers"].rhs_spec
    shape = operand(eqn, 1).shape
    return prod(shape) // max(1, shape[kernel[0]])


class Convolution(NamedTuple):
    """The params of a `conv_general_dilated`.

    `lhs_spec` and `out_spec` list the axes of batch, features and space, `rhs_spec` those of output
    features, input features and space.
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    feature_groups: int
    batch_groups: int
    options: dict[str, Any]


def convolution(eqn: JaxprEqn) -> Convolution:
    """Read a convolution's params."""
    p = eqn.params
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation")
    groups = p["feature_group_count"], p["batch_group_count"]
    options = {name: p[name] for name in ("precision", "preferred_element_type")}
    windows = (tuple(p[name]) for name in names)
    return Convolution(*(*p["dimension_numbers"], *windows, *groups, options))


class Pooling(NamedTuple):
    """The window of a `reduce_window` and its kin, along each axis."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]


def pooling(eqn: JaxprEqn) -> Pooling:
    """Read a window's params; a `select_and_scatter_add` has no dilation."""
    p = eqn.params
    sizes = tuple(p["window_dimensions"])
    ones = (1,) * len(sizes)
    dilations = (tuple(p.get(name, ones)) for name in ("base_dilation", "window_dilation"))
    return Pooling(sizes, tuple(p["window_strides"]), tuple(p["padding"]), *dilations)


def keeps(eqn: JaxprEqn, a: Any, b: Any) -> Any:
    """Whether a `select_and_scatter_add` keeps a when it meets b."""
    return eqn.params["select_prim"].bind(a, b)


def selects_largest(eqn: JaxprEqn) -> bool:
    """Whether a `select_and_scatter_add` selects the largest element, rather than the smallest."""
    return bool(eqn.params["select_prim"].name == "ge")


def fft_rank(eqn: JaxprEqn) -> int:
    """How many axes, the last ones, an `fft` transforms."""
    return len(eqn.params["fft_lengths"])


def slice_sizes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The shape of a `dynamic_slice`."""
    return tuple(eqn.params["slice_sizes"])
