"""Where in the user's code an equation was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from jax.extend.core import JaxprEqn


def source_line(eqn: JaxprEqn) -> str:
    """Where the user's code made this equation, as `file.py:12`; empty when JAX does not know."""
    frame = _user_frame(eqn)
    return "" if frame is None else f"{PurePath(frame.file_name).name}:{frame.line_num}"


def named_with_line(eqn: JaxprEqn) -> str:
    """The primitive and where it was made, as `scan (model.py:12)`; the name alone when JAX lost it."""
    line = source_line(eqn)
    return f"{eqn.primitive.name} ({line})" if line else eqn.primitive.name


def _user_frame(eqn: JaxprEqn) -> Any:
    traceback = eqn.source_info.traceback
    frames: Sequence[Any] = traceback.frames if traceback is not None else ()
    own = str(PurePath(__file__).parents[1])
    for frame in frames:
        path = PurePath(frame.file_name)
        if not (frame.file_name.startswith(own) or {"jax", "jaxlib"} & set(path.parts)):
            return frame
    return None
