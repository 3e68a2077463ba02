"""What a check found: the comparisons that were made, and where they did not agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from math import isfinite
from typing import Any, Literal

from jaxcalc.display.tables import Table, as_html, as_text

FindingKind = Literal[
    "wrong derivative",
    "modes disagree",
    "structure disagrees",
    "not linear",
    "not finite",
    "not symmetric",
    "not holomorphic",
    "kink",
    "discontinuity",
    "undetermined",
]
HARMLESS = {"kink", "discontinuity", "undetermined"}  # they say something of f, not of its derivative
_NUMBERS = ("numbers", "to within", "worst / allowed")  # columns of the table


class DerivativeError(AssertionError):
    """A derivative that a check found wrong; its text is the report.

    Attributes:
        report: the `CheckReport`.
    """

    def __init__(self, report: CheckReport) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class CheckFinding:
    """One place where numbers do not agree, or where there is nothing to compare.

    Attributes:
        kind: what is the matter; `kink`, `discontinuity` and `undetermined` do not fail a check.
        subject: the derivative in question, such as "Jacobian" or "Hessian".
        output: the element of the output, such as `output['a'][2]`.
        input: the element of the arguments, such as `parameters['w'][0,1]`, or what was moved.
        exact: the exact value, if there is one.
        other: what it was compared with.
        difference: how far they are apart.
        error: how far `other` may be from what it stands for.
        times: the difference, as a multiple of what is tolerated: how sure the finding is.
        message: all of it in a sentence.
    """

    kind: FindingKind
    subject: str
    output: str
    input: str
    exact: float
    other: float
    difference: float
    error: float
    times: float
    message: str

    @property
    def fails(self) -> bool:
        """Whether the derivative is wrong, rather than f not smooth."""
        return self.kind not in HARMLESS

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same numbers.

    Attributes:
        name: which ways.
        numbers: how many numbers were compared.
        undecided: how many of them could not be.
        worst: the largest difference, as a multiple of what is tolerated.
        sharpness: what is tolerated, relative to the numbers, for half of them; infinite for none.
        note: why a comparison was left out, or what is special about it.
    """

    name: str
    numbers: int
    undecided: int = 0
    worst: float = 0.0
    sharpness: float = float("inf")
    note: str = ""


@dataclass(frozen=True)
class CheckReport:
    """What `jaxcalc.check` returns: true when it passed, so that `assert jaxcalc.check(f, x)` tests.

    `print` it, look at it in a notebook, or take `to_dict()`.

    Attributes:
        term: the field's word for this derivative, such as "Jacobian".
        map: what it maps, such as "float32[3] -> float32[2]".
        comparisons: what was compared with what.
        findings: where it did not agree, worst first; empty when all is well.
        arguments: the names of the arguments that were looked at.
    """

    term: str
    map: str
    comparisons: Sequence[Comparison]
    findings: Sequence[CheckFinding]
    arguments: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether no derivative was found wrong. Kinks, and what no number can decide, do not count."""
        return not any(finding.fails for finding in self.findings)

    def __bool__(self) -> bool:
        return self.passed

    def raise_if_failed(self) -> CheckReport:
        """This report, if it passed.

        Raises:
            DerivativeError: an `AssertionError` with the report as its text.
        """
        if not self.passed:
            raise DerivativeError(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, as for JSON."""
        return {
            "passed": self.passed,
            "term": self.term,
            "map": self.map,
            "arguments": list(self.arguments),
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "findings": [asdict(finding) | {"fails": finding.fails} for finding in self.findings],
        }

    def __str__(self) -> str:
        return as_text([self._verdict(), self._table(), *map(str, self.findings)])

    def _repr_html_(self) -> str:
        findings = "".join(f"<li>{escape(str(finding))}</li>" for finding in self.findings)
        listed = f"<ul>{findings}</ul>" if findings else ""
        return f"<div><strong>{escape(self._verdict())}</strong>{as_html(self._table())}{listed}</div>"

    def _verdict(self) -> str:
        if not self.passed:
            verdict = "FAILED"
        elif self.findings:
            verdict = "passed, with remarks"
        else:
            verdict = "passed"
        arguments = f" (with respect to {', '.join(self.arguments)})" if self.arguments else ""
        return f"{self.term}: {self.map}: {verdict}{arguments}"

    def _table(self) -> Table:
        rows = []
        for each in self.comparisons:
            decided = each.numbers - each.undecided
            count = f"{each.numbers:,}" if not each.undecided else f"{decided:,} of {each.numbers:,}"
            shown = decided > 0
            rows.append(
                [
                    each.name,
                    count if each.numbers else "",
                    f"{each.sharpness:.1e}" if shown and isfinite(each.sharpness) else "",
                    f"{each.worst:.2g}" if shown else "",
                    each.note,
                ]
            )
        return Table("", ["compared", *_NUMBERS, "note"], rows, _NUMBERS)
