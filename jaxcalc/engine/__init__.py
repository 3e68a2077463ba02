"""How derivatives are computed: JAX's dense transformations, and structured propagation.

`coverage()` shows what is done with each primitive of JAX; `register_rule` says it for one that is not
among them. `Lanes` and `Group` are what a rule takes and returns.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from jaxcalc.engine.rules.coverage import coverage
    from jaxcalc.engine.rules.registry import register_rule
    from jaxcalc.engine.tangents.lanes import Group, Lanes

__all__ = ["Group", "Lanes", "coverage", "register_rule"]

_HOME = {
    "Group": "jaxcalc.engine.tangents.lanes",
    "Lanes": "jaxcalc.engine.tangents.lanes",
    "coverage": "jaxcalc.engine.rules.coverage",
    "register_rule": "jaxcalc.engine.rules.registry",
}


def __getattr__(name: str) -> _typing.Any:
    if name in _HOME:
        return getattr(_importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
