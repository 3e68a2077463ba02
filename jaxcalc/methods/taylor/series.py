"""Truncated Taylor series and their arithmetic.

A series holds the value and the first n derivatives, in t, of a quantity that moves with t; None
stands for a derivative that is zero whatever the values. Derivatives, not coefficients divided by
k!, so that those of polynomials are exact and float16 neither overflows nor underflows. Products
follow Leibniz: (a b)_k = sum_j C(k, j) a_j b_(k-j). Where y' = g(y) u', differentiating k - 1 times
gives y_k = sum_j C(k - 1, j) g_j u_(k-j) (Griewank and Walther, *Evaluating Derivatives*, 2008, table
13.2, with the factorials moved into the binomials).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import comb
from typing import Any, NamedTuple

from jax import lax

Coefficient = Any  # an array, or None for zero
Product = Callable[[Any, Any], Any]


class Series(NamedTuple):
    """The derivatives of order 0 .. n; that of order 0 is the value itself and never None."""

    coefficients: tuple[Coefficient, ...]

    @property
    def order(self) -> int:
        """The highest derivative that is known."""
        return len(self.coefficients) - 1

    @property
    def value(self) -> Any:
        """The quantity itself, at t = 0."""
        return self.coefficients[0]


def value_of(x: Any) -> Any:
    """The value of a series or of a constant."""
    return x.value if isinstance(x, Series) else x


def coefficients_of(x: Any, order: int) -> tuple[Coefficient, ...]:
    """All derivatives; those of a constant are zero."""
    return x.coefficients if isinstance(x, Series) else (x, *[None] * order)


def derivative_of(x: Series) -> Series:
    """The series of dx/dt, one order shorter."""
    first, *rest = x.coefficients[1:]
    return Series((lax.full_like(x.value, 0) if first is None else first, *rest))


def total(terms: Sequence[Coefficient]) -> Coefficient:
    """A sum of coefficients; None when all of them are."""
    present: list[Any] = [term for term in terms if term is not None]
    return reduce(lax.add, present) if present else None


def scaled(factor: int, c: Coefficient) -> Coefficient:
    """A coefficient times an integer, in the coefficient's dtype."""
    return c if c is None or factor == 1 else lax.mul(c, lax.full_like(c, factor))


def negative(c: Coefficient) -> Coefficient:
    """Minus a coefficient."""
    return None if c is None else lax.neg(c)


def convolve(
    a: Sequence[Coefficient], b: Sequence[Coefficient], k: int, product: Product = lax.mul
) -> Coefficient:
    """The k-th derivative of a product: sum of C(k, j) a_j b_(k-j)."""
    return total(
        [
            scaled(comb(k, j), product(a[j], b[k - j]))
            for j in range(k + 1)
            if j < len(a) and k - j < len(b) and a[j] is not None and b[k - j] is not None
        ]
    )


def multiply(a: Series, b: Series) -> Series:
    """The product of two series, elementwise."""
    x, y = a.coefficients, b.coefficients
    return Series(tuple(convolve(x, y, k) for k in range(a.order + 1)))


def divide(numerator: Any, denominator: Any, order: int) -> Series:
    """y = a / b: b_0 y_k = a_k - sum_{j>=1} C(k, j) b_j y_{k-j}."""
    a, b = (coefficients_of(x, order) for x in (numerator, denominator))
    y: list[Coefficient] = [lax.div(a[0], b[0])]
    for k in range(1, order + 1):
        top = total([a[k], negative(convolve((None, *b[1:]), y, k))])
        y.append(None if top is None else lax.div(top, b[0]))
    return Series(tuple(y))


def integrate(u: Series, y0: Any, slope: Callable[[list[Coefficient]], list[Coefficient]]) -> Series:
    """y with y' = g u': `slope` gives the derivatives of g from those of y that are known."""
    rate = u.coefficients[1:]
    y: list[Coefficient] = [y0]
    for k in range(u.order):
        y.append(convolve(slope(y), rate, k))
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
    one = lax.full_like(y0, 1)

    def slope(y: list[Coefficient]) -> list[Coefficient]:
        squares = [negative(convolve(y, y, k)) for k in range(len(y))]
        return [lax.add(one, squares[0]), *squares[1:]]

    return integrate(u, y0, slope)


