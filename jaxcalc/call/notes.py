"""What is said of a call that is right, and takes longer than it might: a line in the log, once."""

from __future__ import annotations

import logging

_LOGGER = logging.getLogger("jaxcalc")
_MOST = 1000  # lines that are remembered

_said: set[str] = set()


def note(text: str, *, where: str) -> None:
    """Log a line, unless it was said of this place before.

    It is no warning: nothing is wrong, and warnings may have been made errors. Handlers and levels of
    the logger `jaxcalc` decide what becomes of it; without any, it goes to standard error.
    """
    line = f"{text} ({where})"
    if line in _said:
        return
    if len(_said) >= _MOST:
        _said.clear()
    _said.add(line)
    _LOGGER.warning("%s", line)
