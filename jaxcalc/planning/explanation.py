"""An explanation of a derivative: what it is, which way it is computed, what each source line costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxcalc.formats.pattern import SparsityPattern
from jaxcalc.planning import report


@dataclass(frozen=True)
class Way:
    """One way to the derivative.

    Attributes:
        name: what is done, such as "structured, forward".
        products: how many products with a vector, or lanes, it takes; None where that is not known.
        work: estimated nanoseconds of a run on a small CPU, beside f itself.
        workspace: estimated bytes beside the result.
        is_chosen: whether this way is the one that is taken.
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
class Branch:
    """A branch of a `cond`, or the body or condition of a loop, in the program that runs.

    Attributes:
        place: file and line, empty for what JAX adds by itself.
        operation: "cond", "while" or "scan".
        branch: "branch 0", "body", "condition".
        computes: "values" for what f computes and the coefficients, "tangents" for the derivative,
            "both" where one program does both.
        peak_bytes: the most that its values take at one time, its results among them; of a loop, in
            one step. Nothing is assumed to be fused.
    """

    place: str
    operation: str
    branch: str
    computes: str
    peak_bytes: int


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
class Explanation:
    """What `jaxcalc.explain` returns; `print` it, look at it in a notebook, or take `to_dict()`.

    Attributes:
        term: the field's word for this derivative, such as "Jacobian".
        map: what it maps, such as "float32[3] -> float32[2]".
        format: the format that was asked about.
        pattern: which entries there are; None where it is not known.
        ways: the ways that were compared; the chosen one first, impossible ones last.
        parts: the pieces of f, in order, where it can be cut at bottlenecks.
        blocks: the derivative of each output leaf with respect to each input leaf, if several.
        lines: one for each line of the source, in the order in which they run.
        lines_of: the name of the way that they belong to.
        branches: what branches and loops of the chosen way hold at a time.
        fallbacks: what was treated as dense, with its place.
        measured: what a run took, where that was asked for.
    """

    term: str
    map: str
    format: str
    pattern: SparsityPattern | None
    ways: Sequence[Way]
    parts: Sequence[Part] = ()
    blocks: Sequence[Block] = ()
    lines: Sequence[Line] = ()
    lines_of: str = ""
    branches: Sequence[Branch] = ()
    fallbacks: Sequence[str] = ()
    measured: Measured | None = None

    @property
    def chosen(self) -> Way:
        """The way that is taken."""
        return next(way for way in self.ways if way.is_chosen)

    @property
    def peak_of_branches(self) -> int:
        """The most bytes that any branch or loop body holds at a time; 0 where there is none."""
        return max((branch.peak_bytes for branch in self.branches), default=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, as for JSON; the pattern by its counts."""
        found: dict[str, Any] = {
            "term": self.term,
            "map": self.map,
            "format": self.format,
            "ways": [asdict(way) for way in self.ways],
            "parts": [asdict(part) for part in self.parts],
            "blocks": [asdict(block) | {"shape": list(block.shape)} for block in self.blocks],
            "lines": [asdict(line) | {"operations": list(line.operations)} for line in self.lines],
            "lines_of": self.lines_of,
            "control_flow": {
                "branches": [asdict(branch) for branch in self.branches],
                "peak_bytes": self.peak_of_branches,
            },
            "fallbacks": list(self.fallbacks),
            "measured": None,
            "pattern": None,
        }
        if self.measured is not None:
            found["measured"] = asdict(self.measured) | {"error": self.measured.error}
        if self.pattern is not None:
            found["pattern"] = {
                "shape": list(self.pattern.shape),
                "nonzeros": self.pattern.nnz,
                "density": self.pattern.density,
                "structure": str(self.pattern.structure),
            }
        return found

    def __str__(self) -> str:
        return report.as_text(self)

    def _repr_html_(self) -> str:
        return report.as_html(self)
