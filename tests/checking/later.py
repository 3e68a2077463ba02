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

HEALTHY = {
    "a differential equation (diffrax)": "an operation of equinox refuses a cotangent of zeros",
}

RIGHT = {
    "casts inside": "a cast to a smaller dtype inside of the function is not looked for",
    "samplers": "samplers with implicit derivatives are not known",
}

WRONG = {
    "float32: numbers of 1e-12": "steps are not those of so small numbers",
    "float32: a quotient of SI units": "steps are not those of so small numbers",
    "float64: numbers of 1e-100": "steps are not those of so small numbers",
    "float32: weights of 0 in a logsumexp (jax#37729)": (
        "a wrong derivative at this point alone is taken for a kink, though both slopes agree"
    ),
}
