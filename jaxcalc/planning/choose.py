"""Derivatives made ready: in the direction that costs less, and kept for the next call."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod
from typing import Any

import jax
import numpy as np

from jaxcalc.cache.guards import Probe
from jaxcalc.cache.kept import kept, kept_derivative
from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.options import require_complex_fits
from jaxcalc.call.request import NotScalarError, Query, Request
from jaxcalc.call.symbolic import is_symbolic
from jaxcalc.engine.custom_vjp.forward_mode import NoForwardModeError, with_forward_mode
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.jaxprs.directions import REFUSALS
from jaxcalc.engine.jaxprs.equations import programs
from jaxcalc.engine.jaxprs.signatures import IncomparableError
from jaxcalc.engine.linearize.trace import Build, Way, linearize
from jaxcalc.engine.rules.registry import Context, NoStructureError
from jaxcalc.engine.walk.interpret import TooDenseError
from jaxcalc.methods.dense_blocks import refuses
from jaxcalc.methods.once import recording
from jaxcalc.methods.structured import Derivative
from jaxcalc.planning.attempts import Attempt, any_complex, attempts_for
from jaxcalc.planning.traced import Traced, size_of
from jaxcalc.planning.worth import operations
from jaxcalc.results.layout import DtypeFrom, Layout
from jaxcalc.space import Side

_DTYPE_FROM: dict[Way, DtypeFrom] = {"forward": "output", "reverse": "input", "hessian": "output"}
_FEWEST = 4  # inputs, below which dense JAX has no rival
_WORTH_IT = 2_500.0  # nanoseconds that each operation, compiled beside dense JAX's own, must save
_SPARED = 40  # operations that nobody counts
_MUST_SAVE = 0.2  # of the time of any other way, at the least
_SETTLED = 0.3  # of dense JAX's time, where the other direction is not looked at
_ALIKE = 2  # times as many inputs as outputs, or the reverse, up to which it always is


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
        rows_side = self.inputs if d.way == "hessian" else self.outputs
        return Layout(d.rows, d.cols, self.inputs, rows_side, self.dtype_from, d.locate)

    @property
    def work(self) -> float:
        """The estimated nanoseconds of a dense result, its columns shared out among the inputs."""
        d = self.derivative
        is_cut = d.way == "forward" and len(self.inputs.shapes) > 1
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
        dense = sum(1 + sum(map(operations, programs(step.eqn))) for step in d.tangent_program)
        return max(0, operations(d.program) - 3 * dense - _SPARED)


@dataclass(frozen=True)
class Choice:
    """The structured way to a dense derivative, or None where dense JAX costs less.

    It is kept where all that f reads is watched: as a drop-in, a dense derivative must not be that of
    an object as it was.
    """

    prepared: Structured | None
    is_watched: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether it may be used by a later call."""
        return self.prepared is None or (self.prepared.is_kept and self.is_watched)


def prepare(request: Request, kind: Query) -> Structured:
    """The sparse derivative for a call, "jacobian" or "hessian": an earlier one where it fits."""
    prepare_it = _prepare_hessian if kind == "hessian" else _prepare_jacobian
    prepared: Structured = kept_derivative(
        request,
        kind,
        lambda: _like(prepare_it(request), request.like),
        lambda attempt: _signature_by(recording(request), attempt),  # each time f is traced anew
    )
    return prepared


def _like(prepared: Structured, layout: Hashable | None) -> Structured:
    """The derivative with its entries where `layout` has them, if they are the same ones."""
    own = prepared.layout
    if not isinstance(layout, Layout) or own == layout or own.dtype != layout.dtype:
        return prepared
    if not own.has_entries_of(layout):
        return prepared
    derivative = prepared.derivative.in_order(own.permutation_to(layout))
    return replace(prepared, derivative=derivative, given=layout)


def prepare_dense(request: Request, kind: Query) -> Structured | None:
    """The structured way to a dense derivative; None where plain JAX is the better one.

    Raises:
        Exception: of any kind: f cannot be traced, or something failed in the engine.
    """
    choice: Choice = kept(request, f"dense {kind}", partial(_choose_dense, request, kind))
    return choice.prepared


def _prepare_jacobian(request: Request) -> Structured:
    flat = request.flat(request.call.traced)
    try:
        attempts = attempts_for(request, Traced.of(request))
    except UNTRACEABLE as error:
        raise request.untraceable(error) from error
    prepared, failure, refusal = None, None, None
    for attempt in attempts:
        try:
            candidate = prepare_by(request, flat, attempt)
        except TooDenseError as error:
            failure = error
            continue
        except NoForwardModeError:
            if not attempt.transposed_only:
                raise
            continue
        except REFUSALS as error:
            if len(attempts) == 1 or not refuses(request.flat, request.call.traced, attempt.way):
                raise
            refusal = error
            continue
        if prepared is None or candidate.derivative.work < prepared.derivative.work:
            prepared = candidate
        if len(attempts) == 1 or _is_near_optimal(candidate):
            break
    if prepared is None:
        raise _too_dense(request, flat, failure) if refusal is None else refusal
    return prepared


def _is_near_optimal(prepared: Structured) -> bool:
    """Whether the other direction, at its best, could not take many fewer lanes than this one.

    Forward mode carries as many lanes as the fullest row has entries, reverse mode as the fullest
    column.
    """
    layout = prepared.layout
    rows, cols = (int(np.bincount(x, minlength=1).max(initial=0)) for x in (layout.rows, layout.cols))
    mine, other = (cols, rows) if prepared.derivative.way == "reverse" else (rows, cols)
    return mine <= 2 * max(1, other)


