"""Setting a contender up: what it costs before it can be timed, and what it says when it fails."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

if __package__:
    from benchmarks import peers, ratios
else:
    import peers
    import ratios

_LONGEST = 110  # letters of an error
_PATHS = re.compile(r"(?:/[\w.+-]+){2,}")


@dataclass(frozen=True)
class Figures:
    """What was measured of one contender, or the error it failed with.

    Attributes:
        name: the contender.
        timing: its runs.
        setup: seconds to find structure or coloring, before compilation; None if it has none.
        first_call: seconds of tracing, compilation and one run.
        memory: bytes of temporary memory of the compiled program.
        error: what it failed with.
    """

    name: str
    timing: ratios.Timing | None = None
    setup: float | None = None
    first_call: float | None = None
    memory: int | None = None
    error: str | None = None


def prepare(
    name: str, contender: peers.Contender, problem: Any, *, memory: bool = True
) -> tuple[peers.Ready, Figures]:
    """Set one contender up and run it once; to ask for its memory is to compile it once more.

    Raises:
        Any of `peers.FAILURES`: whatever its library raises.
    """
    candidate = contender(problem)
    first = ratios.seconds(candidate.run)
    found = _memory(candidate) if memory else None
    return candidate, Figures(name, None, candidate.setup, first, found)


def _memory(ready: peers.Ready) -> int | None:
    if ready.lower is None:
        return None
    analysis = ready.lower().compile().memory_analysis()
    return None if analysis is None else int(analysis.temp_size_in_bytes)


def one_line(error: BaseException) -> str:
    """What a contender failed with, in one line and without paths of this machine."""
    if isinstance(error, ModuleNotFoundError):
        return "not installed"
    if isinstance(error, peers.TooLargeError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    return without_paths(f"{type(error).__name__}: {lines[0]}")


def without_paths(text: str) -> str:
    """A line that is not too long and says nothing of where things are on this machine."""
    text = _PATHS.sub("(path)", text)
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " ..."


def rounded(value: Any) -> Any:
    """Four digits, which is more than a timing is worth; None for what is no number."""
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(f"{value:.4g}") if isinstance(value, float) else value
