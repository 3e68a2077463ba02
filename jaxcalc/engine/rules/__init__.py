"""The rules, one file for each family of primitives; importing them registers them."""

from jaxcalc.engine.rules import (
    contraction,
    convolution,
    elementwise,
    indexing,
    linear_algebra,
    pooling,
    reduction,
    shape,
)

__all__ = [
    "contraction",
    "convolution",
    "elementwise",
    "indexing",
    "linear_algebra",
    "pooling",
    "reduction",
    "shape",
]
