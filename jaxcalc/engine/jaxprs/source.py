"""Where in the user's code an equation was made."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import PurePath
from traceback import walk_tb
from types import FrameType
from typing import Any, NamedTuple

import jax
from jax.extend.core import JaxprEqn

# where JAX traces a function: before JAX 0.10 the frames of its first call, perhaps another one, follow
_TRACES = ("trace_to_jaxpr", "trace_to_jaxpr_dynamic")
_OWN = f"{PurePath(__file__).parents[2]}{os.sep}"
_PACKAGES = PurePath(str(jax.__file__)).parents[1]
_JAX = tuple(f"{_PACKAGES / name}{os.sep}" for name in ("jax", "jaxlib"))
_SITE = tuple({f"{sysconfig.get_path(name)}{os.sep}" for name in ("purelib", "platlib")})
_INSTALLED = tuple({f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")})


class Place(NamedTuple):
    """A line of the user's code; `str` gives it as `file.py:12`, in a notebook as `In[3]:12`.

    Attributes:
        file: the file.
        line: the number of the line.
        inside: the line of a package that the user's line calls, as `norms.py:7`; empty where it calls
            none, or JAX itself. `str` puts it behind, as `file.py:12 (norms.py:7)`.
    """

    file: str
    line: int
    inside: str = ""

    def __str__(self) -> str:
        own = f"{_cell(self.file) or PurePath(self.file).name}:{self.line}"
        return f"{own} ({self.inside})" if self.inside else own


def _cell(file: str) -> str | None:
    """The number of the notebook cell that IPython compiled under this name, as `In[3]`."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()  # None where IPython is imported, but does not run this code
    known = shell.compile.format_code_name(file) if shell is not None else None
    return known[1] if known is not None else None


NOWHERE = Place("", 0)


def source_place(eqn: JaxprEqn, caller: Place | None = None) -> Place | None:
    """Where the user's code made this equation; None when JAX does not know.

    `caller` is where the function that the equation is in was called: JAX keeps no line of a call for
    what it, or a package, has compiled.
    """
    frames = [f for f in _frames_outside_of_jax(eqn) if _is_of_user(f.file_name)]
    if not frames:
        return caller
    innermost = Place(frames[0].file_name, frames[0].line_num)
    written = next((f for f in frames if not f.file_name.startswith(_INSTALLED)), None)
    inside = str(innermost) if innermost.file.startswith(_SITE) else ""
    if written is not None:
        return Place(written.file_name, written.line_num, inside)
    return innermost if caller is None else caller._replace(inside=inside or caller.inside)


def raised_at(error: BaseException) -> Place | None:
    """The last line of the user's code that an error passed through; None where there is none."""
    lines = [Place(f.f_code.co_filename, line) for f, line in walk_tb(error.__traceback__)]
    places = [place for place in reversed(lines) if _is_of_user(place.file)]
    written = (place for place in places if not place.file.startswith(_INSTALLED))
    return next(written, places[0] if places else None)


def source_line(eqn: JaxprEqn) -> str:
    """The same as `file.py:12`; empty when JAX does not know."""
    place = source_place(eqn)
    return "" if place is None else str(place)


def named_with_line(eqn: JaxprEqn) -> str:
    """The primitive and where it was made, as `scan (model.py:12)`; the name alone when JAX lost it."""
    line = source_line(eqn)
    return f"{eqn.primitive.name} ({line})" if line else eqn.primitive.name


def is_own(eqn: JaxprEqn) -> bool:
    """Whether this library made the equation, rather than the user's code by way of JAX."""
    made_by = next(_frames_outside_of_jax(eqn), None)
    return made_by is not None and made_by.file_name.startswith(_OWN)


def _frames_outside_of_jax(eqn: JaxprEqn) -> Iterator[Any]:
    traceback = eqn.source_info.traceback
    frames: Sequence[Any] = traceback.frames if traceback is not None else ()
    own = takewhile(lambda f: f.function_name not in _TRACES or _is_outside_of_jax(f.file_name), frames)
    return (f for f in own if _is_outside_of_jax(f.file_name))


def file_is_own(file: str) -> bool:
    """Whether a file belongs to this library."""
    return file.startswith(_OWN)


def path_within(file: str) -> str:
    """The path of a file of this library from its top, such as "engine/rules/shape.py"."""
    return file.removeprefix(_OWN).replace(os.sep, "/")


def file_is_of_jax(file: str) -> bool:
    """Whether a file belongs to JAX."""
    return file.startswith(_JAX)


def user_level() -> int:
    """The `stacklevel` of a warning given by the caller, that makes it one of the user's line."""
    return _user_call(1)[1]


def user_line() -> str:
    """The user's line that calls the library now, as `file.py:12`."""
    frame, _ = _user_call(1)
    return str(Place(frame.f_code.co_filename, frame.f_lineno))


def _user_call(level: int) -> tuple[FrameType, int]:
    """The innermost frame of the user's, and its `stacklevel` for the caller of the caller."""
    frame = sys._getframe(level + 1)  # noqa: SLF001 (as `warnings` itself does)
    while frame.f_back is not None and not _is_of_user(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    return frame, level


def _is_outside_of_jax(file: str) -> bool:
    return not file.startswith(_JAX)


def _is_of_user(file: str) -> bool:
    return _is_outside_of_jax(file) and not file.startswith(_OWN)
