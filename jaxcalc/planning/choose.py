"""The one decision: which method a derivative takes.

A sparse derivative goes through its structure, in the direction that costs less and within the memory
that it may take. A dense one goes through its structure where that is worth compiling it, and else
through JAX's own transformations, in the order of `dense_methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TypeVar

import numpy as np

from jaxcalc.cache.guards import Probe
from jaxcalc.cache.kept import kept, kept_derivative
from jaxcalc.call.arguments import function_name
from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.memory import available_bytes, default_limit, in_words
from jaxcalc.call.options import Direction, Mode, require_complex_fits, require_reverse_fits
from jaxcalc.call.request import NotScalarError, Query, Request
from jaxcalc.call.symbolic import is_symbolic
from jaxcalc.engine.custom_vjp.forward_mode import NoForwardModeError
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.directions import directions_allowed
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.engine.rules.registry import NoStructureError
from jaxcalc.engine.walk.interpret import TooDenseError
from jaxcalc.heuristics import heuristics, prices
from jaxcalc.methods.base import Impossible, Prepared
from jaxcalc.methods.batch_size import require_fitting_result, surely_fits
from jaxcalc.methods.composite import product_of_parts
from jaxcalc.methods.dense import Dense
from jaxcalc.methods.dense_blocks import cheaper_direction, jacobian_blocks, refuses
from jaxcalc.methods.diagonal import Diagonal
from jaxcalc.methods.directions import hessian_directions, is_far_cheaper_forward, trace
from jaxcalc.methods.failures import reason
from jaxcalc.methods.mixed import in_both_directions
from jaxcalc.methods.once import recording
from jaxcalc.methods.problem import DirectProblem, Problem, any_complex, size_of
from jaxcalc.methods.structured import Attempt, Structured, prepare_by, signature_by
from jaxcalc.planning import worth

Found = TypeVar("Found")
# methods that are put together of JAX's transformations: the first that is one for the problem is taken
COMPOSED: tuple[Callable[[DirectProblem], Prepared | None], ...] = (
    product_of_parts,
    in_both_directions,
)
_BOTH: tuple[Direction, Direction] = ("forward", "reverse")
_HESSIANS: tuple[tuple[Direction, Direction], ...] = (
    ("forward", "reverse"),
    ("forward", "forward"),
    ("reverse", "reverse"),
)


@dataclass(frozen=True)
class Choice:
    """The structured method for a dense derivative, or None where dense JAX costs less.

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
        lambda: prepare_it(request).in_order_of(request.like),
        lambda attempt: signature_by(recording(request), attempt),  # each time f is traced anew
    )
    return prepared


def prepare_dense(request: Request, kind: Query) -> Structured | None:
    """The structured method for a dense derivative; None where plain JAX is asked for, or better.

    Raises:
        Exception: of any kind: f cannot be traced, or something failed in the engine.
    """
    if request.options.mode != "auto" or request.options.progress:
        return None
    choice: Choice = kept(request, f"dense {kind}", partial(_choose_dense, request, kind))
    prepared, limit = choice.prepared, request.options.memory_limit
    if prepared is None or limit is None or peak_bytes(prepared.derivative.program) <= limit:
        return prepared
    return None


def attempts_for(problem: Problem) -> list[Attempt]:
    """The directions to try for a structured derivative, the one with fewer seeds first."""
    options = problem.options
    if problem.kind == "hessian":
        return [Attempt("hessian")]
    flat, output, allowed = problem.flat, problem.output, problem.allowed
    forward = Attempt("forward", "forward" not in allowed, has_reverse="reverse" in allowed)
    reverse = Attempt("reverse")
    if options.mode != "auto":
        require_complex_fits(flat, options, options.mode)
        return [forward if options.mode == "forward" else reverse]
    complex_in, complex_out = (
        not options.holomorphic and any_complex(x) for x in (flat.leaves, output)
    )
    # of a complex input only reverse mode is defined, of a complex output only forward mode
    can_forward, can_reverse = not complex_in, "reverse" in allowed and not complex_out
    if not (can_forward or can_reverse):
        raise _no_direction(problem.request)
    if not can_reverse:
        return [forward]
    if not can_forward:
        return [reverse]
    if forward.replaces:
        forward = forward._replace(transposed_only=True)
        is_first = is_far_cheaper_forward(flat.leaves, output, options)
    else:
        is_first = size_of(flat.leaves) <= heuristics().forward_advantage * size_of(output)
    return [forward, reverse] if is_first else [reverse, forward]


