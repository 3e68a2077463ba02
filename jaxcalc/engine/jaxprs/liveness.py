"""How much memory a program needs at once, estimated from its jaxpr alone.

Every value is held from its equation to its last use; nothing is fused. XLA fuses much of it, so that
what it allocates is less as a rule.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, Literal

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.traits import having

_FREE = having("free")


def size_in_bytes(aval: Any) -> int:
    """The bytes of an array of this shape and dtype; none for tokens and the like."""
    dtype = getattr(aval, "dtype", None)
    if dtype is None:
        return 0
    return prod(aval.shape) * getattr(dtype, "itemsize", np.dtype(np.uint32).itemsize)


def peak_bytes(jaxpr: Jaxpr, *, with_results: bool = False) -> int:
    """The largest sum of the intermediate values that live at one time.

    Inputs are not counted, nor are the outputs, which belong to the caller, unless `with_results` is
    set; branches count as the largest of them, a loop as one step.
    """
    uses = Counter(v for eqn in jaxpr.eqns for v in eqn.invars if not isinstance(v, Literal))
    kept = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    live = peak = 0
    held: set[Any] = set()
    for eqn in jaxpr.eqns:
        inner = max((peak_bytes(program) for program in equations.programs(eqn)), default=0)
        if eqn.primitive.name not in _FREE:
            for v in eqn.outvars:
                if v in kept:
                    live += with_results * size_in_bytes(v.aval)
                elif uses[v]:
                    held.add(v)
                    live += size_in_bytes(v.aval)
        peak = max(peak, live + inner)
        for used in eqn.invars:
            if isinstance(used, Literal):
                continue
            uses[used] -= 1
            if not uses[used] and used in held:
                held.remove(used)
                live -= size_in_bytes(used.aval)
    return peak
