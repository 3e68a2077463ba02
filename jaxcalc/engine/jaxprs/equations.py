"""What the walks read of an equation: the module that knows the layouts of JAX's `eqn.params`.

Where versions of JAX differ, the layout is told by the params that are there. A JAX that renames one
raises `params.UnknownLayoutError` here. The contract tests in `tests/engine/test_equations.py` pin
every layout that is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import NoneType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import sparse_products
from jaxcalc.engine.jaxprs.params import (
    UnknownLayoutError,
    arguments,
    changed,
    closed,
    has_param,
    param,
    part,
    program,
)
from jaxcalc.engine.jaxprs.traits import values
from jaxcalc.engine.jaxprs.varying import as_typed

CALLS = values("calls")  # what only runs another program, and the parameter that holds it

_OF_SOLVE = ("matvec", "vecmat", "solve", "transpose_solve")  # the programs of a linear solve

_PLACED_CALLS = values("calls_at")


def bind(eqn: JaxprEqn, operands: Sequence[Any], *, known: bool = False) -> list[Any]:
    """Evaluate one equation, of known operands or of any; always a list of outputs."""
    if not known:
        operands = [as_typed(v.aval, x) for v, x in zip(eqn.invars, operands, strict=True)]
    bound: Any = eqn.primitive.get_bind_params(arguments(eqn))
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a pair in JAX 0.9.0
    with eqn.ctx.manager:
        outputs = eqn.primitive.bind(*functions, *operands, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def is_inexact(aval: Any) -> bool:
    """Whether an abstract value is a real or complex array."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))


def holds_state(aval: Any) -> bool:
    """Whether an abstract value is a place to write to, or of a type of its own that may hold one."""
    if not isinstance(aval, jax.core.ShapedArray):
        return True
    extended, key = jax.dtypes.extended, jax.dtypes.prng_key
    return jnp.issubdtype(aval.dtype, extended) and not jnp.issubdtype(aval.dtype, key)


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
    holder = CALLS.get(eqn.primitive.name)
    return None if holder is None else program(eqn, holder)


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
            return LinearMap(program(eqn, "call_jaxpr"), everything)
        case "linear_call":
            return LinearMap(program(eqn, "callee"), everything)
        case "custom_linear_solve":
            count = {name: part(eqn, "const_lengths", name, int) for name in _OF_SOLVE}
            start = count["matvec"] + count["vecmat"]
            right_side = range(sum(count.values()), len(eqn.invars))
            solver = closed(part(eqn, "jaxprs", "solve", ClosedJaxpr, Jaxpr))
            return LinearMap(solver, [*range(start, start + count["solve"]), *right_side])
        case name if name in _PLACED_CALLS:
            return LinearMap(program(eqn, _PLACED_CALLS[name]), everything)
        case name if name in sparse_products.SPARSE:
            made = sparse_products.as_program(eqn)
            return None if made is None else LinearMap(made, everything)
    return None


def new_dtype(eqn: JaxprEqn) -> Any:
    """The dtype that a `convert_element_type` makes."""
    return param(eqn, "new_dtype")


def iota(eqn: JaxprEqn) -> tuple[tuple[int, ...], int]:
    """The shape of an `iota`, and the dimension along which it counts."""
    return param(eqn, "shape", tuple), param(eqn, "dimension", int)


