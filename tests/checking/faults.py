"""Faults in functions of JAX, each with the cause and the line that a diagnosis must name.

The line of a fault is the one with `# <-`; a function without that mark has a fault that no
line makes. They are in the modules `faults_*`; `catalogue` has them all.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fault:
    """A function with a fault, and what has to be found."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    severity: str
    kind: str
    cause: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> int:
        """The number of the marked line; 0 where no line is marked."""
        lines, first = inspect.getsourcelines(self.function)
        marked = [n for n, text in enumerate(lines) if "# <-" in text]
        return first + marked[0] if marked else 0


FAULTS: list[Fault] = []


def fault(severity: str, kind: str, cause: str, *args: Any, **options: Any) -> Callable[[Any], Any]:
    """Add a function to the catalogue; its docstring is the name of the fault."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = inspect.getdoc(function) or function.__name__
        if function.__code__ not in (known.function.__code__ for known in FAULTS):
            # a module that pytest imports by a second name does not count twice
            FAULTS.append(Fault(name, function, args, severity, kind, cause, options))
        return function

    return register


def matches(f: Fault, finding: Any) -> bool:
    """Whether a finding is the one that a fault calls for."""
    told = (finding.severity, finding.kind, finding.line) == (f.severity, f.kind, f.line)
    return told and f.cause in finding.cause and bool(finding.advice)


def vector(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)
