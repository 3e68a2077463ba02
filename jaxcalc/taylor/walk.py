"""The series walk: a program evaluated on truncated Taylor series instead of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var

from jaxcalc.engine import equations
from jaxcalc.taylor import series
from jaxcalc.taylor.algebra import is_bilinear, linear_operands
from jaxcalc.taylor.series import Series, convolve, full, total, value_of

_RECURRENCES: dict[str, Callable[[Series, Any], Series]] = {
    "exp": series.exp,
    "expm1": series.expm1,
    "log": series.log,
    "log1p": series.log1p,
    "logistic": series.logistic,
    "sqrt": series.sqrt,
    "tanh": series.tanh,
}


def evaluate(program: ClosedJaxpr, arguments: Sequence[Any], order: int) -> list[Any]:
    """Run a program on arguments that are series or constants; so are the outputs."""
    jaxpr = program.jaxpr
    environment: dict[Var, Any] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    environment.update(zip(jaxpr.invars, arguments, strict=True))

    def read(v: Any) -> Any:
        return v.val if isinstance(v, Literal) else environment[v]

    for eqn in jaxpr.eqns:
        outputs = _equation(eqn, [read(v) for v in eqn.invars], order)
        environment.update(zip(eqn.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _equation(eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """Choose how one equation acts on series, from the special to the general."""
    name = eqn.primitive.name
    inner = equations.called(eqn)
    if inner is not None:
        return evaluate(inner, operands, order)
    if not any(isinstance(x, Series) for x in operands) or not equations.has_derivative(eqn):
        return equations.bind(eqn, [value_of(x) for x in operands])
    if name in _LOOPS:
        return _LOOPS[name](eqn, operands, order)
    linear = linear_operands(eqn)
    if linear is not None and all(
        i in linear or not isinstance(x, Series) for i, x in enumerate(operands)
    ):
        return _linear(eqn, operands, linear, order)
    if is_bilinear(eqn):
        return [_bilinear(eqn, operands, order)]
    nonlinear = _nonlinear(eqn, operands, order)
    return _local(eqn, operands, order) if nonlinear is None else [nonlinear]


def _linear(eqn: JaxprEqn, operands: list[Any], linear: tuple[int, ...], order: int) -> list[Any]:
    """A linear equation acts on each coefficient; a constant operand has only the first one."""
    columns: list[list[Any]] = []
    for k in range(order + 1):
        terms = [
            (x.coefficients[k] if isinstance(x, Series) else x if k == 0 else None)
            if i in linear
            else x
            for i, x in enumerate(operands)
        ]
        if all(terms[i] is None for i in linear):
            columns.append([None] * len(eqn.outvars))
            continue
        zeros = [lax.full_like(value_of(x), 0) for x in operands]
        filled = [z if x is None else x for x, z in zip(terms, zeros, strict=True)]
        columns.append(equations.bind(eqn, filled))
    return [Series(tuple(coefficients)) for coefficients in zip(*columns, strict=True)]


def _bilinear(eqn: JaxprEqn, operands: list[Any], order: int) -> Series:
    def product(a: Any, b: Any) -> Any:
        return equations.bind(eqn, [a, b])[0]

    a, b = (x.coefficients if isinstance(x, Series) else (x,) for x in operands)
    return Series(tuple(convolve(a, b, k, product) for k in range(order + 1)))


def _nonlinear(eqn: JaxprEqn, operands: list[Any], order: int) -> Series | None:
    """The elementwise functions with a recurrence of their own; None for any other."""
    name, u = eqn.primitive.name, operands[0]
    if name == "div":
        return series.divide(operands[0], operands[1], order)
    if name in {"sin", "cos"}:
        return series.sin_and_cos(u)[name == "cos"]
    if name == "square":
        return series.multiply(u, u)
    if name == "integer_pow":
        return series.integer_power(u, equations.bind(eqn, [u.value])[0], equations.exponent(eqn))
    if name in _RECURRENCES:
        return _RECURRENCES[name](u, equations.bind(eqn, [u.value])[0])
    return None


def _local(eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """Nested jvp of this equation alone, along the curve that its operands follow.

    The doubling with each order then stays inside one equation, and custom rules are kept.
    """

    def along(t: Any) -> list[Any]:
        return equations.bind(eqn, [_curve(x, t) for x in operands])

    derivatives: list[Callable[[Any], list[Any]]] = [along]
    for _ in range(order):
        derivatives.append(_slope(derivatives[-1]))
    dtype = next(value_of(x).dtype for x in operands if isinstance(x, Series))
    origin = lax.full((), 0, dtype)
    columns = [derivatives[k](origin) for k in range(order + 1)]
    factor, rows = 1.0, [columns[0]]
    for k in range(1, order + 1):
        factor /= k
        rows.append(
            [
                series.scaled(factor, c) if equations.is_inexact(v.aval) else None
                for c, v in zip(columns[k], eqn.outvars, strict=True)
            ]
        )
    return [
        Series(column) if equations.is_inexact(v.aval) else column[0]
        for column, v in zip(zip(*rows, strict=True), eqn.outvars, strict=True)
    ]


def _curve(x: Any, t: Any) -> Any:
    """x_0 + x_1 t + x_2 t^2 + ..., by Horner's scheme, so that t = 0 is an ordinary point."""
    if not isinstance(x, Series):
        return x
    value = None
    for c in reversed(x.coefficients):
        if value is not None:
            value = lax.mul(value, lax.broadcast(t.astype(value.dtype), value.shape))
        value = total([c, value])
    return value


