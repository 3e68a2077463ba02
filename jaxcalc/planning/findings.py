"""What is found out about a derivative: what it is, the methods for it, what each source line costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxcalc.engine.jaxprs.branches import Branch
from jaxcalc.methods.base import Part
from jaxcalc.results.pattern import SparsityPattern


@dataclass(frozen=True)
class Method:
    """One method for the derivative.

    Attributes:
        name: what is done, such as "structured, forward".
        products: how many products with a vector, or lanes, it takes; None where that is not known.
        work: estimated nanoseconds of a run on a small CPU, beside f itself.
        workspace: estimated bytes beside the result.
        is_chosen: whether this method is the one that is taken.
        note: what is special about it, or why it is not possible.
        is_possible: whether it can be taken at all.
        block: how many of the products are done at a time, at the most.
        blocks: in how many turns that is.
    """

    name: str
    products: int | None
    work: float | None
    workspace: int | None
    is_chosen: bool = False
    note: str = ""
    is_possible: bool = True
    block: int | None = None
    blocks: int = 1


@dataclass(frozen=True)
class Line:
    """What a line of the source adds to the cost of the walk.

    Attributes:
        place: file and line, empty for what JAX adds by itself.
        operations: the operations, in order of their first use.
        lanes: the most inputs that an element of a value made here is kept for.
        entries: the most entries of a value made here.
        work: estimated nanoseconds.
        note: whether the derivative has its most lanes from here on.
    """

    place: str
    operations: tuple[str, ...]
    lanes: int
    entries: int
    work: float
    note: str = ""


@dataclass(frozen=True)
class Block:
    """The derivative of one output leaf with respect to one input leaf.

    Attributes:
        output: the path of the output leaf, such as "['a']".
        input: that of the input leaf.
        shape: of the block, the shape of the output leaf and then that of the input leaf.
        nonzeros: how many entries it has.
        structure: in words.
    """

    output: str
    input: str
    shape: tuple[int, ...]
    nonzeros: int
    structure: str


@dataclass(frozen=True)
class Measured:
    """What a run took.

    Attributes:
        seconds: the median of several runs.
        seconds_of_f: that of f alone.
        seconds_to_compile: for tracing and compiling.
        estimated_seconds: what `work` says of the whole program, f included.
        workspace: bytes that the compiled program allocates beside its results; None where the
            platform does not say.
        output: bytes of the results.
    """

    seconds: float
    seconds_of_f: float
    seconds_to_compile: float
    estimated_seconds: float
    workspace: int | None
    output: int | None

    @property
    def error(self) -> float:
        """How many times longer the run took than was estimated."""
        return self.seconds / self.estimated_seconds if self.estimated_seconds else float("inf")


@dataclass(frozen=True)
class Findings:
    """What an `Explanation` shows; its attributes are described there."""

    term: str
    map: str
    format: str
    pattern: SparsityPattern | None
    methods: Sequence[Method]
    parts: Sequence[Part] = ()
    blocks: Sequence[Block] = ()
    lines: Sequence[Line] = ()
    lines_of: str = ""
    branches: Sequence[Branch] = ()
    fallbacks: Sequence[str] = ()
    measured: Measured | None = None

    @property
    def chosen(self) -> Method:
        """The method that is taken."""
        return next(method for method in self.methods if method.is_chosen)

    @property
    def peak_of_branches(self) -> int:
        """The most bytes that any branch or loop body holds at a time; 0 where there is none."""
        return max((branch.peak_bytes for branch in self.branches), default=0)
