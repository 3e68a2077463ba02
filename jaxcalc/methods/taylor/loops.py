"""Control flow on Taylor series: the body runs on series, with the same number of steps.

A loop's carry has a fixed structure, so which of its derivatives are zero whatever the values is
found first, by abstract evaluation, until it no longer changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.methods.taylor.series import Series, coefficients_of, full, value_of

Evaluate = Callable[[ClosedJaxpr, Sequence[Any], int], list[Any]]
Pattern = tuple[bool, ...] | None  # which derivatives are there; None is a constant
_EXACT_ROUNDS = 2  # rounds before a carry that still grows is taken to have every derivative


def cond(evaluate: Evaluate, eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """`lax.cond` and `lax.switch`: an output moves if it does in some branch."""
    index, arguments = operands[0], operands[1:]
    branches = equations.branches(eqn)
    patterns = [_pattern(x) for x in arguments]
    each = [_output_patterns(evaluate, branch, patterns, order) for branch in branches]
    outputs = [_join_all(found) for found in zip(*each, strict=True)]

    def runner(branch: ClosedJaxpr) -> Callable[[list[Any]], list[Any]]:
        def run(flat: list[Any]) -> list[Any]:
            return _flatten(evaluate(branch, _restore(flat, patterns), order), outputs, order)

        return run

    results = lax.switch(
        index, [runner(branch) for branch in branches], _flatten(arguments, patterns, order)
    )
    return _restore(results, outputs)


def scan(evaluate: Evaluate, eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """`lax.scan`: derivatives travel in the carry; constants keep the zeros that they have."""
    body, consts, carry, options = equations.scan(eqn)
    place = slice(consts, consts + carry)
    patterns, outputs = _fixpoint(evaluate, body, [_pattern(x) for x in operands], place, order)
    outputs = [*patterns[place], *outputs[carry:]]

    def step(state: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        moved = [*_restore(state, patterns[place]), *_restore(xs, patterns[place.stop :])]
        result = _flatten(evaluate(body, [*operands[:consts], *moved], order), outputs, order)
        return result[:carry], result[carry:]

    start = _flatten(operands[place], patterns[place], order)
    xs = _flatten(operands[place.stop :], patterns[place.stop :], order)
    state, ys = lax.scan(step, start, xs, **options)
    return _restore([*state, *ys], outputs)


def while_loop(evaluate: Evaluate, eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """`lax.while_loop`: the condition sees values alone, so the number of steps is f's own."""
    condition, condition_consts, body, body_consts = equations.while_loop(eqn)
    tested = [value_of(x) for x in operands[:condition_consts]]
    rest = operands[condition_consts:]
    place = slice(body_consts, len(rest))
    patterns, _ = _fixpoint(evaluate, body, [_pattern(x) for x in rest], place, order)
    carried = patterns[place]

    def go_on(state: Sequence[Any]) -> Any:
        return evaluate(condition, [*tested, *(value_of(x) for x in _restore(state, carried))], order)[
            0
        ]

    def step(state: Sequence[Any]) -> Sequence[Any]:
        arguments = [*rest[:body_consts], *_restore(state, carried)]
        return _flatten(evaluate(body, arguments, order), carried, order)

    return _restore(lax.while_loop(go_on, step, _flatten(rest[place], carried, order)), carried)


def _pattern(x: Any) -> Pattern:
    return tuple(c is not None for c in x.coefficients) if isinstance(x, Series) else None


def _join(a: Pattern, b: Pattern) -> Pattern:
    if a is None or b is None:
        return a or b
    return tuple(x or y for x, y in zip(a, b, strict=True))


def _join_all(patterns: Sequence[Pattern]) -> Pattern:
    joined: Pattern = None
    for pattern in patterns:
        joined = _join(joined, pattern)
    return joined


def _flatten(values: Sequence[Any], patterns: Sequence[Pattern], order: int) -> list[Any]:
    """Arrays for a carry: a series is the list of the derivatives that its pattern has."""
    return [
        value_of(x)
        if pattern is None
        else [
            full(c, value_of(x)) for c, on in zip(coefficients_of(x, order), pattern, strict=True) if on
        ]
        for x, pattern in zip(values, patterns, strict=True)
    ]


def _restore(values: Sequence[Any], patterns: Sequence[Pattern]) -> list[Any]:
    def restored(x: Any, pattern: Pattern) -> Any:
        if pattern is None:
            return x
        remaining = iter(x)
        return Series(tuple(next(remaining) if on else None for on in pattern))

    return [restored(x, pattern) for x, pattern in zip(values, patterns, strict=True)]


def _output_patterns(
    evaluate: Evaluate, program: ClosedJaxpr, patterns: Sequence[Pattern], order: int
) -> list[Pattern]:
    """The patterns of a program's outputs when its inputs have these, by abstract evaluation."""
    found: list[Pattern] = []

    def run(arguments: list[Any]) -> list[Any]:
        outputs = evaluate(program, _restore(arguments, patterns), order)
        found[:] = [_pattern(x) for x in outputs]
        return [value_of(x) for x in outputs]

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in program.jaxpr.invars]
    jax.eval_shape(
        run,
        [s if p is None else [s] * sum(p) for s, p in zip(shapes, patterns, strict=True)],
    )
    return found


def _fixpoint(
    evaluate: Evaluate, body: ClosedJaxpr, patterns: list[Pattern], carry: slice, order: int
) -> tuple[list[Pattern], list[Pattern]]:
    """The patterns of all inputs once the carry's no longer grow, and those of the outputs."""
    rounds = 0
    while True:
        outputs = _output_patterns(evaluate, body, patterns, order)
        count = carry.stop - carry.start
        before = patterns[carry]
        grown = [_join(a, b) for a, b in zip(before, outputs[:count], strict=True)]
        if grown == before:
            return patterns, outputs
        rounds += 1
        if rounds > _EXACT_ROUNDS:
            grown = [
                after if after == earlier else (True,) * (order + 1)
                for after, earlier in zip(grown, before, strict=True)
            ]
        patterns = [*patterns[: carry.start], *grown, *patterns[carry.stop :]]
