"""Which outputs of a function of several leaves are differentiated forward, and which in reverse.

Of a loss and a long vector of predictions, each with parameters of its own, no direction suits both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import Jaxpr, Var

from jaxcalc.call.options import Direction
from jaxcalc.engine.jaxprs.directions import depends
from jaxcalc.heuristics import heuristics


class Share(NamedTuple):
    """Output leaves that are differentiated in one direction; they depend on these input leaves."""

    direction: Direction
    outputs: list[int]
    inputs: list[int]
    products: int


def may_share(leaves: Sequence[Any], outputs: Sequence[Any]) -> bool:
    """Whether it is worth a look at what depends on what."""
    rows, columns = _sizes(outputs), _sizes(leaves)
    h = heuristics()
    if not all(2 <= len(sizes) <= h.most_mixed_leaves for sizes in (rows, columns)):
        return False
    at_best = sum(min(row, *columns) for row in rows)
    return h.mixed_gain * at_best <= min(sum(rows), sum(columns)) >= h.fewest_mixed_products


def shares(program: Jaxpr, variables: Sequence[Var], outputs: int) -> list[Share]:
    """The two shares where they take far fewer products than one direction; else none.

    Args:
        program: f, as a program.
        variables: those of its inputs that it is differentiated with respect to.
        outputs: how many of its first outputs are differentiated.
    """
    rows, columns = (
        _sizes([v.aval for v in program.outvars[:outputs]]),
        _sizes([v.aval for v in variables]),
    )
    by_input = [depends(program, [v is x for v in program.invars])[:outputs] for x in variables]
    of_output = [[i for i, row in enumerate(by_input) if row[o]] for o in range(outputs)]
    reverse = [rows[o] < sum(columns[i] for i in of_output[o]) for o in range(outputs)]
    found = []
    directions: tuple[tuple[Direction, bool], ...] = (("forward", False), ("reverse", True))
    for direction, wanted in directions:
        members = list(compress(range(outputs), (r == wanted for r in reverse)))
        inputs = sorted({i for o in members for i in of_output[o]})
        sizes = [columns[i] for i in inputs] if direction == "forward" else [rows[o] for o in members]
        found.append(Share(direction, members, inputs, sum(sizes)))
    products = sum(share.products for share in found)
    is_better = heuristics().mixed_gain * products <= min(sum(rows), sum(columns))
    is_better = is_better and all(s.outputs for s in found)
    return found if is_better else []


def _sizes(leaves: Sequence[Any]) -> list[int]:
    return [prod(jnp.shape(x)) for x in leaves]
