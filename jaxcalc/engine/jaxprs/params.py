"""Where `eqn.params` is read: a param that is missing, or of another kind, is an error that says so.

JAX may lay out the params of its primitives anew in any version. `equations`, `bodies` and `layouts`
know each layout; all of them read through this module.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

NEWEST_TESTED = "0.12.0.1"  # the newest JAX that the whole test suite passes with

_MISSING = object()
# JAX keeps numbers of numpy and lists where it was given them
_WIDER: dict[type, Any] = {int: SupportsIndex, bool: bool | np.bool_, tuple: tuple | list}


class UnknownLayoutError(RuntimeError):
    """The installed JAX lays out the params of a primitive as none that jaxcalc was tested with."""

    def __init__(self, eqn: JaxprEqn, found: str) -> None:
        super().__init__(
            f"jaxcalc: JAX {jax.__version__} lays out the parameters of {eqn.primitive.name!r} as no "
            f"JAX that jaxcalc knows; the newest it is tested with is JAX {NEWEST_TESTED}. {found}. "
            f"Update jaxcalc, or install jax<={NEWEST_TESTED}."
        )


def arguments(eqn: JaxprEqn) -> dict[str, Any]:
    """All params, whatever they are."""
    return eqn.params


def changed(eqn: JaxprEqn, **new: Any) -> JaxprEqn:
    """The same equation with other values of some params."""
    return eqn.replace(params={**eqn.params, **new})


def has_param(eqn: JaxprEqn, name: str) -> bool:
    """Whether an equation has a param of this name: what tells one layout from another."""
    return name in eqn.params


def param(eqn: JaxprEqn, name: str, *kinds: type) -> Any:
    """A param of an equation, which must be there and be of one of these kinds.

    Raises:
        UnknownLayoutError: it is neither.
    """
    found = eqn.params.get(name, _MISSING)
    if found is _MISSING:
        raise UnknownLayoutError(eqn, f"It has no {name!r}, but {', '.join(sorted(eqn.params))}")
    return _of_kind(eqn, name, found, kinds)


def part(eqn: JaxprEqn, name: str, attribute: str, *kinds: type) -> Any:
    """An attribute of a param, such as one of its named fields, of one of these kinds.

    Raises:
        UnknownLayoutError: the param or the attribute is not there, or is of another kind.
    """
    found = getattr(param(eqn, name), attribute, _MISSING)
    if found is _MISSING:
        raise UnknownLayoutError(eqn, f"Its {name!r} has no {attribute!r}")
    return _of_kind(eqn, f"{name}.{attribute}", found, kinds)


def program(eqn: JaxprEqn, name: str) -> ClosedJaxpr:
    """A param that is a program, with the values of its constants.

    Raises:
        UnknownLayoutError: it is not.
    """
    return closed(param(eqn, name, ClosedJaxpr, Jaxpr))


def closed(found: Any) -> ClosedJaxpr:
    """A program with the values of its constants: until JAX 0.10 one without them has another class."""
    return found if isinstance(found, ClosedJaxpr) else ClosedJaxpr(found, ())


def _of_kind(eqn: JaxprEqn, name: str, found: Any, kinds: tuple[type, ...]) -> Any:
    if kinds and not any(isinstance(found, _WIDER.get(kind, kind)) for kind in kinds):
        raise UnknownLayoutError(eqn, f"Its {name!r} is of type {type(found).__name__}")
    return found
