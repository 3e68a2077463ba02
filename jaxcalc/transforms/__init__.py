"""The transformations: each takes a function and returns the function that is its derivative."""

from jaxcalc.transforms.derivative import derivative, partial_derivative
from jaxcalc.transforms.explain import explain
from jaxcalc.transforms.gradient import gradient, value_and_gradient
from jaxcalc.transforms.hessian import hessian, value_gradient_and_hessian
from jaxcalc.transforms.jacobian import jacobian, value_and_jacobian
from jaxcalc.transforms.prepare import prepare
from jaxcalc.transforms.sparsity import sparsity

__all__ = [
    "derivative",
    "explain",
    "gradient",
    "hessian",
    "jacobian",
    "partial_derivative",
    "prepare",
    "sparsity",
    "value_and_gradient",
    "value_and_jacobian",
    "value_gradient_and_hessian",
]
