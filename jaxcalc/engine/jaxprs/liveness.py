"""How much memory a program needs at once, estimated from its jaxpr alone.

Every value is held from its equation to its last use; nothing is fused. XLA fuses much of it, so that
what it allocates is less as a rule.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr, Literal

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.traits import having

_FREE = having("free")
_RENAMES = having("renames")


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
    eqns, results = jaxpr.eqns, {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    last = {v: i for i, eqn in enumerate(eqns) for v in eqn.invars if not isinstance(v, Literal)}
    ends = {v: i for v, i in last.items() if v not in results}
    for eqn in reversed(eqns):  # an array lives as long as it does by another name
        if eqn.primitive.name in _RENAMES and not isinstance(eqn.invars[0], Literal):
            of = eqn.invars[0]
            if of in ends:
                ends[of] = max(ends[of], ends.get(eqn.outvars[0], 0))
    ends |= dict.fromkeys(results if with_results else (), len(eqns))
    lives = [
        (i, ends[v] + 1, size_in_bytes(v.aval))
        for i, eqn in enumerate(eqns)
        if eqn.primitive.name not in _FREE
        for v in eqn.outvars
        if v in ends
    ]
    begin, end, size = np.asarray(lives, np.int64).reshape(-1, 3).T
    changes = np.zeros(len(eqns) + 2, np.int64)
    np.add.at(changes, begin, size)
    np.subtract.at(changes, end, size)
    inner = [max(map(peak_bytes, equations.programs(eqn)), default=0) for eqn in eqns]
    return int((np.cumsum(changes)[: len(eqns)] + np.asarray(inner, np.int64)).max(initial=0))
