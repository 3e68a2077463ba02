"""What a transformed function is made of, so that it can be prepared and explained."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NAME = "transformation"  # the attribute of a transformed function


@dataclass(frozen=True)
class Transformation:
    """A call of a public function that takes a function and returns one.

    Attributes:
        api: the name that users import, such as "jaxcalc.jacobian".
        of: the public function.
        f: what it was given first.
        options: everything else, by name.
    """

    api: str
    of: Callable[..., Callable[..., Any]]
    f: Callable[..., Any]
    options: dict[str, Any]

    def applied_to(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """The same of another function."""
        return self.of(f, **self.options)

    def attach(self, made: Callable[..., Any]) -> None:
        """Note on a transformed function what it is made of."""
        setattr(made, _NAME, (weakref.ref(made), self))


def transformation_of(function: Any) -> Transformation | None:
    """What a function is made of; None where it was made by no transformation of this library.

    A wrapper of a transformed function may do something else, though `functools.wraps` copies what is
    noted on that one.
    """
    made, found = getattr(function, _NAME, (None, None))
    return found if made is not None and made() is function else None