def broadcast_in_dim(eqn: JaxprEqn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of the result, and the axis of the result that each axis of the operand becomes."""
    return param(eqn, "shape", tuple), param(eqn, "broadcast_dimensions", tuple)


def slices(eqn: JaxprEqn) -> list[tuple[int, int, int]]:
    """Start, limit and stride along each axis of a `slice`."""
    starts, limits = param(eqn, "start_indices", tuple), param(eqn, "limit_indices", tuple)
    strides = param(eqn, "strides", tuple, NoneType) or (1,) * len(starts)
    return list(zip(starts, limits, strides, strict=True))


def reshape_order(eqn: JaxprEqn) -> tuple[int, ...] | None:
    """The permutation of the axes that a `reshape` begins with, or None."""
    order = param(eqn, "dimensions", tuple, NoneType)
    return None if order is None else tuple(order)


def permutation(eqn: JaxprEqn) -> tuple[int, ...]:
    """The permutation of a `transpose`."""
    return tuple(param(eqn, "permutation", tuple))


def dimensions(eqn: JaxprEqn) -> tuple[int, ...]:
    """The axes of a `rev`, `squeeze` or `expand_dims`."""
    return tuple(param(eqn, "dimensions", tuple))


def dimension(eqn: JaxprEqn) -> int:
    """The axis of a `concatenate`."""
    return int(param(eqn, "dimension", int))


def axis(eqn: JaxprEqn) -> int:
    """The axis of a `stack`, a `split` or a cumulative sum."""
    return int(param(eqn, "axis", int))


def is_reversed(eqn: JaxprEqn) -> bool:
    """Whether a cumulative sum runs from the end."""
    return bool(param(eqn, "reverse", bool))


def axes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The axes of a `reduce_sum`."""
    return tuple(param(eqn, "axes", tuple))


def sizes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The sizes of the parts of a `split`."""
    return tuple(param(eqn, "sizes", tuple))


def repeats(eqn: JaxprEqn) -> tuple[int, ...]:
    """How often a `tile` repeats each axis."""
    return tuple(param(eqn, "reps", tuple))


def padding(eqn: JaxprEqn) -> tuple[tuple[int, int, int], ...]:
    """Low, high and interior padding of each axis of a `pad`."""
    return tuple(param(eqn, "padding_config", tuple))


class Scan(NamedTuple):
    """The parts of a scan."""

    body: ClosedJaxpr
    consts: int
    carry: int
    options: dict[str, Any]


def scan(eqn: JaxprEqn) -> Scan:
    """Read a scan's params."""
    body = program(eqn, "jaxpr")
    options = {name: param(eqn, name) for name in ("length", "reverse", "unroll")}
    if has_param(eqn, "ft_in"):  # JAX 0.11: the operands in groups of constants, carry and slices
        groups = part(eqn, "ft_in", "unpack")()
    else:
        groups = [range(param(eqn, name, int)) for name in ("num_consts", "num_carry")]
    consts, carry = (len(group) for group in groups[:2])
    if len(body.in_avals) != len(eqn.invars) or consts + carry > len(eqn.invars):
        raise UnknownLayoutError(eqn, "Its body does not take what it is given")
    return Scan(body, consts, carry, options)


class While(NamedTuple):
    """The parts of a while loop."""

    condition: ClosedJaxpr
    condition_consts: int
    body: ClosedJaxpr
    body_consts: int


def while_loop(eqn: JaxprEqn) -> While:
    """Read a while loop's params."""
    condition, body = program(eqn, "cond_jaxpr"), program(eqn, "body_jaxpr")
    return While(condition, param(eqn, "cond_nconsts", int), body, param(eqn, "body_nconsts", int))


def branches(eqn: JaxprEqn) -> Sequence[ClosedJaxpr]:
    """The branches of a cond."""
    return [closed(branch) for branch in param(eqn, "branches", tuple)]


def programs(eqn: JaxprEqn) -> list[Jaxpr]:
    """Every program in an equation's params, whatever the primitive does with it."""
    found: list[Jaxpr] = []
    for value in arguments(eqn).values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, ClosedJaxpr):
                found.append(item.jaxpr)
            elif isinstance(item, Jaxpr):
                found.append(item)
    return found


# how a call is differentiated, or what of it is kept meanwhile: not what it computes
_ASIDE = frozenset({"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees", "policy"})


