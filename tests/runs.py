"""How often Python runs a function, which keeps no count itself: that would be looked at."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def watching(watch: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    """Show every call and return to a function."""
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def runs_of(f: Callable[..., Any], call: Callable[[], Any]) -> int:
    """How often f, a function of Python, runs during a call."""
    runs = 0

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal runs
        runs += event == "call" and frame.f_code is f.__code__

    with watching(watch):
        call()
    return runs
