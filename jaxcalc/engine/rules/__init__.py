"""The rules, one file for each family of primitives; importing them registers them."""

from jaxcalc.engine.rules import (
    contraction,
    elementwise,
    indexing,
    linear_algebra,
    reduction,
    shape,
)

__all__ = [
    "contraction",
    "elementwise",
    "indexing",
    "linear_algebra",
    "reduction",
    "shape",
]
