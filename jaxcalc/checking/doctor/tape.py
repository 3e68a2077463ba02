"""The record of one evaluation of f: every equation that ran, with its values, loops step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.source import Place

# What JAX gives a derivative of zero, on purpose or because the function is piecewise constant.
CONSTANT = frozenset({"floor", "ceil", "round", "sign", "stop_gradient", "bitcast_convert_type"})

# What changes the shape of an array and none of its numbers.
MOVES = frozenset({"broadcast_in_dim", "reshape", "squeeze", "copy", "transpose", "expand_dims"})

# not the names of primitives: JAX has a split of its own
JOIN = "(join)"  # the end of a loop or a branch: hands on its values
SPLIT = "(steps)"  # a scanned array taken apart into steps
GATHER_STEPS = "(all steps)"  # the results of all steps, stacked


@dataclass(eq=False)
class Event:
    """One equation as it ran, or what a loop does between its steps.

    Attributes:
        name: the primitive, or one of `JOIN`, `SPLIT` and `GATHER_STEPS`.
        eqn: the equation; None for what a loop does between its steps.
        inputs: the numbers of the values that it read.
        outputs: those of the values that it made.
        place: the user's line.
        calls: the functions that it is inside of, outermost first, such as `("norm",)`.
        step: which steps of which loops it ran in, such as "step 3 of a scan"; empty outside of loops.
        axis_reversed: whether the steps are stacked from the last to the first.
    """

    name: str
    eqn: JaxprEqn | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    place: Place | None
    calls: tuple[str, ...] = ()
    step: str = ""
    axis_reversed: bool = False


@dataclass
class Tape:
    """Values by number, and the events that made and used them.

    Attributes:
        events: in the order in which they ran.
        values: by number.
        is_active: by number, whether the value depends on a chosen argument by way of operations
            that have a derivative.
        made_by: by number, the event, or None for arguments and constants.
        leaves: the numbers of the leaves that the derivative is taken with respect to.
        outputs: the numbers of the leaves of f's output.
        constants: the numbers of literals and captured values.
        cut_short: the loops that were run as one event, since they are too long to follow.
    """

    events: list[Event] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    is_active: list[bool] = field(default_factory=list)
    made_by: list[Event | None] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    constants: set[int] = field(default_factory=set)
    cut_short: list[Event] = field(default_factory=list)
    _bad: dict[int, bool] = field(default_factory=dict)

    def add(self, value: Any, *, active: bool = False, event: Event | None = None) -> int:
        """Keep a value; returns its number."""
        self.values.append(value)
        self.is_active.append(active)
        self.made_by.append(event)
        return len(self.values) - 1

    def constant(self, value: Any) -> int:
        """Keep a literal or a captured value."""
        number = self.add(value)
        self.constants.add(number)
        return number

    def record(self, event: Event, results: Sequence[Any]) -> tuple[int, ...]:
        """Keep an event and what it made."""
        from_active = any(self.is_active[i] for i in event.inputs) and event.name not in CONSTANT
        event.outputs = tuple(
            self.add(x, active=from_active and is_inexact(x), event=event) for x in results
        )
        self.events.append(event)
        return event.outputs

    def array(self, number: int) -> np.ndarray:
        """A value as numpy."""
        return np.asarray(self.values[number])

    def is_bad(self, number: int) -> bool:
        """Whether a value holds NaN or an infinity."""
        if number not in self._bad:
            self._bad[number] = not_finite(self.values[number])
        return self._bad[number]

    def uses(self) -> dict[int, list[tuple[Event, int]]]:
        """For each value, who reads it, and as which operand."""
        found: dict[int, list[tuple[Event, int]]] = {}
        for event in self.events:
            for slot, number in enumerate(event.inputs):
                found.setdefault(number, []).append((event, slot))
        return found

    def reaching(self) -> set[int]:
        """The values that the output was made of."""
        found = set(self.outputs)
        for event in reversed(self.events):
            if not found.isdisjoint(event.outputs):
                found.update(event.inputs)
        return found


def is_inexact(x: Any) -> bool:
    """Whether a value is a real or complex array."""
    return equations.is_inexact(x) or isinstance(x, float | complex)


def not_finite(x: Any) -> bool:
    """Whether a value holds NaN or an infinity."""
    return is_inexact(x) and not bool(finite(x).all())


def finite(x: Any) -> np.ndarray:
    """Which elements are finite numbers."""
    array = np.asarray(x)
    if not is_inexact(array):
        return np.ones(array.shape, bool)
    return np.asarray(np.isfinite(array))


def is_zero(x: Any) -> bool:
    """Whether a cotangent or a tangent is exactly zero, or was never there."""
    return x is None or not bool(np.any(np.asarray(x) != 0))


def magnitude(x: Any) -> float:
    """The largest absolute number in a cotangent; 0 where there is none."""
    return 0.0 if x is None else float(np.max(np.abs(np.asarray(x)), initial=0.0))


def is_key(x: Any) -> bool:
    """Whether a value is a random key, which numpy cannot hold."""
    return bool(jnp.issubdtype(getattr(x, "dtype", np.float32), jax.dtypes.extended))
