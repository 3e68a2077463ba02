"""What a structured derivative is given as, by the name of the format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxcalc.results.jacobian import Jacobian

# each of the names in `call.options.FORMATS`, but for "dense": that one is never made from entries
SPARSE: dict[str, Callable[[Jacobian], Any]] = {
    "bcoo": Jacobian.to_bcoo,
    "structured": lambda jacobian: jacobian,
}
