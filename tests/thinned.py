"""Fewer cases for whoever waits; the others have the marker `slow`, and run before a change lands."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int = 2) -> list[Any]:
    """Parameters of a test, of which every second, or third, and so on, runs always."""
    return [
        case if number % every == 0 else pytest.param(case, marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]


def thinned_product(*options: Iterable[Any]) -> list[Any]:
    """All combinations of options, of which every second runs always, so that each option does."""
    numbered = product(*(list(enumerate(each)) for each in options))
    return [
        pytest.param(
            *(value for _, value in combination),
            marks=[] if sum(number for number, _ in combination) % 2 == 0 else pytest.mark.slow,
        )
        for combination in numbered
    ]
