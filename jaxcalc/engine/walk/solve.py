"""`custom_linear_solve`: a solver that JAX knows the derivative of, whatever it does inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.rules.lane_by_lane import lane_by_lane
from jaxcalc.engine.tangents.lanes import Lanes, seed
from jaxcalc.engine.walk.linearity import NotZeroError
from jaxcalc.engine.walk.operands import Run, shapes_of
from jaxcalc.engine.walk.program import Step


def linear_solve(run: Run, step: Step, operands: Sequence[Any]) -> list[Any]:
    """y solves A y = t, lane by lane; a batch of systems, and the columns of t, do not mix.

    The solve is kept as one operation: what the solver does inside, such as a factorization, may hide
    its dependence on A, which a further derivative needs. Which axes it mixes is found by following the
    identity through the solver.
    """
    linear = equations.linear_map(step.eqn)
    assert linear is not None
    first = len(operands) - len(step.outputs)  # as many right sides as solutions
    if any(isinstance(x, Lanes) for x in operands[:first]):
        raise NotZeroError("the matrix is a tangent too")
    if len(step.outputs) > 1:
        return lane_by_lane(step.eqn, operands, None)
    value = run.tangent(operands[first], step.outputs[0].aval)
    known = [operands[i] for i in linear.operands if i < first]

    def follow(_: Any) -> list[Any]:
        return run(linear.program, [*known, seed(value.shape, value.dtype)])

    (solution,) = shapes_of(follow)
    mixed = _mixed_axes(run.tangent(solution, step.outputs[0].aval))
    return lane_by_lane(step.eqn, [*operands[:first], value], mixed)


def _mixed_axes(solution: Lanes) -> list[int]:
    """The axes along which an element depends on others than those at its own place."""
    shape = solution.shape
    mixed = set()
    for group in solution.groups:
        index = np.broadcast_to(group.index, (group.lanes, *shape))
        coordinates = np.unravel_index(np.maximum(index, 0).reshape(-1), shape)
        for axis in range(len(shape)):
            own = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
            along = coordinates[axis].reshape(index.shape)
            if not ((along == own) | (index < 0)).all():
                mixed.add(axis)
    return sorted(mixed)
