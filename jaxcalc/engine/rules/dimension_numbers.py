"""Which axes of a matrix product are contracted, which are batched, and which are free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Contraction:
    """A `dot_general` seen from its tangent operand t, the other one being o.

    Attributes:
        batch: the batch axes of t, and of o.
        contracted: the contracted axes of t, and of o.
        free: the other axes of t, and of o.
        tangent_first: whether t is the left operand, so that its free axes come first.
        options: precision and accumulation type.
    """

    batch: tuple[tuple[int, ...], tuple[int, ...]]
    contracted: tuple[tuple[int, ...], tuple[int, ...]]
    free: tuple[tuple[int, ...], tuple[int, ...]]
    tangent_first: bool
    options: dict[str, Any]

    def result_axes(self, batch: list[Any], of_t: list[Any], of_o: list[Any]) -> list[Any]:
        """Things given per axis, in the order of the result's axes."""
        return [*batch, *of_t, *of_o] if self.tangent_first else [*batch, *of_o, *of_t]
