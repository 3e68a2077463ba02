"""Loops, branches and solvers whose operands are structured tangents.

A handler takes the step, its operands, and `run`, which runs a body on any mix of structured tangents,
traced arrays and known ones.
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxcalc.engine.walk.branches import cond
from jaxcalc.engine.walk.loops import scan, while_loop
from jaxcalc.engine.walk.operands import Run
from jaxcalc.engine.walk.program import Step
from jaxcalc.engine.walk.solve import linear_solve

HANDLERS: dict[str, Callable[[Run, Step, Sequence[Any]], Sequence[Any]]] = {
    "scan": scan,
    "while": while_loop,
    "cond": cond,
    "custom_linear_solve": linear_solve,
}

__all__ = ["HANDLERS", "Run"]