def _prepare_hessian(request: Request) -> Structured:
    flat = request.flat(request.call.traced)
    require_complex_fits(flat, request.options, "forward")
    if request.options.mode != "auto":
        raise ValueError(
            f"{request.options.api}: a sparse Hessian is forward over reverse, so "
            f"mode={request.options.mode!r} does not go with format={request.options.format!r}; leave "
            "mode out, or use format='dense'."
        )
    try:
        return prepare_by(request, flat, Attempt("hessian"))
    except UNTRACEABLE as error:
        raise request.untraceable(error) from error
    except TooDenseError as error:
        raise _too_dense(request, flat, error) from None


def _choose_dense(request: Request, kind: Query, probe: Probe) -> Choice:
    leaves = request.flat(request.call.traced).leaves
    is_refused = kind == "hessian" and not request.options.holomorphic and any_complex(leaves)
    if is_refused or is_symbolic(leaves) or size_of(leaves) < _FEWEST:
        return Choice(None)
    trace = Traced.of(request)
    if trace.dense_work(kind) < _WORTH_IT * trace.steps:
        return Choice(None)
    candidates = _candidates(request, kind, trace)
    if not candidates:
        return Choice(None)
    best = min(candidates, key=lambda candidate: candidate.work)
    work, rival = best.work, _as_jax_does(candidates, trace).dense_work
    is_worth_it = rival - work >= max(_MUST_SAVE * rival, _WORTH_IT * best.more_operations)
    if is_worth_it and kind == "jacobian":
        is_worth_it = work <= (1 - _MUST_SAVE) * trace.composed_work(request, best.work_of)
    return Choice(best if is_worth_it else None, probe.is_complete and probe.is_unchanged())


def _candidates(request: Request, kind: Query, trace: Traced) -> list[Structured]:
    """The structured ways to a dense derivative that are worth a look; none where none is possible."""
    flat = trace.flat
    attempts = [Attempt("hessian")] if kind == "hessian" else attempts_for(request, trace)
    n, m = size_of(flat.leaves), size_of(trace.output)
    alike = max(n, m) <= _ALIKE * min(n, m)
    found: list[Structured] = []
    for attempt in attempts:
        try:
            candidate = prepare_by(request, flat, attempt, is_dense=True)
        except (TooDenseError, NoForwardModeError, NoStructureError, NotScalarError):
            continue
        except REFUSALS:
            if not refuses(request.flat, request.call.traced, attempt.way):
                raise
            continue
        found.append(candidate)
        if not alike and candidate.derivative.work < _SETTLED * candidate.dense_work:
            break
    return found


def _as_jax_does(candidates: Sequence[Structured], trace: Traced) -> Structured:
    """The candidate of the direction that dense JAX would go."""
    return next((c for c in candidates if c.derivative.way == trace.cheaper), candidates[0])


def prepare_by(
    request: Request, flat: FlatMap, attempt: Attempt, *, is_dense: bool = False
) -> Structured:
    """A derivative made ready in one given way.

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
        attempt.way,
        context,
        holomorphic=options.holomorphic,
        is_dense=is_dense,
    )
    outputs = jax.tree.unflatten(found["treedef"], derivative.outputs)
    dtype_from = _DTYPE_FROM[attempt.way]
    if options.mode == "auto" and not any_complex(flat.leaves):
        dtype_from = "output"  # as `jax.jacfwd` has it, whichever direction is taken
    return Structured(derivative, Side.of(flat.chosen.primal), Side.of(outputs), attempt, dtype_from)


def _signature_by(request: Request, attempt: Attempt) -> Hashable | None:
    """What the derivative of f as it is now computes in a given way; None where it cannot be told."""
    options, context = request.options, Context(request.options.api, request.options.strict)
    found: dict[str, Any] = {}
    build = _build(request, attempt, context, found)
    try:
        traced = linearize(
            build,
            request.call.traced,
            attempt.way,
            holomorphic=options.holomorphic,
            context=context,
        )
        return traced.signature, found["treedef"]
    except (IncomparableError, TypeError, ValueError, NotImplementedError):
        return None  # this way is closed by now, and another may be open


def _build(request: Request, attempt: Attempt, context: Context, found: dict[str, Any]) -> Build:
    """Makes the flat function that is linearized; the structure of its output is put into `found`."""

    def build(traced: Sequence[Any]) -> Any:
        inner = request.flat(traced)

        def call(leaves: Sequence[Any]) -> tuple[Sequence[Any], Any]:
            output, aux = request.evaluate(inner, leaves)
            if attempt.way == "hessian":
                request.require_scalar(inner, output)
            found["treedef"] = inner.treedef
            return output, aux

        if request.options.mode == "auto" and attempt.way != "forward":
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


def _too_dense(request: Request, flat: FlatMap, error: Exception | None) -> Exception:
    size = sum(prod(shape) for shape in flat.shapes)
    return ValueError(
        f"{request.options.api}: the derivative with respect to {size} input elements is too dense to "
        f"be stored with its structure: {error}. "
        "Use format='dense', or a product with a vector (jax.jvp, jax.vjp)."
    )