def _slope(g: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    return lambda t: jax.jvp(g, (t,), (lax.full_like(t, 1),))[1]


def _flatten(values: Sequence[Any], are_series: Sequence[bool], order: int) -> list[Any]:
    """Arrays for a loop's carry: a series is its coefficients in a list."""
    return [full(x, order) if on else value_of(x) for x, on in zip(values, are_series, strict=True)]


def _restore(values: Sequence[Any], are_series: Sequence[bool]) -> list[Any]:
    return [Series(tuple(x)) if on else x for x, on in zip(values, are_series, strict=True)]


def _which_outputs(program: ClosedJaxpr, are_series: Sequence[bool], order: int) -> list[bool]:
    """Which outputs of a program are series when these inputs are, by abstract evaluation."""
    found: list[bool] = []

    def run(arguments: list[Any]) -> list[Any]:
        outputs = evaluate(program, _restore(arguments, are_series), order)
        found[:] = [isinstance(x, Series) for x in outputs]
        return [value_of(x) for x in outputs]

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in program.jaxpr.invars]
    jax.eval_shape(
        run, [[s] * (order + 1) if on else s for s, on in zip(shapes, are_series, strict=True)]
    )
    return found


def _cond(eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    index, arguments = operands[0], operands[1:]
    inputs = [isinstance(x, Series) for x in arguments]
    each = [_which_outputs(branch, inputs, order) for branch in equations.branches(eqn)]
    outputs = [any(flags) for flags in zip(*each, strict=True)]

    def runner(branch: ClosedJaxpr) -> Callable[[list[Any]], list[Any]]:
        return lambda flat: _flatten(evaluate(branch, _restore(flat, inputs), order), outputs, order)

    chosen = [runner(branch) for branch in equations.branches(eqn)]
    return _restore(lax.switch(index, chosen, _flatten(arguments, inputs, order)), outputs)


def _fixpoint(
    body: ClosedJaxpr, flags: list[bool], carry: slice, order: int
) -> tuple[list[bool], list[bool]]:
    """Carries that become series after some rounds: all input flags, and the outputs' flags."""
    while True:
        outputs = _which_outputs(body, flags, order)
        count = carry.stop - carry.start
        grown = [a or b for a, b in zip(flags[carry], outputs[:count], strict=True)]
        if grown == flags[carry]:
            return flags, outputs
        flags = [*flags[: carry.start], *grown, *flags[carry.stop :]]


def _scan(eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    body, consts, carry, options = equations.scan(eqn)
    place = slice(consts, consts + carry)
    flags, outputs = _fixpoint(body, [isinstance(x, Series) for x in operands], place, order)
    outputs = [*flags[place], *outputs[carry:]]
    flat = _flatten(operands, flags, order)

    def step(state: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        arguments = _restore([*flat[:consts], *state, *xs], flags)
        result = _flatten(evaluate(body, arguments, order), outputs, order)
        return result[:carry], result[carry:]

    state, ys = lax.scan(step, flat[place], flat[place.stop :], **options)
    return _restore([*state, *ys], outputs)


def _while(eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    condition, condition_consts, body, body_consts = equations.while_loop(eqn)
    tested, rest = operands[:condition_consts], operands[condition_consts:]
    place = slice(body_consts, len(rest))
    flags, _ = _fixpoint(body, [isinstance(x, Series) for x in rest], place, order)
    flat = _flatten(rest, flags, order)

    def go_on(state: Sequence[Any]) -> Any:
        values = [value_of(x) for x in _restore(state, flags[place])]
        return evaluate(condition, [*(value_of(x) for x in tested), *values], order)[0]

    def step(state: Sequence[Any]) -> Sequence[Any]:
        arguments = _restore([*flat[:body_consts], *state], flags)
        return _flatten(evaluate(body, arguments, order), flags[place], order)

    return _restore(lax.while_loop(go_on, step, flat[place]), flags[place])


_LOOPS = {"cond": _cond, "scan": _scan, "while": _while}
