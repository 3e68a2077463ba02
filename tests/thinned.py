"""Fewer cases for whoever waits; the others have the marker `slow`, and run before a change lands."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int = 2) -> list[Any]:
    """Parameters of a test, of which every second, or third, and so on, runs always."""
    return [
        case if number % every == 0 else pytest.param(case, marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]
