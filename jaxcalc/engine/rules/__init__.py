"""The rules, one file for each family of primitives; importing them registers them."""

from jaxcalc.engine.rules import (
    collectives,
    contraction,
    convolution,
    elementwise,
    indexing,
    linear_algebra,
    placement,
    pooling,
    ragged,
    reduction,
    shape,
)

__all__ = [
    "collectives",
    "contraction",
    "convolution",
    "elementwise",
    "indexing",
    "linear_algebra",
    "placement",
    "pooling",
    "ragged",
    "reduction",
    "shape",
]
