"""Truncated Taylor series and their arithmetic.

A series holds the coefficients of t^0, t^1, ... t^n of a value that moves with t; None stands for a
coefficient that is zero whatever the values. The recurrences are those of Griewank and Walther,
*Evaluating Derivatives*, 2008, table 13.2: where y' = g(y) u', comparing coefficients of t^(k-1)
gives k y_k = sum_j j u_j g(y)_{k-j}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

Coefficient = Any  # an array, or None for zero
Product = Callable[[Any, Any], Any]


class Series(NamedTuple):
    """The coefficients of t^0 .. t^n; the first one is the primal value and never None."""

    coefficients: tuple[Coefficient, ...]

    @property
    def order(self) -> int:
        """The highest power of t."""
        return len(self.coefficients) - 1

    @property
    def value(self) -> Any:
        """The coefficient of t^0."""
        return self.coefficients[0]


def value_of(x: Any) -> Any:
    """The primal value of a series or of a constant."""
    return x.value if isinstance(x, Series) else x


def full(x: Any, order: int) -> list[Any]:
    """All coefficients as arrays, zeros written out."""
    coefficients = x.coefficients if isinstance(x, Series) else (x, *[None] * order)
    zero = jnp.zeros_like(coefficients[0])
    return [zero if c is None else c for c in coefficients]


def total(terms: Sequence[Coefficient]) -> Coefficient:
    """A sum of coefficients; None when all of them are."""
    present: list[Any] = [term for term in terms if term is not None]
    return reduce(lax.add, present) if present else None


def convolve(
    a: Sequence[Coefficient], b: Sequence[Coefficient], k: int, product: Product
) -> Coefficient:
    """The coefficient of t^k in a product: sum of a_j b_(k-j)."""
    return total(
        [
            product(a[j], b[k - j])
            for j in range(k + 1)
            if j < len(a) and k - j < len(b) and a[j] is not None and b[k - j] is not None
        ]
    )


def multiply(a: Series, b: Series) -> Series:
    """The product of two series, elementwise."""
    x, y = a.coefficients, b.coefficients
    return Series(tuple(convolve(x, y, k, lax.mul) for k in range(a.order + 1)))


def scaled(factor: float, c: Coefficient) -> Coefficient:
    """A coefficient times a number, in the coefficient's dtype."""
    return None if c is None else lax.mul(c, lax.full_like(c, factor))


def divide(numerator: Any, denominator: Any, order: int) -> Series:
    """y = a / b: y_k = (a_k - sum_{j>=1} b_j y_{k-j}) / b_0."""
    a = numerator.coefficients if isinstance(numerator, Series) else (numerator, *[None] * order)
    b0 = value_of(denominator)
    b = denominator.coefficients if isinstance(denominator, Series) else (b0, *[None] * order)
    y: list[Coefficient] = [lax.div(a[0], b0)]
    for k in range(1, order + 1):
        rest = convolve((None, *b[1:]), y, k, lax.mul)
        numerator_k = total([a[k], scaled(-1.0, rest)])
        y.append(None if numerator_k is None else lax.div(numerator_k, b0))
    return Series(tuple(y))


def integrate(u: Series, y0: Any, slope: Callable[[list[Coefficient]], list[Coefficient]]) -> Series:
    """y with y' = g u': `slope` gives the coefficients of g from those of y that are known."""
    rate = [scaled(float(j), c) for j, c in enumerate(u.coefficients)]
    rate[0] = None
    y: list[Coefficient] = [y0]
    for k in range(1, u.order + 1):
        y.append(scaled(1.0 / k, convolve(rate, slope(y), k, lax.mul)))
    return Series(tuple(y))


def exp(u: Series, y0: Any) -> Series:
    """y' = y u'."""
    return integrate(u, y0, lambda y: y)


def expm1(u: Series, y0: Any) -> Series:
    """y' = (y + 1) u', where y + 1 starts as exp(u_0), not as the rounded y_0 + 1."""
    start = lax.exp(u.value)
    return integrate(u, y0, lambda y: [start, *y[1:]])


def tanh(u: Series, y0: Any) -> Series:
    """y' = (1 - y^2) u'."""
    one = lax.full_like(y0, 1.0)

    def slope(y: list[Coefficient]) -> list[Coefficient]:
        squares = [scaled(-1.0, convolve(y, y, k, lax.mul)) for k in range(len(y))]
        return [lax.add(one, squares[0]), *squares[1:]]

    return integrate(u, y0, slope)


def logistic(u: Series, y0: Any) -> Series:
    """y' = (1 - y) y u'."""
    one = lax.full_like(y0, 1.0)

    def slope(y: list[Coefficient]) -> list[Coefficient]:
        rest = [lax.sub(one, y[0]), *(scaled(-1.0, c) for c in y[1:])]
        return [convolve(y, rest, k, lax.mul) for k in range(len(y))]

    return integrate(u, y0, slope)


def log(u: Series, y0: Any) -> Series:
    """y' = u' / u."""
    return _logarithm(u, y0, u.value)


def log1p(u: Series, y0: Any) -> Series:
    """y' = u' / (1 + u)."""
    return _logarithm(u, y0, lax.add(lax.full_like(u.value, 1.0), u.value))


def _logarithm(u: Series, y0: Any, denominator: Any) -> Series:
    """k y_k w_0 = k u_k - sum_{0<j<k} j y_j u_{k-j}, w_0 the denominator at t = 0."""
    y: list[Coefficient] = [y0]
    for k in range(1, u.order + 1):
        rate = [None, *(scaled(float(j), y[j]) for j in range(1, k))]
        rest = convolve(rate, (None, *u.coefficients[1:]), k, lax.mul)
        top = total([u.coefficients[k], scaled(-1.0 / k, rest)])
        y.append(None if top is None else lax.div(top, denominator))
    return Series(tuple(y))


def sin_and_cos(u: Series) -> tuple[Series, Series]:
    """s' = c u' and c' = -s u', which need each other."""
    rate = [None, *(scaled(float(j), c) for j, c in enumerate(u.coefficients) if j)]
    s: list[Coefficient] = [lax.sin(u.value)]
    c: list[Coefficient] = [lax.cos(u.value)]
    for k in range(1, u.order + 1):
        s_k = scaled(1.0 / k, convolve(rate, c, k, lax.mul))
        c_k = scaled(-1.0 / k, convolve(rate, s, k, lax.mul))
        s.append(s_k)
        c.append(c_k)
    return Series(tuple(s)), Series(tuple(c))


def sqrt(u: Series, y0: Any) -> Series:
    """y^2 = u: 2 y_0 y_k = u_k - sum_{0<j<k} y_j y_{k-j}."""
    y: list[Coefficient] = [y0]
    for k in range(1, u.order + 1):
        inner = [None, *y[1:]]
        top = total([u.coefficients[k], scaled(-1.0, convolve(inner, inner, k, lax.mul))])
        y.append(None if top is None else lax.div(top, scaled(2.0, y0)))
    return Series(tuple(y))


def integer_power(u: Series, y0: Any, exponent: int) -> Series:
    """u^n by repeated squaring, exact also at zero and for negative u; 1 / u^-n for n < 0."""
    result: Series | None = None
    base, remaining = u, abs(exponent)
    while remaining:
        if remaining % 2:
            result = base if result is None else multiply(result, base)
        remaining //= 2
        if remaining:
            base = multiply(base, base)
    if result is None:
        return Series((y0, *[None] * u.order))
    if exponent < 0:
        result = divide(lax.full_like(u.value, 1.0), result, u.order)
    return Series((y0, *result.coefficients[1:]))
