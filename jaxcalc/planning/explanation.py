"""An explanation of a derivative: what it is, by which method it goes, what each source line costs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxcalc.planning import mermaid, report
from jaxcalc.planning.findings import Findings, Method


@dataclass(frozen=True)
class Explanation(Findings):
    """What `jaxcalc.explain` returns; `print` it, look at it in a notebook, or take `to_dict()`.

    Attributes:
        term: the field's word for this derivative, such as "Jacobian".
        map: what it maps, such as "float32[3] -> float32[2]".
        format: the format that was asked about.
        pattern: which entries there are; None where it is not known.
        methods: the methods that were compared; the chosen one first, impossible ones last.
        parts: the pieces of f, in order, where it can be cut at bottlenecks.
        blocks: the derivative of each output leaf with respect to each input leaf, if several.
        lines: one for each line of the source, in the order in which they run.
        lines_of: the name of the method that they belong to.
        branches: what branches and loops of the chosen method hold at a time.
        fallbacks: what was treated as dense, with its place.
        measured: what a run took, where that was asked for.
    """

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, as for JSON; the pattern by its counts."""
        found: dict[str, Any] = {
            "term": self.term,
            "map": self.map,
            "format": self.format,
            "methods": (methods := [asdict(method) for method in self.methods]),
            "ways": methods,  # what they were called; goes with the version after this one
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

    def to_mermaid(self) -> str:
        """The plan as a diagram in the language of Mermaid, which notebooks and code hosts draw.

        Returns:
            The lines of f, or the parts that it is cut into, from its input to its output, with the
            lanes and entries that go between them in the direction of the derivative; at most ten,
            others are folded. Beside them the methods that were compared, and the fallbacks.

        Cost: none beside the text.

        Example:
            >>> import jax.numpy as jnp, jaxcalc
            >>> print(jaxcalc.explain(lambda x: x[1:] * x[:-1], jnp.ones(9)).to_mermaid()[:35])
            flowchart TB
            subgraph f["lines of f
        """
        return mermaid.as_mermaid(self)

    @property
    def ways(self) -> Sequence[Method]:
        """Deprecated: `methods`, as they are called now."""
        warnings.warn(
            "jaxcalc.Explanation: ways is deprecated and goes with the next version; use methods",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.methods

    def __str__(self) -> str:
        return report.as_text(self)

    def _repr_html_(self) -> str:
        return report.as_html(self)
