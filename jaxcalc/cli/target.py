"""What a command works on: an expression or `module:function`, and the values it is called with."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxcalc.call.arguments import positional_names
from jaxcalc.cli.errors import UsageError, users_mistakes
from jaxcalc.cli.expression import function_of
from jaxcalc.cli.values import read_values

_MODULE_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Target:
    """A function of named arguments, and the place to differentiate it at.

    Attributes:
        text: what the user typed.
        call: the function, of exactly the arguments in `names`, by position.
        names: the arguments' names.
        values: their values.
        chosen: positions of the arguments to differentiate with respect to.
    """

    text: str
    call: Callable[..., Any]
    names: tuple[str, ...]
    values: tuple[Any, ...]
    chosen: tuple[int, ...]

    @property
    def chosen_names(self) -> tuple[str, ...]:
        """The names of the arguments to differentiate with respect to."""
        return tuple(self.names[i] for i in self.chosen)


def read_target(text: str, at: Sequence[str], wrt: str | None, dtype: str) -> Target:
    """The function and the values that the command line asks for.

    Raises:
        UsageError: the expression, the module, the values or the names make no sense.
    """
    positional, named = read_values(at, dtype)
    if _MODULE_TARGET.fullmatch(text.strip()):
        f = _imported(text.strip())
        names = _argument_names(f, text.strip(), positional, named)
    else:
        f = function_of(text, otherwise=tuple(named) or ("x",))
        names = _variable_names(f, positional, named)
    return Target(
        text=text,
        call=_by_position(f, len(positional), names),
        names=names,
        values=(*positional, *(named[name] for name in names[len(positional) :])),
        chosen=_positions(wrt, names),
    )


def _variable_names(
    f: Callable[..., Any], positional: Sequence[Any], named: dict[str, Any]
) -> tuple[str, ...]:
    names = tuple(inspect.signature(f).parameters)
    if positional and len(names) > 1:
        example = " ".join(f"{name}=..." for name in names)
        raise UsageError(
            f"--at: the expression has the variables {_listing(names)}; name the values: --at {example}"
        )
    if len(positional) > 1 or (positional and named):
        raise UsageError(
            f"--at: got several values for the one variable {names[0]}; a vector is written 1,2,3"
        )
    unknown = [name for name in named if name not in names]
    if unknown:
        raise UsageError(
            f"--at: no variable {unknown[0]!r} in the expression; it has {_listing(names)}"
        )
    missing = [name for name in names if name not in named] if not positional else []
    if missing:
        raise UsageError(f"no value for {missing[0]}; give one, such as --at {missing[0]}=2")
    return names


def _imported(text: str) -> Callable[..., Any]:
    """The function `module:function`, with the current directory on the import path."""
    module_name, _, path = text.partition(":")
    with _current_directory_importable(), users_mistakes(f"cannot import {module_name}"):
        found: Any = importlib.import_module(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            known = sorted(n for n in vars(found) if not n.startswith("_") and callable(vars(found)[n]))
            hint = f"; it has {_listing(known)}" if known else ""
            raise UsageError(f"{module_name} has no function {path!r}{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{text} is a {type(found).__name__}, not a function")
    return found


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    """As `python -m` does; the console script starts without it."""
    directory = str(Path.cwd())
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)


def _argument_names(
    f: Callable[..., Any], text: str, positional: Sequence[Any], named: dict[str, Any]
) -> tuple[str, ...]:
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # some callables have no signature
        signature = None
    if signature is not None:
        try:
            signature.bind(*positional, **named)
        except TypeError as error:
            if not (positional or named):
                raise UsageError(
                    f"no values to call {text}{signature} with; give them, such as --at "
                    + " ".join(f"{name}=1,2,3" for name in _required(signature))
                ) from None
            raise UsageError(f"--at does not fit {text}{signature}: {error}") from None
    known = positional_names(f)
    unnamed = [f"argument{i}" for i in range(len(known), len(positional))]
    names = (*(known + unnamed)[: len(positional)], *named)
    if not names:
        raise UsageError(f"no values to call {text} with; give them, such as --at 2 or --at x=1,2,3")
    return names


def _required(signature: inspect.Signature) -> list[str]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, p in signature.parameters.items()
        if p.default is inspect.Parameter.empty and p.kind not in variadic
    ]


def _by_position(f: Callable[..., Any], positional: int, names: tuple[str, ...]) -> Callable[..., Any]:
    """f as a function of the arguments `names`; those from number `positional` on go by keyword."""

    def call(*values: Any) -> Any:
        return f(
            *values[:positional], **dict(zip(names[positional:], values[positional:], strict=True))
        )

    kind = inspect.Parameter.POSITIONAL_ONLY
    parameters = [inspect.Parameter(name, kind) for name in names]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__name__ = getattr(f, "__name__", "f")
    return call


def _positions(wrt: str | None, names: tuple[str, ...]) -> tuple[int, ...]:
    if wrt is None:
        return tuple(range(len(names)))
    asked = [name.strip() for name in wrt.split(",")]
    for name in asked:
        if name not in names:
            raise UsageError(f"--wrt: no argument {name!r}; it can be {_listing(names)}")
    return tuple(names.index(name) for name in asked)


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names)
