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


MISSING = "missing data are blamed on the operation that meets them"

FAULTS = {
    "eigenvectors of a matrix of rank one (jax#10527)": "equal eigenvalues that rounding has split",
    "an orthonormal basis of dependent columns": "columns that rounding has made independent",
    "a polynomial as powers of an array of exponents, the first of them 0 (jax#14397)": (
        "an array of exponents is not read element by element"
    ),
    "squares of what is missing, masked by where (pytorch#64305)": MISSING,
    "nansum of products with missing data (jax#15933, pytorch#67180)": MISSING,
    "nanmean of squares of missing data (jax#9040)": MISSING,
    "nan_to_num of squares of missing data": MISSING,
    "roots of squares that are padded with zeros, which forward mode alone makes NaN": (
        "forward mode is not looked at"
    ),
    "a place outside of the array, which gives its last element (jax#9839, jax#5760)": (
        "reads out of bounds are not looked for"
    ),
    "a table at its knot (jax#3024)": "kinks of tables are not looked for",
}

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
