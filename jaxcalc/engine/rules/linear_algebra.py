"""Solves and transforms: dense along the axes of a matrix or a signal, separate along the others."""

from __future__ import annotations

from typing import Any

from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules.reduction import along_axes
from jaxcalc.engine.rules.registry import Operands, rule
from jaxcalc.engine.tangents.lanes import Lanes


@rule("triangular_solve")
def triangular_solve(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = A^-1 t: mixes the rows of t (the columns when A stands on the right), batch by batch."""
    matrix, right_side = operands
    rank = len(right_side.shape)
    axis = rank - 2 if equations.triangular_solve(eqn).left_side else rank - 1
    return along_axes(eqn, right_side, [axis], lambda lane: _bind(eqn, matrix, lane))


@rule("tridiagonal_solve")
def tridiagonal_solve(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = A^-1 t for a tridiagonal A given by its three diagonals: mixes the rows of t."""
    *diagonals, right_side = operands
    rank = len(right_side.shape)
    return along_axes(eqn, right_side, [rank - 2], lambda lane: _bind(eqn, *diagonals, lane))


@rule("fft")
def fft(eqn: JaxprEqn, operands: Operands) -> Lanes:
    """y = F t: mixes the last axes, those of the transform."""
    rank, count = len(operands[0].shape), equations.fft_rank(eqn)
    return along_axes(eqn, operands[0], range(rank - count, rank))


def _bind(eqn: JaxprEqn, *operands: Any) -> Any:
    return equations.bind(eqn, operands)[0]
