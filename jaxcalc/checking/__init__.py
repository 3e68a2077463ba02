"""Derivatives that are examined: whether they are right, and where NaN and zeros in them come from."""

from jaxcalc.checking.diagnose import diagnose
from jaxcalc.checking.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
