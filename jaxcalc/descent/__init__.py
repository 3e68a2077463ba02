"""Gradient descent: the equation, backpropagation, a compiled step, and the whole loop."""

from jaxcalc.descent.backpropagate import backpropagate
from jaxcalc.descent.batches import Batches
from jaxcalc.descent.minimize import minimize
from jaxcalc.descent.minimum import History, Minimum, Progress
from jaxcalc.descent.step import State, Step, make_step
from jaxcalc.descent.update import update

__all__ = [
    "Batches",
    "History",
    "Minimum",
    "Progress",
    "State",
    "Step",
    "backpropagate",
    "make_step",
    "minimize",
    "update",
]
