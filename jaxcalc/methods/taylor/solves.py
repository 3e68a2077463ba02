"""Linear solves on Taylor series: the k-th derivative of A x = b, solved for that of x.

A_0 x_k = b_k - sum_{j>=1} C(k, j) A_j x_{k-j}: one solve with the same A_0 for each order, where the
rule of a primitive, applied order by order, would double the solves each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.methods.taylor.series import (
    Coefficient,
    Series,
    coefficients_of,
    convolve,
    full,
    negative,
    total,
    value_of,
)

Evaluate = Callable[[ClosedJaxpr, list[Any], int], list[Any]]


def linear_solve(evaluate: Evaluate, eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """`lax.custom_linear_solve`: A is a program, and so is the solve with it; aux does not move."""
    matvec, place, after = equations.linear_solve(eqn)
    right = operands[after]
    held = [value_of(x) for x in operands[: after.start]]
    b = [coefficients_of(x, order) for x in right]
    values = equations.bind(eqn, [*held, *(value_of(c) for c in right)])
    x, aux = [[value] for value in values[: len(right)]], values[len(right) :]
    for k in range(1, order + 1):
        known = [Series((*coefficients, None)) for coefficients in x]
        matrix = [
            Series(c.coefficients[: k + 1]) if isinstance(c, Series) else c for c in operands[place]
        ]
        moved = evaluate(matvec, [*matrix, *known], k)
        rest = [
            total([c[k], negative(coefficients_of(y, k)[k])]) for c, y in zip(b, moved, strict=True)
        ]
        if all(c is None for c in rest):
            solved: list[Coefficient] = [None] * len(x)
        else:
            filled = [full(c, value_of(y)) for c, y in zip(rest, right, strict=True)]
            solved = equations.bind(eqn, [*held, *filled])[: len(x)]
        for coefficients, c in zip(x, solved, strict=True):
            coefficients.append(c)
    return [*(Series(tuple(coefficients)) for coefficients in x), *aux]


def triangular_solve(evaluate: Evaluate, eqn: JaxprEqn, operands: list[Any], order: int) -> list[Any]:
    """`lax.linalg.triangular_solve`; entries beyond the triangle, and a unit diagonal, are not read."""
    del evaluate
    a, b = (coefficients_of(x, order) for x in operands)
    layout = equations.triangular_solve(eqn)

    def product(matrix: Any, x: Any) -> Any:
        unit = int(layout.unit_diagonal)
        matrix = jnp.tril(matrix, -unit) if layout.lower else jnp.triu(matrix, unit)
        if layout.transpose_a:
            matrix = jnp.swapaxes(matrix, -1, -2)
        if layout.conjugate_a:
            matrix = jnp.conj(matrix)
        pair = (matrix, x) if layout.left_side else (x, matrix)
        return jnp.matmul(*pair, precision=lax.Precision.HIGHEST)

    x: list[Coefficient] = [equations.bind(eqn, [a[0], b[0]])[0]]
    for k in range(1, order + 1):
        rest = total([b[k], negative(convolve((None, *a[1:]), x, k, product))])
        x.append(None if rest is None else equations.bind(eqn, [a[0], rest])[0])
    return [Series(tuple(x))]