def _no_direction(request: Request) -> TypeError:
    return TypeError(
        f"{request.options.api}: {function_name(request.f)} can be differentiated in neither "
        "direction: reverse mode needs real outputs and no loop of unknown length (use lax.scan), "
        "forward mode real inputs. Set holomorphic=True if it is holomorphic."
    )


def prepare_within(request: Request, kind: Query, *, with_value: bool) -> Structured:
    """The cheapest sparse derivative for a call whose workspace stays within the limit.

    All lanes at once if that fits, or all products with colored vectors, or in the other direction;
    else as many products at a time as fit. Without a limit, a workspace in proportion to the result is
    fine, up to all memory.

    Raises:
        ValueError: a limit is given, and nothing stays within it.
    """
    prepared = prepare(request, kind)
    if kind == "jacobian":
        require_reverse_fits(request.options, prepared.outputs.dtypes)
    limit = request.options.memory_limit
    compressed = promising_compression(prepared)
    if compressed is not None and _with_compiling(compressed) >= _with_compiling(prepared):
        compressed = None
    if limit is None and compressed is None and surely_fits(prepared.layout.nnz):
        return prepared
    allowed = available_bytes() if limit is None else limit
    at_once = [prepared] if compressed is None else [compressed, prepared]
    for method in at_once:
        if method.workspace(with_value=with_value) <= allowed:
            return method
    methods = [prepared.within(allowed), *_other_direction(request, prepared, kind)]
    fitting = [m for m in methods if m.workspace(with_value=with_value) <= allowed]
    if fitting:
        return min(fitting, key=lambda method: method.derivative.work)
    methods.append(prepared)
    least = min(methods, key=lambda method: method.workspace(with_value=with_value))
    if limit is None:
        return least
    needed = least.workspace(with_value=with_value)
    raise ValueError(
        f"{request.options.api}: memory_limit={limit} ({in_words(limit)}) is less than the workspace "
        f"that format={request.options.format!r} takes here, about {in_words(needed)} at the least."
    )


def promising_compression(prepared: Structured) -> Structured | None:
    """Products with colored vectors, where they might run and compile in less time than the walk."""
    derivative, h = prepared.derivative, heuristics()
    if derivative.operations < h.fewest_walked_operations or prepared.layout.nnz > h.most_colored:
        return None
    # with the fewest colors that there can be; no coloring is needed to see that it is too much
    least = prepared.work_of(derivative.fewest_products)
    least += prices().compiling * len(derivative.tangent_program)
    return prepared.compressed if least < _with_compiling(prepared) else None


def _with_compiling(prepared: Structured) -> float:
    """The estimated nanoseconds, with a share of the time that compiling takes."""
    return prepared.derivative.work + prices().compiling * prepared.derivative.operations


def _other_direction(request: Request, prepared: Structured, kind: Query) -> list[Structured]:
    """The structured method in the direction that was not taken, where the choice is free."""
    if kind == "hessian" or request.options.mode != "auto":
        return []
    mode: Mode = "reverse" if prepared.derivative.linear_map == "forward" else "forward"
    turned = replace(request, options=replace(request.options, mode=mode))
    try:
        return [prepare(turned, kind)]
    except REFUSALS:  # it has none, or is too dense there
        return []


def _prepare_jacobian(request: Request) -> Structured:
    problem = Problem(request, "jacobian")
    try:
        attempts = attempts_for(problem)
    except UNTRACEABLE as error:
        raise request.untraceable(error) from error
    prepared, errors = None, list[Exception]()
    for attempt in attempts:
        candidate = attempted(problem, attempt, is_dense=False)
        if isinstance(candidate, Impossible):
            errors.append(_left_out(candidate, attempt))
            continue
        if prepared is None or candidate.derivative.work < prepared.derivative.work:
            prepared = candidate
        if len(attempts) == 1 or _is_near_optimal(candidate):
            break
    if prepared is None:
        raise _of_all(problem, errors)
    return prepared


def _left_out(candidate: Impossible, attempt: Attempt) -> Exception:
    """Why a sparse derivative takes the other direction; raises what that one would not cure."""
    error = candidate.error
    assert error is not None
    if isinstance(error, NoStructureError):
        raise error
    if isinstance(error, NoForwardModeError) and not attempt.transposed_only:
        raise error
    return error


def _of_all(problem: Problem, errors: Sequence[Exception]) -> Exception:
    """The error of a derivative that goes in no direction."""
    known = TooDenseError, NoForwardModeError
    refusals = [error for error in errors if not isinstance(error, known)]
    too_dense = [error for error in errors if isinstance(error, TooDenseError)]
    return refusals[-1] if refusals else _too_dense(problem.flat, too_dense[-1])


