"""Lines that the library writes to its log."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from jaxcalc.call import notes


@contextmanager
def noted(pattern: str) -> Iterator[list[str]]:
    """Collects what is logged meanwhile, and requires lines of this pattern, and no others."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    notes._said.clear()
    logging.getLogger("jaxcalc").addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger("jaxcalc").removeHandler(handler)
    assert lines, f"nothing was logged, where {pattern!r} should be"
    assert all(re.search(pattern, line) for line in lines), lines
