"""The series walk: a program evaluated on truncated Taylor series instead of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var

from jaxcalc.engine import equations
from jaxcalc.taylor import loops, series, solves
from jaxcalc.taylor.algebra import is_bilinear, is_piecewise_constant, linear_operands
from jaxcalc.taylor.demand import demanded
from jaxcalc.taylor.series import Series, coefficients_of, convolve, derivative_of, value_of

_RECURRENCES: dict[str, Callable[[Series, Any], Series]] = {
    "exp": series.exp,
    "expm1": series.expm1,
    "log": series.log,
    "log1p": series.log1p,
    "logistic": series.logistic,
    "sqrt": series.sqrt,
    "tanh": series.tanh,
}
_RULES: dict[str, Callable[..., list[Any]]] = {
    "cond": loops.cond,
    "scan": loops.scan,
    "while": loops.while_loop,
    "custom_linear_solve": solves.linear_solve,
    "triangular_solve": solves.triangular_solve,
}


def evaluate(
    program: ClosedJaxpr,
    arguments: Sequence[Any],
    order: int,
    moving: Sequence[bool] | None = None,
) -> list[Any]:
    """Run a program on arguments that are series or constants; so are the outputs.

    Args:
        program: the program.
        arguments: a `Series` of the given order, or an array, for each input.
        order: the order of the series.
        moving: for each output, whether its derivatives are needed; all of them by default.
    """
    jaxpr = program.jaxpr
    environment: dict[Var, Any] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    environment.update(zip(jaxpr.invars, arguments, strict=True))

    def read(v: Any) -> Any:
        return v.val if isinstance(v, Literal) else environment[v]

    for eqn, wanted in demanded(jaxpr, moving or [True] * len(jaxpr.outvars)):
        outputs = _equation(eqn, [read(v) for v in eqn.invars], order, wanted)
        environment.update(zip(eqn.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _equation(eqn: JaxprEqn, operands: list[Any], order: int, wanted: list[bool]) -> list[Any]:
    """Choose how one equation acts on series, from the special to the general."""
    name = eqn.primitive.name
    moving = any(wanted) and any(isinstance(x, Series) for x in operands)
    if not moving or is_piecewise_constant(eqn):
        return equations.bind(eqn, [value_of(x) for x in operands])
    inner = equations.called(eqn)
    if inner is not None:
        return evaluate(inner, operands, order, wanted)
    if name in _RULES:
        return _RULES[name](evaluate, eqn, operands, order)
    linear = linear_operands(eqn)
    if linear is not None and all(
        i in linear or not isinstance(x, Series) for i, x in enumerate(operands)
    ):
        return _linear(eqn, operands, linear, order)
    if is_bilinear(eqn):
        return [_bilinear(eqn, operands, order)]
    nonlinear = _nonlinear(eqn, operands, order)
    return _general(eqn, operands, order) if nonlinear is None else [nonlinear]


def _linear(eqn: JaxprEqn, operands: list[Any], linear: tuple[int, ...], order: int) -> list[Any]:
    """A linear equation acts on each derivative; a constant operand has only its value."""
    columns: list[list[Any]] = []
    for k in range(order + 1):
        terms = [coefficients_of(x, order)[k] if i in linear else x for i, x in enumerate(operands)]
        if all(terms[i] is None for i in linear):
            columns.append([None] * len(eqn.outvars))
            continue
        filled = [series.full(c, value_of(x)) for c, x in zip(terms, operands, strict=True)]
        columns.append(equations.bind(eqn, filled))
    return [Series(tuple(coefficients)) for coefficients in zip(*columns, strict=True)]


def _bilinear(eqn: JaxprEqn, operands: list[Any], order: int) -> Series:
    def product(a: Any, b: Any) -> Any:
        return equations.bind(eqn, [a, b])[0]

    a, b = (coefficients_of(x, order) for x in operands)
    return Series(tuple(convolve(a, b, k, product) for k in range(order + 1)))


def _nonlinear(eqn: JaxprEqn, operands: list[Any], order: int) -> Series | None:
    """The elementwise functions with a recurrence of their own; None for any other."""
    name, u = eqn.primitive.name, operands[0]
    if name == "div":
        return series.divide(operands[0], operands[1], order)
    if name in {"sin", "cos"}:
        return series.sin_and_cos(u)[name == "cos"]
    if name == "pow" and isinstance(operands[1], Series):
        return series.power(operands[0], operands[1], order)
    if name == "square":
        return series.multiply(u, u)
    if name in _RECURRENCES:
        return _RECURRENCES[name](u, equations.bind(eqn, [u.value])[0])
    return None


def _general(eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """Any primitive that has a rule for `jax.jvp`: y' = T(u, u'), where T is that rule.

    T is a program in u and u', whose series are known to order n - 1: walking it gives the series of
    y' to order n - 1, which is that of y to order n. So custom rules are kept, and kinks and the
    edges of domains behave as they do in JAX.
    """
    if eqn.primitive.name == "custom_vjp_call":
        raise CustomReverseRuleError
    moving = [i for i, x in enumerate(operands) if isinstance(x, Series)]
    values = [value_of(x) for x in operands]
    inexact = [equations.is_inexact(v.aval) for v in eqn.outvars]

    def at(*points: Any) -> list[Any]:
        arguments = list(values)
        for i, point in zip(moving, points, strict=True):
            arguments[i] = point
        outputs = equations.bind(eqn, arguments)
        return [y for y, on in zip(outputs, inexact, strict=True) if on]

    def rate(points: list[Any], speeds: list[Any]) -> list[Any]:
        return jax.jvp(at, points, speeds)[1]

    points = [Series(operands[i].coefficients[:-1]) for i in moving]
    speeds = [derivative_of(operands[i]) for i in moving]
    starts = [p.value for p in points], [s.value for s in speeds]
    rates: list[tuple[Any, ...] | None]
    if order == 1:
        rates = [(slope,) for slope in rate(*starts)]
    else:
        found = evaluate(jax.make_jaxpr(rate)(*starts), [*points, *speeds], order - 1)
        # T is linear in u': where it does not depend on the inputs, it is zero
        rates = [x.coefficients if isinstance(x, Series) else None for x in found]
    remaining = iter(rates)
    outputs = zip(equations.bind(eqn, values), inexact, strict=True)
    return [_moving(y, next(remaining)) if on else y for y, on in outputs]


def _moving(y: Any, rate: tuple[Any, ...] | None) -> Any:
    return y if rate is None else Series((y, *rate))


class CustomReverseRuleError(TypeError):
    """A `jax.custom_vjp` function has no forward mode, and so no Taylor series."""
