"""Mistakes that a user of the command line can make, and how they are told."""

from __future__ import annotations

import importlib
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

import jaxcalc

# What a user's module or function may raise. A list, so that Ctrl-C and bugs of another kind pass.
RAISED_BY_USERS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)

_LIBRARIES = tuple(
    str(Path(module.__file__).parent) for module in (jax, jaxcalc, importlib) if module.__file__
)
# a call with options of its own, such as jaxcalc.jacobian(f, holomorphic=True), is Python and stays
_COMMAND = re.compile(
    r"\bjaxcalc\.(?:partial_)?(classify|derivative|gradient|jacobian|hessian|explain|check|diagnose)\b"
    r"(?:\(f\))?(?![(=])"
)
_OPTION = re.compile(r"\bargnums or argnames\b")


class UsageError(Exception):
    """A mistake in what was typed; its text is the whole message."""


@contextmanager
def users_mistakes(doing: str) -> Iterator[None]:
    """Turn what the user's own code raises inside the block into a `UsageError`.

    `doing` says what was under way, e.g. `"importing my_module"`. A message of jaxcalc's own says
    what to do already, and stays as it is, without the name of the Python function.
    """
    try:
        yield
    except UsageError:
        raise
    except RAISED_BY_USERS as error:
        text = str(error)
        if text.startswith("jaxcalc."):
            raise UsageError(in_shell_words(text.split(": ", 1)[-1])) from error
        summary = text.strip().split("\n", 1)[0]
        raise UsageError(f"{doing}: {type(error).__name__}: {summary}{_place(error)}") from error


def in_shell_words(text: str) -> str:
    """A message in which functions of Python are named by the commands that stand for them."""
    return _OPTION.sub("--wrt", _COMMAND.sub(r"jaxcalc \1", text))


def _place(error: BaseException) -> str:
    """Where the user's own code raised, when it did."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*_LIBRARIES, "<"))]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