def attempted(problem: Problem, attempt: Attempt, *, is_dense: bool) -> Structured | Impossible:
    """A derivative through its structure, or why there is none.

    Raises:
        ConcretizationTypeError and its kin: f needs concrete values.
        Exception: what goes wrong in the engine, where JAX has a derivative.
    """
    request, name = problem.request, f"structured, {attempt.linear_map}"
    try:
        return prepare_by(request, problem.flat, attempt, is_dense=is_dense)
    except UNTRACEABLE:
        raise
    except (TooDenseError, NoForwardModeError, NoStructureError, NotScalarError) as error:
        return Impossible(name, reason(error), error)
    except REFUSALS as error:
        if not refuses(request.flat, request.call.traced, attempt.linear_map):
            raise
        return Impossible(name, reason(error), error)


def _is_near_optimal(prepared: Structured) -> bool:
    """Whether the other direction, at its best, could not take many fewer lanes than this one.

    Forward mode carries as many lanes as the fullest row has entries, reverse mode as the fullest
    column.
    """
    layout = prepared.layout
    rows, cols = (int(np.bincount(x, minlength=1).max(initial=0)) for x in (layout.rows, layout.cols))
    mine, other = (cols, rows) if prepared.derivative.linear_map == "reverse" else (rows, cols)
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
        raise _too_dense(flat, error) from None


def _choose_dense(request: Request, kind: Query, probe: Probe) -> Choice:
    leaves = request.flat(request.call.traced).leaves
    is_refused = kind == "hessian" and not request.options.holomorphic and any_complex(leaves)
    if is_refused or is_symbolic(leaves) or size_of(leaves) < heuristics().fewest_inputs:
        return Choice(None)
    problem = Problem(request, kind)
    if not worth.may_pay(problem, prices().compiling):
        return Choice(None)
    candidates = _candidates(problem)
    if not candidates:
        return Choice(None)
    best = min(candidates, key=lambda candidate: candidate.work)
    work, rival = best.work, _as_jax_does(candidates, problem).dense_work
    must_save = heuristics().must_save
    is_worth_it = rival - work >= max(must_save * rival, prices().compiling * best.more_operations)
    if is_worth_it and kind == "jacobian":
        is_worth_it = work <= (1 - must_save) * worth.composed_work(problem, best.work_of)
    return Choice(best if is_worth_it else None, probe.is_complete and probe.is_unchanged())


def _candidates(problem: Problem) -> list[Structured]:
    """The structured methods for a dense derivative that are worth a look; none may be possible."""
    n, m = size_of(problem.leaves), size_of(problem.output)
    alike = max(n, m) <= heuristics().alike * min(n, m)
    found: list[Structured] = []
    for attempt in attempts_for(problem):
        candidate = attempted(problem, attempt, is_dense=True)
        if isinstance(candidate, Impossible):
            continue
        found.append(candidate)
        if not alike and candidate.derivative.work < heuristics().settled * candidate.dense_work:
            break
    return found


def _as_jax_does(candidates: Sequence[Structured], problem: Problem) -> Structured:
    """The candidate of the direction that dense JAX would go."""
    cheaper = _cheaper(problem)
    return next((c for c in candidates if c.derivative.linear_map == cheaper), candidates[0])


def _cheaper(problem: Problem) -> Direction:
    """The direction that a dense Jacobian goes where both are allowed."""
    return cheaper_direction(problem.leaves, problem.output, rather_reverse=problem.rather_reverse)


def _too_dense(flat: FlatMap, error: Exception) -> Exception:
    size = sum(prod(shape) for shape in flat.shapes)
    return ValueError(
        f"{flat.chosen.api}: the derivative with respect to {size} input elements is too dense to "
        f"be stored with its structure: {error}. "
        "Use format='dense', or a product with a vector (jax.jvp, jax.vjp)."
    )


def require_fitting(problem: Problem, in_other_formats: Callable[[], str]) -> None:
    """Refuse a dense derivative that does not fit in memory; asked-for directions of Jacobians are not.

    `in_other_formats` says what the sparse formats take.

    Raises:
        ValueError: naming the size and what fits.
    """
    if problem.kind == "jacobian" and problem.options.mode != "auto":
        return
    output = problem.leaves if problem.kind == "hessian" else problem.output
    require_fitting_result(problem.options.api, problem.leaves, output, in_other_formats)


def prepare_diagonal(request: Request, *, with_value: bool) -> Structured | None:
    """The structured method for a diagonal; None where products cost less, or take less memory."""
    options = request.options
    prepared = prepare(replace(request, options=replace(options, format="structured")), "jacobian")
    require_reverse_fits(options, prepared.outputs.dtypes)
    if prepared.derivative.work > heuristics().cheap_diagonal * prepared.dense_work:
        return None
    limit = default_limit() if options.memory_limit is None else options.memory_limit
    alone = replace(prepared, derivative=prepared.derivative.diagonal)
    return prepared if alone.workspace(with_value=with_value or options.has_aux) <= limit else None