def logistic(u: Series, y0: Any) -> Series:
    """y' = (1 - y) y u'."""
    one = lax.full_like(y0, 1)

    def slope(y: list[Coefficient]) -> list[Coefficient]:
        rest = [lax.sub(one, y[0]), *(negative(c) for c in y[1:])]
        return [convolve(y, rest, k) for k in range(len(y))]

    return integrate(u, y0, slope)


def log(u: Series, y0: Any) -> Series:
    """y' = u' / u."""
    return Series(
        (y0, *divide(derivative_of(u), Series(u.coefficients[:-1]), u.order - 1).coefficients)
    )


def log1p(u: Series, y0: Any) -> Series:
    """y' = u' / (1 + u)."""
    shifted = lax.add(lax.full_like(u.value, 1), u.value)
    denominator = Series((shifted, *u.coefficients[1:-1]))
    return Series((y0, *divide(derivative_of(u), denominator, u.order - 1).coefficients))


def sin_and_cos(u: Series) -> tuple[Series, Series]:
    """s' = c u' and c' = -s u', which need each other."""
    rate = u.coefficients[1:]
    s: list[Coefficient] = [lax.sin(u.value)]
    c: list[Coefficient] = [lax.cos(u.value)]
    for k in range(u.order):
        s_next, c_next = convolve(c, rate, k), negative(convolve(s, rate, k))
        s.append(s_next)
        c.append(c_next)
    return Series(tuple(s)), Series(tuple(c))


def sqrt(u: Series, y0: Any) -> Series:
    """y^2 = u: 2 y_0 y_k = u_k - sum_{0<j<k} C(k, j) y_j y_{k-j}."""
    twice = scaled(2, y0)
    y: list[Coefficient] = [y0]
    for k in range(1, u.order + 1):
        inner = [None, *y[1:]]
        top = total([u.coefficients[k], negative(convolve(inner, inner, k))])
        y.append(None if top is None else lax.div(top, twice))
    return Series(tuple(y))


def power(u: Any, v: Any, order: int) -> Series:
    """u^v where v moves: y' = v u^(v-1) u' + log(u) y v', with JAX's log(u) = 0 at u = 0."""
    y: list[Coefficient] = [lax.pow(value_of(u), value_of(v))]
    growth = multiply(derivative_of(v), _logarithm(u, order - 1)).coefficients
    base: tuple[Coefficient, ...] = (None,) * order
    if isinstance(u, Series):
        base = multiply(_lowered(u, v, order - 1), derivative_of(u)).coefficients
    for k in range(order):
        y.append(total([base[k], convolve(y, growth, k)]))
    return Series(tuple(y))


def _logarithm(u: Any, order: int) -> Series:
    """log(u), and 0 where u is 0, where it does not move either."""
    at_zero = lax.eq(value_of(u), lax.full_like(value_of(u), 0))
    first, *rest = coefficients_of(u, order)[: order + 1]
    moved = [None if c is None else lax.select(at_zero, lax.full_like(c, 0), c) for c in rest]
    safe = lax.select(at_zero, lax.full_like(first, 1), first)
    if order == 0:
        return Series((lax.log(safe),))
    return log(Series((safe, *moved)), lax.log(safe))


def _lowered(u: Series, v: Series, order: int) -> Series:
    """v u^(v-1), to one order less than u and v have."""
    u, v = (Series(x.coefficients[: order + 1]) for x in (u, v))
    less = Series((lax.sub(v.value, lax.full_like(v.value, 1)), *v.coefficients[1:]))
    return multiply(v, power(u, less, order) if order else Series((lax.pow(u.value, less.value),)))


def full(c: Coefficient, like: Any) -> Any:
    """A coefficient as an array, zero written out."""
    return lax.full_like(like, 0) if c is None else c
