"""What pictures and tables ask of a sparsity pattern."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from jaxcalc.engine.patterns.structure import Entries, Structure


class Pattern(Entries, Protocol):
    """A pattern that can say how full it is, and what it looks like."""

    # `dataclasses.replace` makes another one of its kind
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def density(self) -> float:
        """The share of the matrix that the entries fill."""

    @property
    def structure(self) -> Structure:
        """What the pattern looks like."""