def diagonal_methods(problem: DirectProblem) -> list[Diagonal]:
    """The directions of the products that give a diagonal, in the order in which they are tried."""
    options, allowed = problem.options, problem.allowed
    if options.mode != "auto":
        return [Diagonal(problem, options.mode)]
    is_complex = any_complex(problem.leaves) and not options.holomorphic
    is_forward = not is_complex and ("forward" in allowed or "reverse" not in allowed)
    order = _BOTH if is_forward else _BOTH[::-1]
    return [Diagonal(problem, direction) for direction in order]


def dense_methods(problem: DirectProblem) -> list[Prepared]:
    """The methods for a dense derivative, in the order in which they are tried: `first_possible`."""
    mode = problem.options.mode
    if problem.kind == "hessian":
        return _of_hessian(problem)
    if mode != "auto":
        return [Dense(problem, (mode,))]
    allowed, failures = problem.allowed, problem.failures
    if not allowed:
        return [Dense(problem, ("forward",), replaces=True)]
    first: list[Prepared] = []
    if allowed == {"reverse"} and is_far_cheaper_forward(
        problem.leaves, problem.output, problem.options
    ):
        first = [Dense(problem, ("forward",), replaces=True, is_optional=True)]
    elif len(allowed) == 2 and not problem.options.progress:
        composed = failures.prepare(lambda: _composed(problem), None)
        first = [] if composed is None else [composed]
    direction = next(iter(allowed)) if len(allowed) == 1 else _cheaper(problem)
    other: Direction = "reverse" if direction == "forward" else "forward"
    return [*first, Dense(problem, (direction,)), Dense(problem, (other,))]


def first_possible(
    problem: DirectProblem, methods: Sequence[Prepared], act: Callable[[Prepared], Found]
) -> tuple[Prepared, Found]:
    """The first of the methods that turns out to be possible, and what `act` gives for it.

    Raises:
        Exception: what `act` raises for the last one, or what is no refusal of JAX's.
    """
    first, *others = methods
    if not first.is_optional:
        return problem.failures.in_turn(act, methods)
    # while f is traced nothing runs yet, so that whatever fails of what is composed may be left
    may_fail = problem.is_traced and not isinstance(first, Dense)
    try:
        found = problem.failures.prepare(lambda: act(first), None) if may_fail else act(first)
    except NoForwardModeError:
        found = None
    return problem.failures.in_turn(act, others) if found is None else (first, found)


def _composed(problem: DirectProblem) -> Prepared | None:
    """The first of the composed methods that is one for this problem; None where there is none."""
    if problem.options.format != "dense":
        return None
    return next((method for compose in COMPOSED if (method := compose(problem)) is not None), None)


def _of_hessian(problem: DirectProblem) -> list[Prepared]:
    """Forward over reverse where f allows both, as `jax.hessian` has it."""
    mode = problem.options.mode
    if mode != "auto":
        return [Dense(problem, (mode, mode))]
    directions, replaces = hessian_directions(problem.allowed, lambda: _directions_of_gradient(problem))
    if replaces:
        return [Dense(problem, directions, replaces=True)]
    return [Dense(problem, pair) for pair in dict.fromkeys([directions, *_HESSIANS])]


def _directions_of_gradient(problem: DirectProblem) -> set[Direction]:
    def look() -> set[Direction]:
        options, call = problem.options, problem.in_reverse
        program, _ = trace(
            lambda xs: jacobian_blocks(call, xs, "reverse", holomorphic=options.holomorphic)[0],
            problem.leaves,
        )
        return directions_allowed(program.jaxpr, program.jaxpr.invars)

    as_jax_does: set[Direction] = {"forward"}
    return problem.failures.prepare(look, as_jax_does)


def all_dense_methods(
    problem: DirectProblem, in_order: Sequence[Prepared]
) -> list[Prepared | Impossible]:
    """Each of the methods once, and the directions that are not tried, with what forbids them."""
    if problem.kind == "hessian":
        return [in_order[0]]
    methods = {method.name: method for method in reversed(in_order)}
    found: list[Prepared | Impossible] = []
    for direction in _BOTH:
        method = methods.pop(f"dense, {direction}", Dense(problem, (direction,)))
        obstacle = problem.why_not(direction)
        is_made_possible = isinstance(method, Dense) and method.must_replace
        found.append(Impossible(method.name, obstacle) if obstacle and not is_made_possible else method)
    return [*found, *methods.values()]
