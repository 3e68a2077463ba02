"""What a descent found, and how it got there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxcalc.display.tables import Table, as_html
from jaxcalc.space import Side


class History(NamedTuple):
    """Loss and gradient norm, step by step.

    Attributes:
        loss: entry k is the loss that step k + 1 started from.
        gradient_norm: entry k is the Euclidean norm of the gradient that step k + 1 followed.
    """

    loss: np.ndarray
    gradient_norm: np.ndarray


class Progress(NamedTuple):
    """What a callback is told.

    Attributes:
        step: steps made so far.
        parameters: the parameters after that step.
        value: the loss that the step started from, the latest entry of the history.
        gradient_norm: the norm of the gradient that it followed.
    """

    step: int
    parameters: Any
    value: float
    gradient_norm: float


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a descent ended; `str` gives one line, and the advice after a divergence.

    Attributes:
        parameters: the parameters, of the structure, shapes and dtypes given. After a divergence
            they are the last ones at which loss and gradient were finite.
        value: the loss there; with minibatches, on the latest batch.
        gradient_norm: the Euclidean norm of the gradient there, over all leaves.
        steps: how many steps lead from the initial parameters to these.
        converged: whether the gradient norm came down to the tolerance.
        reason: why it stopped: "converged", "steps" (all of them were made), "callback" (it returned
            True), "batches ended", or "diverged: loss is not finite at step 41" (or gradient).
        history: loss and gradient norm at the start of each of these steps, arrays of shape
            `(steps,)`.
    """

    parameters: Any
    value: float
    gradient_norm: float
    steps: int
    converged: bool
    reason: str
    history: History = field(repr=False)

    @property
    def advice(self) -> str:
        """What to do after a divergence, in the words of `jaxcalc.diagnose`; empty after others."""
        if not self.reason.startswith("diverged"):
            return ""
        part = "derivative" if "gradient" in self.reason else "value"
        here = math.isfinite(self.value) and math.isfinite(self.gradient_norm)
        when = "the parameters one step on" if here else "these parameters"
        return (
            f"jaxcalc.diagnose(loss, parameters, ...) at {when} names the line that makes the {part} "
            "NaN or infinite; a smaller learning rate may keep away from it."
        )

    def __str__(self) -> str:
        why = {"steps": "stopped", "callback": "stopped by the callback"}.get(self.reason, self.reason)
        count = f"{self.steps:,} step{'' if self.steps == 1 else 's'}"
        line = f"{why} after {count}: loss {self.value:.6g}, gradient norm {self.gradient_norm:.3g}"
        return f"{line}\n{self.advice}" if self.advice else line

    def _repr_html_(self) -> str:
        rows = [
            ("stopped by", self.reason),
            ("steps", f"{self.steps:,}"),
            ("loss", f"{self.value:.6g}"),
            ("gradient norm", f"{self.gradient_norm:.3g}"),
            ("parameters", str(Side.of(self.parameters))),
        ]
        if self.advice:
            rows.append(("advice", self.advice))
        return as_html(Table("", (), rows))
