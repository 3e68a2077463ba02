"""The series walk: a program evaluated on truncated Taylor series instead of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, Var

from jaxcalc.engine.jaxprs import equations
from jaxcalc.methods.taylor import loops, series, solves
from jaxcalc.methods.taylor.algebra import is_bilinear, is_piecewise_constant, linear_operands
from jaxcalc.methods.taylor.custom_rules import holds_custom_rules, is_one_rule
from jaxcalc.methods.taylor.demand import demanded, reached
from jaxcalc.methods.taylor.series import Series, coefficients_of, convolve, derivative_of, value_of

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

    Raises:
        NotFollowedError: nested `jax.jvp` may give what no series has.
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
    if any(equations.holds_state(v.aval) for v in [*eqn.invars, *eqn.outvars]):
        raise NotFollowedError(f"{name} keeps values that may move where no operand shows it")
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
    columns: list[list[Any]] = [equations.bind(eqn, [value_of(x) for x in operands])]
    eqn = equations.of_tangents(eqn)
    for k in range(1, order + 1):
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
    edges of domains behave as they do in JAX. The value y is the rule's too.
    """
    if order > 1:
        _require_one_rule(eqn, operands, order)
    moving = [i for i, x in enumerate(operands) if isinstance(x, Series)]
    values = [value_of(x) for x in operands]
    inexact = [equations.is_inexact(v.aval) for v in eqn.outvars]

    def at(*points: Any) -> tuple[list[Any], list[Any]]:
        arguments = list(values)
        for i, point in zip(moving, points, strict=True):
            arguments[i] = point
        outputs = list(zip(equations.bind(eqn, arguments), inexact, strict=True))
        return [y for y, on in outputs if on], [y for y, on in outputs if not on]

    def rule(points: list[Any], speeds: list[Any]) -> list[Any]:
        outputs, rates, rest = jax.jvp(at, points, speeds, has_aux=True)
        return [*outputs, *rates, *rest]

    points = [Series(operands[i].coefficients[:-1]) for i in moving]
    speeds = [derivative_of(operands[i]) for i in moving]
    starts = [p.value for p in points], [s.value for s in speeds]
    count = sum(inexact)
    if order == 1:
        found, moved = rule(*starts), [True] * count
    else:
        program = jax.make_jaxpr(rule)(*starts)
        wanted = [count <= i < 2 * count for i in range(len(program.out_avals))]
        found = evaluate(program, [*points, *speeds], order - 1, wanted)
        # T is linear in u': where it does not depend on the inputs, it is zero
        moved = reached(program.jaxpr)[count : 2 * count]
    outputs, rest = (
        iter(zip(found[:count], found[count:], moved, strict=False)),
        iter(found[2 * count :]),
    )
    return [_moving(*next(outputs), order) if on else value_of(next(rest)) for on in inexact]


def _moving(y: Any, rate: Any, moves: bool, order: int) -> Any:
    return Series((value_of(y), *coefficients_of(rate, order - 1))) if moves else value_of(y)


def _require_one_rule(eqn: JaxprEqn, operands: list[Any], order: int) -> None:
    """Raise unless each of the nested `jax.jvp` takes the same rule, for a series has but one."""
    name = eqn.primitive.name
    if name == "custom_jvp_call":
        if not is_one_rule(eqn, [isinstance(x, Series) for x in operands], order):
            raise NotFollowedError("the value of a custom_jvp rule has an expression of its own")
    elif name == "custom_vjp_call" or holds_custom_rules(eqn):
        raise NotFollowedError(f"{name} may hold a rule that is another one at each order")


class NotFollowedError(Exception):
    """What no series follows; nested `jax.jvp` does, or says why not."""
