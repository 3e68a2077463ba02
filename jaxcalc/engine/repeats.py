"""What a program computes more than once, when XLA has fused it.

XLA on CPU makes a loop of each result, in which everything that the result is made of is computed, up
to operations that end a fusion, such as a matrix product. What two results have in common is computed
in both loops, and what a loop reads at several places, as through slices, is computed for each of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from math import prod
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal

from jaxcalc.engine.equations import called

# rough nanoseconds for an element, where a sum or a product takes none worth counting
_COST = {
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "atan2"), 12.0),
    **dict.fromkeys(("pow", "lgamma", "digamma", "erf_inv", "bessel_i0e", "bessel_i1e"), 12.0),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log1p", "erf", "erfc", "sinh", "cosh"), 3.0),
    **dict.fromkeys(("tanh", "logistic", "cbrt", "asinh", "acosh", "atanh"), 3.0),
    **dict.fromkeys(("sqrt", "rsqrt", "div"), 1.0),
}
_WAYS = 64  # that are told apart

# of elements to other places, though the shape may stay
_MOVING = frozenset({"rev", "transpose", "gather", "dynamic_slice"})

# what ends a fusion, so that its operands are computed once whatever follows
_UNFUSED = frozenset(
    {
        "dot_general", "conv_general_dilated", "scatter", "scatter-add", "sort", "fft",
        "triangular_solve", "custom_linear_solve", "while", "scan", "cond", "cumsum", "cholesky",
        "lu", "eigh", "svd", "qr", "reduce_window_sum", "select_and_scatter_add",
        "select_and_gather_add", "custom_jvp_call", "custom_vjp_call", "dynamic_update_slice",
    }
)  # fmt: skip


Reads = dict[int, float]  # how many elements are computed, by each way in which they are read


def repeated_time(jaxpr: Jaxpr) -> float:
    """The nanoseconds that go into computing elements a second time, and a third ..."""
    reading = _Reading()
    reading.walk(jaxpr, [reading.anew(size_of(v)) for v in jaxpr.outvars])
    return reading.repeated


def size_of(v: Any) -> int:
    """The number of elements of a variable."""
    return prod(v.aval.shape)


class _Reading:
    """A walk from results to inputs, which counts how often each element is read.

    Within a loop, elements are computed once for each *way* in which they are read. Sums and products
    read their operands at the places of their own elements, which is no new way; a slice is one.

    Attributes:
        repeated: the nanoseconds found so far.
    """

    def __init__(self) -> None:
        self.repeated = 0.0
        self._ways = count()

    def anew(self, elements: float) -> Reads:
        """So many elements, in a way of their own."""
        return {next(self._ways): elements}

    def walk(self, jaxpr: Jaxpr, results: Sequence[Reads]) -> list[Reads]:
        """How the inputs of a program are read, whose results are read so."""
        uses: defaultdict[Any, Reads] = defaultdict(dict)

        def add(variables: Sequence[Any], found: Sequence[Reads]) -> None:
            for v, reads in zip(variables, found, strict=True):
                if not isinstance(v, Literal):
                    uses[v].update(reads)

        add(jaxpr.outvars, results)
        for eqn in reversed(jaxpr.eqns):
            outputs = [uses[v] for v in eqn.outvars]
            program = called(eqn) if any(outputs) else None
            if program is not None:
                add(eqn.invars, self.walk(program.jaxpr, outputs))
            elif any(outputs):
                add(eqn.invars, self._operands(eqn, outputs))
        return [uses[v] for v in jaxpr.invars]

    def _operands(self, eqn: JaxprEqn, outputs: Sequence[Reads]) -> list[Reads]:
        """How the operands of an equation are read, whose results are read so."""
        reads = {way: elements for each in outputs for way, elements in each.items()}
        elements, size = sum(reads.values()), size_of(eqn.outvars[0])
        self.repeated += _COST.get(eqn.primitive.name, 0.0) * max(0.0, elements - size)
        if len(reads) > _WAYS:
            reads = self.anew(elements)
        return [self._operand(eqn, place, reads) for place in range(len(eqn.invars))]

    def _operand(self, eqn: JaxprEqn, place: int, reads: Reads) -> Reads:
        v, size = eqn.invars[place], size_of(eqn.outvars[0])
        if _is_kept(eqn, place):
            return self.anew(size_of(v))
        if _is_read_in_place(eqn, v):
            return reads
        share = size_of(v) / max(1, size) if _takes_parts(eqn) else 1.0
        return {next(self._ways): share * elements for elements in reads.values()}


def _is_kept(eqn: JaxprEqn, place: int) -> bool:
    """Whether an operand is computed once, and read from memory."""
    name = eqn.primitive.name
    if name in _UNFUSED:
        return True
    if name == "gather":
        return place > 0
    # what is expensive is not fused into what reads it again and again
    is_spread = size_of(eqn.outvars[0]) > size_of(eqn.invars[place])
    return is_spread and not _takes_parts(eqn)


def _is_read_in_place(eqn: Any, v: Any) -> bool:
    """Whether each element of the result is made of the element of v at the same place."""
    longer = [[d for d in x.aval.shape if d != 1] for x in (v, eqn.outvars[0])]
    return longer[0] == longer[1] and eqn.primitive.name not in _MOVING


def _takes_parts(eqn: JaxprEqn) -> bool:
    """Whether all elements of the result together read each element of an operand once."""
    return eqn.primitive.name in {"concatenate", "pad"} or eqn.primitive.name.startswith("reduce")
