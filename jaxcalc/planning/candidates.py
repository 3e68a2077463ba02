"""All methods for a derivative: what each takes, which one `jax.jit` gets, why not another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
from jax.extend.core import Jaxpr

from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.options import Direction
from jaxcalc.call.request import Query, Request
from jaxcalc.call.signature import take_apart
from jaxcalc.engine.jaxprs.branches import Branch, branches
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.walk.interpret import TooDenseError
from jaxcalc.methods.base import Impossible, Part, Prepared
from jaxcalc.methods.composite import Product
from jaxcalc.methods.derivative import Compression, Derivative
from jaxcalc.methods.failures import Failures, reason
from jaxcalc.methods.problem import DirectProblem, Problem
from jaxcalc.methods.structured import Attempt, Structured
from jaxcalc.planning.choose import (
    all_dense_methods,
    attempted,
    attempts_for,
    dense_methods,
    first_possible,
    prepare_dense,
    prepare_within,
    promising_compression,
    require_fitting,
)
from jaxcalc.planning.findings import Line, Method
from jaxcalc.planning.lines import LineCosts


@dataclass(frozen=True)
class Survey:
    """What is known about a derivative before it runs.

    Attributes:
        methods: the chosen one first, impossible ones last.
        known: the structured one whose steps are shown: the chosen one, or the first that is possible;
            None where there is none.
        lines: its steps by line.
        lines_of: its name.
        parts: the pieces of f, where it can be cut at bottlenecks.
        branches: what branches and loops of the chosen method hold.
    """

    methods: Sequence[Method]
    known: Structured | None
    lines: Sequence[Line]
    lines_of: str
    parts: Sequence[Part]
    branches: Sequence[Branch]


def survey(request: Request, kind: Query) -> Survey:
    """Make every method ready, the chosen one once, and say which one is taken.

    Args:
        request: what is asked for; for the dense format, as it runs under `jax.jit`.
        kind: "jacobian" or "hessian".

    Raises:
        ConcretizationTypeError and its kin: f needs concrete values.
        TypeError, ValueError: what `jacobian` or `hessian` raises, where no method is possible.
    """
    if request.options.format != "dense":
        return _survey(request, kind)
    failures = Failures(request.options.api)
    found = failures.prepare(lambda: _survey(request, kind), None)
    if found is not None:
        return found
    if failures.failure is not None and not failures.failed:
        raise failures.failure
    note = f"nothing is known of what it takes: {failures.failed}; please report it"
    name = f"dense, {'forward over reverse' if kind == 'hessian' else 'by JAX alone'}"
    return Survey([Method(name, None, None, None, is_chosen=True, note=note)], None, (), "", (), ())


def _survey(request: Request, kind: Query) -> Survey:
    problem = Problem(request, kind)
    is_dense = request.options.format == "dense"
    if is_dense:
        require_fitting(problem, lambda: "format='structured' explains what its structure takes")
    structured = _structured_methods(problem)
    walks = {name: LineCosts() for name in structured.prepared}
    programs = {name: p.derivative.visit(walks[name]) for name, p in structured.prepared.items()}
    dense = _dense_methods(problem, choose=is_dense and not structured.chosen)
    methods = [_method(name, structured, walks[name]) for name in structured.prepared]
    methods += [m if is_dense else replace(m, note="for format='dense'") for m in dense.methods]
    impossible = structured.reasons | dense.reasons
    shown = structured.chosen or next(iter(structured.prepared), "")
    known = structured.prepared.get(shown)
    found = dense.branches
    if structured.chosen and known is not None:
        found = _branches(known.derivative, walks[shown], programs[shown])
    return Survey(
        [
            *_compared(methods),
            *(Method(name, None, None, None, False, why, False) for name, why in impossible.items()),
        ],
        known,
        walks[shown].lines(known.derivative.seeds) if known is not None else (),
        shown,
        dense.parts,
        tuple(dict.fromkeys(found)),
    )


def _method(name: str, structured: _Structured, costs: LineCosts) -> Method:
    derivative = structured.prepared[name].derivative
    lanes = max(1, costs.most)
    products, block = derivative.compression or Compression(lanes, lanes)
    return Method(
        name,
        products,
        derivative.work,
        _held(structured.prepared[name]),
        name == structured.chosen,
        structured.notes.get(name, ""),
        block=block,
        blocks=-(-products // block),
    )


def _held(prepared: Structured) -> int:
    """The estimated bytes that are compared with `memory_limit`."""
    if prepared.derivative.is_dense:
        return peak_bytes(prepared.derivative.program)
    return prepared.workspace(with_value=False)


def _branches(derivative: Derivative, walk: LineCosts, program: Jaxpr) -> list[Branch]:
    """What branches and loops hold: those of f, and those of the walk or of the products."""
    primal = branches([step.eqn for step in derivative.primal_program], computes="values")
    if derivative.compression is None:
        return [*primal, *walk.branches(program)]
    linear = [step.eqn for step in derivative.tangent_program]
    return [*primal, *branches(linear, computes="tangents", times=derivative.compression.block)]


@dataclass
class _Dense:
    """What was found of the methods through JAX's own transformations.

    Attributes:
        methods: those that are possible, the chosen one marked.
        reasons: for the others, by name, why not.
        parts: the pieces of f, where it has a bottleneck.
        branches: what loops and branches of the chosen method hold.
    """

    methods: list[Method] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    branches: Sequence[Branch] = ()


def _dense_methods(problem: Problem, *, choose: bool) -> _Dense:
    """The dense methods as a call inside of a trace finds them; `choose` marks the one that it takes.

    Raises:
        ValueError: no dense derivative is possible, as `jacobian` and `hessian` say.
    """
    found, request = _Dense(), problem.request

    def look(arrays: Sequence[Any]) -> None:
        args, kwargs = request.call.rebuild(arrays)
        inside = replace(request, call=take_apart(args, kwargs))
        direct = DirectProblem(inside, problem.kind, Failures(request.options.api))
        in_order = dense_methods(direct)
        for method in all_dense_methods(direct, in_order):
            _add(found, method)
        if choose:
            chosen, _ = first_possible(direct, in_order, lambda method: method.figures)
            found.methods = [replace(m, is_chosen=m.name == chosen.name) for m in found.methods]
            found.branches = chosen.branches() if branches(problem.jaxpr.eqns) else ()

    jax.eval_shape(look, request.call.traced)
    return found


def _add(found: _Dense, method: Prepared | Impossible) -> None:
    """Add what a method takes, or why it cannot be taken."""
    if isinstance(method, Impossible):
        found.reasons[method.name] = method.reason
        return
    try:
        products, work, workspace, block, blocks = method.figures
    except REFUSALS as error:  # it has none, or a product does not fit in memory_limit
        found.reasons[method.name] = reason(error)
        return
    found.methods.append(
        Method(method.name, products, work, workspace, note=method.note, block=block, blocks=blocks)
    )
    found.parts = found.parts or method.parts


@dataclass
class _Structured:
    """The structured methods by name: made ready, with a note, or with the reason why there is none."""

    prepared: dict[str, Structured] = field(default_factory=dict)
    chosen: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def _structured_methods(problem: Problem) -> _Structured:
    found, request, kind = _Structured(), problem.request, problem.kind
    is_dense = request.options.format == "dense"
    attempts = attempts_for(problem)
    if is_dense:
        chosen = Failures(request.options.api).prepare(lambda: prepare_dense(request, kind), None)
    else:
        chosen = prepare_within(request, kind, with_value=False)
    for attempt in attempts:
        name = _name(attempt, problem)
        if attempt.replaces:
            rule = named_with_line(problem.forbidden["forward"])
            found.notes[name] = f"{rule} by the transpose of its rule"
        if chosen is not None and chosen.derivative.linear_map == attempt.linear_map:
            is_walk = chosen.derivative.compression is None
            found.chosen = name if is_walk else _compressed(name)
            found.prepared[found.chosen] = chosen
        if found.chosen == name:
            made: Structured | str = found.prepared[name]
        else:
            made = _made(problem, attempt, is_dense=is_dense)
        if not isinstance(made, Structured):
            found.reasons[name] = made
            continue
        found.prepared[name] = made
        compressed = None if is_dense else promising_compression(made)
        if compressed is not None:
            found.prepared.setdefault(_compressed(name), compressed)
    _compare_with_limits(request, found)
    if kind == "jacobian":
        _note_missing(problem, found)
    return found


def _compressed(name: str) -> str:
    return name.replace("structured", "compressed")


def _made(problem: Problem, attempt: Attempt, *, is_dense: bool) -> Structured | str:
    """A derivative through its structure, or why there is none."""
    failures = Failures(problem.options.api)
    made = failures.prepare(lambda: attempted(problem, attempt, is_dense=is_dense), None)
    if isinstance(failures.failure, UNTRACEABLE):
        raise failures.failure
    if isinstance(made, Impossible):
        return f"too dense: {made.reason}" if isinstance(made.error, TooDenseError) else made.reason
    if failures.failure is None:
        assert made is not None
        return made
    if failures.failed:
        return f"{failures.failed}; please report it"
    return reason(failures.failure)


def _name(attempt: Attempt, problem: Problem) -> str:
    if attempt.linear_map != "hessian":
        return f"structured, {attempt.linear_map}"
    return f"structured, forward over {'reverse' if 'reverse' in problem.allowed else 'forward'}"


def _compare_with_limits(request: Request, found: _Structured) -> None:
    """Note what keeps a derivative from going through its structure."""
    options = request.options
    for name, prepared in found.prepared.items():
        if options.format == "dense" and options.mode != "auto":
            found.notes[name] = "for mode='auto'"
        elif options.memory_limit is not None and _held(prepared) > options.memory_limit:
            found.notes[name] = "above memory_limit"


def _note_missing(problem: Problem, found: _Structured) -> None:
    """The reasons for the directions that are not tried."""
    directions: tuple[Direction, ...] = ("forward", "reverse")
    for direction in directions:
        name = f"structured, {direction}"
        if name not in found.prepared and name not in found.reasons:
            why = problem.why_not(direction)
            found.reasons[name] = why or "a complex output has a derivative forward only"


def _compared(methods: Sequence[Method]) -> list[Method]:
    """The chosen method first; others that seem to take less get a note."""
    chosen = next(method for method in methods if method.is_chosen)
    noted = []
    for method in methods:
        is_less = (
            method is not chosen and not method.note and (method.work or 0.0) < (chosen.work or 0.0)
        )
        # parts are looked for where no structured method is taken, colors in the direction of the walk
        is_other = method.name.startswith("compressed") and method.name != _compressed(chosen.name)
        is_left_out = is_other or method.name == Product.name
        why = "not compared with it" if is_left_out else "gains too little"
        if chosen.name == _compressed(method.name):
            why = "takes longer to compile"
        noted.append(replace(method, note=why) if is_less else method)
    return sorted(noted, key=lambda method: not method.is_chosen)
