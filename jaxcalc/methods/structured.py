"""A derivative through its structure, in one given direction: made ready for every call of its kind."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax

from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.memory import default_limit
from jaxcalc.call.request import Request
from jaxcalc.engine.custom_vjp.forward_mode import with_forward_mode
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.equations import programs
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.engine.jaxprs.signatures import IncomparableError
from jaxcalc.engine.linearize.trace import Build, LinearMap, linearize
from jaxcalc.engine.rules.registry import Context
from jaxcalc.heuristics import heuristics
from jaxcalc.methods.batch_size import block_beside
from jaxcalc.methods.derivative import Derivative
from jaxcalc.methods.problem import any_complex, size_of
from jaxcalc.results.layout import DtypeFrom, Layout
from jaxcalc.space import Side

_DTYPE_FROM: dict[LinearMap, DtypeFrom] = {"forward": "output", "reverse": "input", "hessian": "output"}


class Attempt(NamedTuple):
    """A linear map of f that is made a matrix of, and what is done for that.

    Attributes:
        linear_map: forward, reverse or the Hessian's.
        replaces: whether forward mode has to be made for `jax.custom_vjp` functions first.
        has_reverse: whether JAX can differentiate all of f in reverse.
        transposed_only: whether to give up where the Jacobian of such a call had to be materialized.
    """

    linear_map: LinearMap
    replaces: bool = False
    has_reverse: bool = True
    transposed_only: bool = False


@dataclass(frozen=True)
class Structured:
    """A derivative that can run, and the pytrees around it."""

    derivative: Derivative
    inputs: Side
    outputs: Side
    attempt: Attempt
    dtype_from: DtypeFrom
    given: Layout | None = None  # for entries that were put in the order of another derivative's

    def signature(self) -> Hashable:
        """What it computes, equal to `signature_by` for a call that it fits too."""
        return self.derivative.signature, self.outputs.treedef

    @property
    def has_rules(self) -> bool:
        """Whether its program calls functions with derivative rules of their own."""
        return self.derivative.has_rules

    @property
    def is_kept(self) -> bool:
        """Whether it may be used by a later call."""
        return self.derivative.is_pure

    @cached_property
    def layout(self) -> Layout:
        """Where the values of a sparse derivative sit."""
        if self.given is not None:
            return self.given
        d = self.derivative
        rows_side = self.inputs if d.linear_map == "hessian" else self.outputs
        return Layout(d.rows, d.cols, self.inputs, rows_side, self.dtype_from, d.locate)

    @property
    def work(self) -> float:
        """The estimated nanoseconds of a dense result, its columns shared out among the inputs."""
        d = self.derivative
        is_cut = d.linear_map == "forward" and len(self.inputs.shapes) > 1
        return d.work + (cost.copying(d.seeds * size_of(d.outputs)) if is_cut else 0.0)

    @property
    def dense_work(self) -> float:
        """The estimated nanoseconds of dense JAX in this direction: one product for each seed."""
        return self.work_of(self.derivative.seeds)

    def work_of(self, products: int) -> float:
        """The estimated nanoseconds of so many products with a vector at once."""
        steps = [step.eqn for step in self.derivative.tangent_program]
        results = steps[-1].outvars if steps else ()
        return cost.steps_work(steps, results, products)

    @property
    def more_operations(self) -> int:
        """How many operations the compiler has more than for dense JAX."""
        d = self.derivative
        dense = sum(1 + sum(map(cost.operations, programs(step.eqn))) for step in d.tangent_program)
        return max(0, cost.operations(d.program) - 3 * dense - heuristics().uncounted_operations)

    @cached_property
    def compressed(self) -> Structured | None:
        """The same entries from products with colored vectors; None where that cannot be.

        A program that is not linear has been applied to such vectors already, where it can be at all.
        """
        if not self.derivative.is_linear:
            return None
        try:
            return replace(self, derivative=self.derivative.compressed(block_beside(default_limit())))
        except REFUSALS:  # a primitive that cannot be batched
            return None

    def within(self, limit: int) -> Structured:
        """Products with colored vectors, as many at a time as fit in so many bytes."""
        return replace(self, derivative=self.derivative.compressed(block_beside(limit)))

    def workspace(self, *, with_value: bool) -> int:
        """The estimated bytes that a run holds at a time, besides its results."""
        return peak_bytes(self.derivative.compiled(with_value=with_value).jaxpr)

    def in_order_of(self, layout: Hashable | None) -> Structured:
        """The same with its entries where `layout` has them, if they are the same ones."""
        own = self.layout
        if not isinstance(layout, Layout) or own == layout or own.dtype != layout.dtype:
            return self
        if not own.has_entries_of(layout):
            return self
        derivative = self.derivative.in_order(own.permutation_to(layout))
        return replace(self, derivative=derivative, given=layout)


def prepare_by(
    request: Request, flat: FlatMap, attempt: Attempt, *, is_dense: bool = False
) -> Structured:
    """A derivative made ready from one given linear map.

    Raises:
        TooDenseError: a value has too many entries.
        NoForwardModeError: a `jax.custom_vjp` call has no forward mode of the kind that was asked for.
        ConcretizationTypeError and its kin: f needs concrete values.
    """
    options = request.options
    context = Context(options.api, options.strict, entry_limit=request.entry_limit)
    found: dict[str, Any] = {}
    derivative = Derivative(
        _build(request, attempt, context, found),
        request.call.traced,
        attempt.linear_map,
        context,
        holomorphic=options.holomorphic,
        is_dense=is_dense,
    )
    outputs = jax.tree.unflatten(found["treedef"], derivative.outputs)
    dtype_from = _DTYPE_FROM[attempt.linear_map]
    if options.mode == "auto" and not any_complex(flat.leaves):
        dtype_from = "output"  # as `jax.jacfwd` has it, whichever direction is taken
    return Structured(derivative, Side.of(flat.chosen.primal), Side.of(outputs), attempt, dtype_from)


def signature_by(request: Request, attempt: Attempt) -> Hashable | None:
    """What such an attempt computes for f as it is now; None where it cannot be told."""
    options, context = request.options, Context(request.options.api, request.options.strict)
    found: dict[str, Any] = {}
    build = _build(request, attempt, context, found)
    try:
        traced = linearize(
            build,
            request.call.traced,
            attempt.linear_map,
            holomorphic=options.holomorphic,
            context=context,
        )
        return traced.signature, found["treedef"]
    except (IncomparableError, TypeError, ValueError, NotImplementedError):
        return None  # this one is not possible by now, and another may be


def _build(request: Request, attempt: Attempt, context: Context, found: dict[str, Any]) -> Build:
    """Makes the flat function that is linearized; the structure of its output is put into `found`."""

    def build(traced: Sequence[Any]) -> Any:
        inner = request.flat(traced)

        def call(leaves: Sequence[Any]) -> tuple[Sequence[Any], Any]:
            output, aux = request.evaluate(inner, leaves)
            if attempt.linear_map == "hessian":
                request.require_scalar(inner, output)
            found["treedef"] = inner.treedef
            return output, aux

        if request.options.mode == "auto" and attempt.linear_map != "forward":
            return without_promises(call), inner.leaves
        if not attempt.replaces:
            return call, inner.leaves
        both_ways = with_forward_mode(
            call,
            context,
            has_reverse=attempt.has_reverse,
            transposed_only=attempt.transposed_only,
        )
        return both_ways, inner.leaves

    return build
