"""Numerical derivatives: from values of f alone, each with an estimate of its error.

They share nothing with the exact ones but the definition of a derivative, so they check them; and
they show the limit that a derivative is (`difference_quotients`). They cost many evaluations of f.
"""

from jaxcalc.numerical.derivatives import derivative, gradient, hessian, jacobian
from jaxcalc.numerical.differences import DifferenceQuotients, difference_quotients
from jaxcalc.numerical.estimate import Estimate

__all__ = [
    "DifferenceQuotients",
    "Estimate",
    "derivative",
    "difference_quotients",
    "gradient",
    "hessian",
    "jacobian",
]
