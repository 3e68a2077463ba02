"""Exact derivatives in JAX, at the cost of their structure, that explain themselves."""

from jaxcalc import descent, numerical
from jaxcalc.kinds import Kind, classify
from jaxcalc.transforms import (
    derivative,
    gradient,
    hessian,
    jacobian,
    partial_derivative,
    sparsity,
    value_and_gradient,
    value_and_jacobian,
    value_gradient_and_hessian,
)

__version__ = "0.1.0"

__all__ = [
    "Kind",
    "classify",
    "derivative",
    "descent",
    "gradient",
    "hessian",
    "jacobian",
    "numerical",
    "partial_derivative",
    "sparsity",
    "value_and_gradient",
    "value_and_jacobian",
    "value_gradient_and_hessian",
]
