"""What all methods for a derivative have in common: what each of them takes, and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jaxcalc.engine.jaxprs.branches import Branch


@dataclass(frozen=True)
class Outcome:
    """What a run gives, as pytrees: what was not asked for is None, and so is a Jacobian's gradient."""

    value: Any
    gradient: Any
    aux: Any
    derivative: Any


class Figures(NamedTuple):
    """What a method takes.

    Attributes:
        products: how many products with a vector, or lanes.
        work: estimated nanoseconds, beside f itself.
        workspace: estimated bytes beside the result.
        block: how many of the products are done at a time, at the most.
        blocks: in how many turns that is.
    """

    products: int
    work: float
    workspace: int
    block: int | None = None
    blocks: int = 1


class Runnable(Protocol):
    """A method through JAX's own transformations, made ready for one call."""

    @property
    def words(self) -> str:
        """What JAX is asked for, such as "forward mode"."""

    def run(self) -> Outcome:
        """The derivative, with value, gradient and aux."""


class Prepared(Runnable, Protocol):
    """One that gives a whole derivative, and says what it takes."""

    @property
    def name(self) -> str:
        """What is done, such as "dense, forward"."""

    @property
    def note(self) -> str:
        """What is special about it."""

    @property
    def is_optional(self) -> bool:
        """Whether the next method is taken where this one turns out not to be possible."""

    @property
    def figures(self) -> Figures:
        """What it takes; asking raises what a run would raise."""

    @property
    def parts(self) -> Sequence[Part]:
        """The pieces of f, where it is cut."""

    def branches(self) -> list[Branch]:
        """What branches and loops of the program that runs hold."""


@dataclass(frozen=True)
class Impossible:
    """A method that cannot be taken, and why: in words, and the error, where one says so."""

    name: str
    reason: str
    error: Exception | None = None


@dataclass(frozen=True)
class Part:
    """A piece of f between two bottlenecks, whose Jacobian is one factor of the product.

    Attributes:
        ends: the source line that makes what goes out of it.
        inputs: how many numbers come in.
        outputs: how many go out: the width of the cut.
        direction: "forward" or "reverse".
    """

    ends: str
    inputs: int
    outputs: int
    direction: str
