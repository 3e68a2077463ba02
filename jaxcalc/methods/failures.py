"""What is tried before plain JAX, and how it is told that it failed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from traceback import walk_tb
from types import FrameType
from typing import TypeVar

import jax
from jax.extend.core import JaxprEqn

from jaxcalc.call.notes import note
from jaxcalc.call.options import Direction
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.source import (
    file_is_own,
    named_with_line,
    path_within,
    user_level,
    user_line,
)
from jaxcalc.engine.rules.registry import NoRuleError, NoStructureError
from jaxcalc.engine.tangents.entries import TooDenseError
from jaxcalc.engine.walk.program import Step
from jaxcalc.methods.base import Runnable

Method = TypeVar("Method", bound=Direction | Runnable)
Found = TypeVar("Found")
Otherwise = TypeVar("Otherwise")

# what is no fault of a preparation: a run's, or asked for
_RAISED = (MemoryError, FloatingPointError, jax.errors.JaxRuntimeError, NoRuleError)
# the files whose frames are the last ones before those of f
_CALL_F = {"call/arguments.py", "call/flatten.py", "methods/once.py"}


class JaxcalcWarning(UserWarning):
    """Something failed in jaxcalc, and plain JAX gave the derivative, which is right.

    The warning names the place, and asks for a report. Where JAX has no derivative either, its error is
    raised, without a warning.
    """


class Failures:
    """What failed of the methods for one derivative, while plain JAX is there to fall back on.

    Nothing is told before there is a result: where plain JAX raises an error too, that one is shown.

    Attributes:
        failure: the first error of a preparation, if any.
    """

    def __init__(self, api: str) -> None:
        self.failure: Exception | None = None
        self._api = api
        self._turn = ""

    def prepare(self, make: Callable[[], Found], otherwise: Otherwise) -> Found | Otherwise:
        """What `make` gives, or `otherwise` where it fails.

        This is the one place that takes any exception. It is for preparations: traces, plans, walks.
        """
        try:
            return make()
        except _RAISED:
            raise
        except Exception as error:  # noqa: BLE001
            self.failure = self.failure or error
            return otherwise

    def in_turn(
        self, run: Callable[[Method], Found], methods: Sequence[Method]
    ) -> tuple[Method, Found]:
        """The first of these methods that JAX does not refuse, and what `run` gives for it.

        An error of f's own comes by every method, and is raised as it is: the first one. What jaxcalc
        itself refuses, such as an output without a derivative, is raised at once.
        """
        refusal: Exception | None = None
        for method in methods:
            try:
                found = run(method)
            except REFUSALS as error:
                if refusal is None and self._is_refused(error):
                    raise
                refusal = refusal or error
                continue
            if refusal is not None:
                self._turn = (
                    f"{self._api}: JAX has no {_in_words(methods[0])} of this function "
                    f"({_first_line(refusal)}); {_in_words(method)} was taken instead. "
                    "Give mode= to spare the attempt"
                )
            return method, found
        assert refusal is not None
        raise refusal

    @property
    def failed(self) -> str:
        """What failed and where.

        Empty where nothing did: f itself may raise while it is traced, and jaxcalc may refuse what it
        knows to be impossible.
        """
        error = self.failure
        if error is None or is_of_f(error) or isinstance(error, TooDenseError | NoStructureError):
            return ""
        return "" if self._is_refused(error) else described(error)

    def _is_refused(self, error: Exception) -> bool:
        """Whether jaxcalc refuses to do what it was asked for: such errors begin with its name."""
        return str(error).startswith("jaxcalc.")

    def tell(self) -> None:
        """Warn of what failed, now that there is a result, and note the other direction."""
        if self._turn:
            note(self._turn, where=user_line())
        if self.failed:
            warnings.warn(
                f"{self._api}: {self.failed}. The result is plain JAX's, which is right, and takes "
                "what JAX takes. This is a fault in jaxcalc: please report it, with the function and "
                "the versions of jaxcalc and JAX.",
                JaxcalcWarning,
                stacklevel=user_level(),
            )


def _in_words(method: Direction | Runnable) -> str:
    return f"{method} mode" if isinstance(method, str) else method.words


def described(error: Exception) -> str:
    """An error, where in jaxcalc it came up, and at which operation of f."""
    frames = _own_frames(error)
    eqn = next((eqn for frame in reversed(frames) for eqn in _equations(frame)), None)
    where = [] if eqn is None else [f"at {named_with_line(eqn)}"]
    if frames:
        code = frames[-1].f_code
        where.append(f"in {path_within(code.co_filename)}, {code.co_qualname}")
    return f"finding the structure failed {' '.join(where)} ({_first_line(error)})"


def is_of_f(error: Exception) -> bool:
    """Whether f itself raised an error, or JAX where f called it."""
    frames = _own_frames(error)
    return bool(frames) and path_within(frames[-1].f_code.co_filename) in _CALL_F


def _own_frames(error: Exception) -> list[FrameType]:
    """The frames of jaxcalc that an error passed through, without this file's, the innermost last."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return [
        frame
        for frame in frames
        if file_is_own(frame.f_code.co_filename) and frame.f_code.co_filename != __file__
    ]


def _equations(frame: FrameType) -> list[JaxprEqn]:
    """The equations that a frame is about."""
    values = frame.f_locals.values()
    found = [value.eqn if isinstance(value, Step) else value for value in values]
    return [eqn for eqn in found if isinstance(eqn, JaxprEqn)]


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n", 1)[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def reason(error: Exception) -> str:
    """What an error says, in one line and without the name of the public function."""
    text = str(error).split("\n", 1)[0]
    return (text.split(": ", 1)[1] if text.startswith("jaxcalc.") else text).rstrip(".")
