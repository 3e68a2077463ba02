"""What a diagnosis consists of: findings, each with a cause, a place and a way to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal

from jaxcalc.display.tables import Table, as_html
from jaxcalc.engine.jaxprs.source import Place

Severity = Literal["error", "warning", "note"]
Kind = Literal["value", "derivative", "zero gradient", "kink", "scale", "precision", "limit"]

_ORDER: dict[str, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that one should know.

    Attributes:
        severity: "error" for NaN and infinities, "warning" for what most likely was not meant, such
            as a gradient that is zero throughout, "note" for what is right but may surprise.
        kind: what it is about: "value", "derivative", "zero gradient", "kink", "scale", "precision",
            or "limit" for what was not looked at.
        cause: what happens, in one sentence.
        advice: what to do about it, in one sentence.
        file: the file of the user's line; empty where no line makes it, such as a NaN in an argument.
        line: its number, 0 where there is none.
        inside: the line of a package that the user's line calls, such as `norms.py:7`; may be empty.
        argument: the argument that it is about, such as `parameters['w']`; may be empty.
        operation: the primitive of JAX that does it; may be empty.
        step: which step of which loop it happens in; empty outside of loops.
    """

    severity: Severity
    kind: Kind
    cause: str
    advice: str
    file: str = ""
    line: int = 0
    inside: str = ""
    argument: str = ""
    operation: str = ""
    step: str = ""

    @property
    def place(self) -> str:
        """The user's line, such as `model.py:41` or `In[3]:2`, then that of a package; may be empty."""
        return str(Place(self.file, self.line, self.inside)) if self.file else ""

    def __str__(self) -> str:
        where = ", ".join(filter(None, (self.place, self.step)))
        head = f"{self.severity}: {where}: {self.cause}" if where else f"{self.severity}: {self.cause}"
        return f"{head}\n  {self.advice}"

    def _repr_html_(self) -> str:
        return _in_html("", [self])


@dataclass(frozen=True)
class Diagnosis:
    """What `jaxcalc.diagnose` returns: true when f is healthy, so that it can be asserted.

    `print` it, look at it in a notebook, or take `to_dict()`.

    Attributes:
        function: the name of f.
        findings: errors first, then warnings, then notes; in each, in the order in which f runs.
        equations: how many equations of f were run, the steps of loops counted one by one.
        arguments: the names of the arguments that were looked at.
    """

    function: str
    findings: Sequence[Finding]
    equations: int
    arguments: Sequence[str] = ()

    @property
    def healthy(self) -> bool:
        """Whether there is neither an error nor a warning; notes tell of no fault."""
        return all(finding.severity == "note" for finding in self.findings)

    def __bool__(self) -> bool:
        return self.healthy

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, as for JSON."""
        return {
            "function": self.function,
            "healthy": self.healthy,
            "equations": self.equations,
            "arguments": list(self.arguments),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        return "\n".join([self._summary(), *map(str, self.findings)])

    def _repr_html_(self) -> str:
        if not self.findings:
            return f"<p>{escape(self._summary())}</p>"
        return _in_html(self._summary(), self.findings)

    def _summary(self) -> str:
        run = f"{self.equations:,} equation{'' if self.equations == 1 else 's'} run"
        if len(self.arguments) > 1:
            run += f", with respect to {', '.join(self.arguments)}"
        if not self.findings:
            return f"{self.function}: healthy, nothing found ({run})"
        counts = [
            f"{count} {severity}{'' if count == 1 else 's'}"
            for severity in _ORDER
            if (count := sum(f.severity == severity for f in self.findings))
        ]
        healthy = "healthy, " if self.healthy else ""
        return f"{self.function}: {healthy}{', '.join(counts)} ({run})"


def _in_html(title: str, findings: Sequence[Finding]) -> str:
    rows = [
        (f.severity, " ".join(filter(None, (f.place, f.step))), f.cause, f.advice) for f in findings
    ]
    return as_html(Table(title, ("", "line", "cause", "what to do"), rows))


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings without repetitions, the grave ones first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: _ORDER[finding.severity]))
