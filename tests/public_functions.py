"""The public functions that take a function, for tests of what they all have in common."""

from collections.abc import Callable
from typing import Any

import jaxcalc

TRANSFORMATIONS: list[Callable[..., Any]] = [
    jaxcalc.gradient,
    jaxcalc.value_and_gradient,
    jaxcalc.jacobian,
    jaxcalc.value_and_jacobian,
    jaxcalc.hessian,
    jaxcalc.value_gradient_and_hessian,
    jaxcalc.derivative,
]
LOOKING: list[Callable[..., Any]] = [
    jaxcalc.classify,
    jaxcalc.sparsity,
    jaxcalc.explain,
    jaxcalc.check,
    jaxcalc.diagnose,
]