def parameters(eqn: JaxprEqn) -> dict[str, Any]:
    """All that decides what an equation computes when it runs."""
    return {name: value for name, value in arguments(eqn).items() if name not in _ASIDE}


def kept_bits(eqn: JaxprEqn) -> int:
    """The bits of mantissa that a `reduce_precision` keeps."""
    return int(param(eqn, "mantissa_bits", int))


def label(eqn: JaxprEqn) -> str:
    """What a `jax.ad_checkpoint.checkpoint_name` calls its operand."""
    return str(param(eqn, "name", str))


def count(jaxpr: Jaxpr) -> int:
    """How many equations a program has, those of the programs inside it included."""
    return sum(1 + sum(count(inner) for inner in programs(eqn)) for eqn in jaxpr.eqns)


class LinearSolve(NamedTuple):
    """The matrix of a `custom_linear_solve`, as a program, and which operands are what.

    Attributes:
        matvec: the program.
        place: its constants among the operands.
        right: the right side among the operands; there are as many solutions, and after them comes aux.
    """

    matvec: ClosedJaxpr
    place: slice
    right: slice


def linear_solve(eqn: JaxprEqn) -> LinearSolve:
    """Read the params of a `custom_linear_solve`."""
    matvec = closed(part(eqn, "jaxprs", "matvec", ClosedJaxpr, Jaxpr))
    lengths = param(eqn, "const_lengths", tuple)
    first = part(eqn, "const_lengths", "matvec", int)
    return LinearSolve(matvec, slice(0, first), slice(sum(lengths), len(eqn.invars)))


class TriangularSolve(NamedTuple):
    """How a `triangular_solve` reads its matrix."""

    left_side: bool
    lower: bool
    transpose_a: bool
    conjugate_a: bool
    unit_diagonal: bool


def triangular_solve(eqn: JaxprEqn) -> TriangularSolve:
    """Read the params of a `triangular_solve`."""
    return TriangularSolve(*(param(eqn, name, bool) for name in TriangularSolve._fields))


class DotGeneral(NamedTuple):
    """The axes of a `dot_general`: contracted and batch axes of the left and of the right operand."""

    contracted: tuple[tuple[int, ...], tuple[int, ...]]
    batch: tuple[tuple[int, ...], tuple[int, ...]]
    options: dict[str, Any]


def dot_general(eqn: JaxprEqn) -> DotGeneral:
    """Read a matrix product's params."""
    (left, right), (left_batch, right_batch) = param(eqn, "dimension_numbers", tuple)
    options = {name: param(eqn, name) for name in ("precision", "preferred_element_type")}
    return DotGeneral((tuple(left), tuple(right)), (tuple(left_batch), tuple(right_batch)), options)


def kernel_size(eqn: JaxprEqn) -> int:
    """How many products a convolution adds up for each element of its result."""
    kernel = part(eqn, "dimension_numbers", "rhs_spec", tuple)
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
    specs = [part(eqn, "dimension_numbers", name, tuple) for name in Convolution._fields[:3]]
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation")
    windows = [tuple(param(eqn, name, tuple)) for name in names]
    groups = [param(eqn, name, int) for name in ("feature_group_count", "batch_group_count")]
    options = {name: param(eqn, name) for name in ("precision", "preferred_element_type")}
    return Convolution(*(*specs, *windows, *groups, options))


def fft_rank(eqn: JaxprEqn) -> int:
    """How many axes, the last ones, an `fft` transforms."""
    return len(param(eqn, "fft_lengths", tuple))


def of_tangents(eqn: JaxprEqn) -> JaxprEqn:
    """What a linear equation does to tangents: where a `gather` fills in a number, theirs is zero."""
    if eqn.primitive.name != "gather":
        return eqn
    return changed(eqn, fill_value=0)


def slice_sizes(eqn: JaxprEqn) -> tuple[int, ...]:
    """The shape of a `dynamic_slice`."""
    return tuple(param(eqn, "slice_sizes", tuple))
