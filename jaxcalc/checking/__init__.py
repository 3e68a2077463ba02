"""Derivatives that are examined: whether they are right, and where NaN and zeros in them come from."""

from jaxcalc.checking.assertions import assert_derivatives
from jaxcalc.checking.check import check
from jaxcalc.checking.diagnose import diagnose
from jaxcalc.checking.findings import Diagnosis, Finding
from jaxcalc.checking.report import CheckFinding, CheckReport, Comparison, DerivativeError

__all__ = [
    "CheckFinding",
    "CheckReport",
    "Comparison",
    "DerivativeError",
    "Diagnosis",
    "Finding",
    "assert_derivatives",
    "check",
    "diagnose",
]
