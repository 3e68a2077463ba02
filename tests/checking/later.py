"""Cases of the catalogue that the library does not get right yet, by name, each with the reason.

The tests hold that each of them still fails, so that a case leaves this list when it is cured.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def marked(names: Iterable[str], reasons: Mapping[str, str]) -> list[Any]:
    """Parameters of a test, of which those that have a reason must fail."""
    return [
        pytest.param(
            name,
            marks=[pytest.mark.xfail(reason=reasons[name], strict=True)] if name in reasons else [],
        )
        for name in names
    ]


FAULTS: dict[str, str] = {}

HEALTHY: dict[str, str] = {}

RIGHT: dict[str, str] = {}

WRONG: dict[str, str] = {}
