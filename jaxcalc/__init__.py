"""Exact derivatives in JAX, at the cost of their structure, that explain themselves."""

import importlib as _importlib
import typing as _typing

from jaxcalc.kinds import Kind, classify
from jaxcalc.transforms import (
    derivative,
    explain,
    gradient,
    hessian,
    jacobian,
    partial_derivative,
    prepare,
    sparsity,
    value_and_gradient,
    value_and_jacobian,
    value_gradient_and_hessian,
)

if _typing.TYPE_CHECKING:
    from jaxcalc import checking, data, descent, engine, numerical, visual
    from jaxcalc.checking.check import check
    from jaxcalc.checking.diagnose import diagnose
    from jaxcalc.methods.failures import JaxcalcWarning
    from jaxcalc.planning.explanation import Explanation
    from jaxcalc.results.jacobian import Jacobian
    from jaxcalc.results.pattern import SparsityPattern

__version__ = "0.1.0"

__all__ = [
    "Explanation",
    "Jacobian",
    "JaxcalcWarning",
    "Kind",
    "SparsityPattern",
    "check",
    "checking",
    "classify",
    "data",
    "derivative",
    "descent",
    "diagnose",
    "engine",
    "explain",
    "gradient",
    "hessian",
    "jacobian",
    "numerical",
    "partial_derivative",
    "prepare",
    "sparsity",
    "value_and_gradient",
    "value_and_jacobian",
    "value_gradient_and_hessian",
    "visual",
]

# modules that are imported when they are used: a third of the time that the import would take
_WHEN_USED = ("checking", "data", "descent", "engine", "numerical", "visual")
_HOME = {  # what is looked up when it is used, and where it is
    "Explanation": "planning.explanation",
    "Jacobian": "results.jacobian",
    "JaxcalcWarning": "methods.failures",
    "SparsityPattern": "results.pattern",
    "check": "checking",
    "diagnose": "checking",
}


def __getattr__(name: str) -> _typing.Any:
    if name in _WHEN_USED:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _HOME:
        found = getattr(_importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
