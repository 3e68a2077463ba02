"""Gradients that explode or vanish along a long chain of equations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from jaxcalc.checking.doctor.pullback import Pullback
from jaxcalc.checking.doctor.tape import Event, Tape, is_zero, magnitude, not_finite
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs.source import NOWHERE

_LINKS = 10  # a chain has at least this many equations that scale in the same direction
_COMPARABLE = 0.1  # of the largest cotangent that an argument gets
_SHARE = 0.5  # of the whole scaling, that one equation has at the most

_ADVICE = {
    "explodes": "scale the weights down, normalize between the layers or steps, or clip the gradient.",
    "vanishes": "use other initial weights, residual or gated connections, or normalize in between.",
}


def scale_findings(tape: Tape, pullback: Pullback, names: Sequence[str]) -> list[Finding]:
    """A finding for each argument whose gradient is out of proportion, one for each line."""
    uses = tape.uses()
    found: dict[Any, Finding] = {}
    for leaf, name in zip(tape.leaves, names, strict=True):
        gradient = pullback.of_value.get(leaf)
        if is_zero(gradient) or not_finite(gradient):
            continue
        finding = _along(_chain(pullback, uses, leaf), name, np.asarray(gradient).dtype)
        if finding is not None:
            found.setdefault((finding.file, finding.line, finding.cause.split()[0]), finding)
    return list(found.values())


def _chain(
    pullback: Pullback, uses: dict[int, list[tuple[Event, int]]], leaf: int
) -> list[tuple[Event, float]]:
    """The way of the largest cotangents from an argument to the output, with each one's scaling."""
    chain = []
    number = leaf
    while number in uses:
        pulled = ((event, pullback.of_operand.get(event), slot) for event, slot in uses[number])
        sizes = [
            (0.0 if given is None else magnitude(given[slot]), event) for event, given, slot in pulled
        ]
        largest = max((size for size, _ in sizes), default=0.0)
        if not largest:
            break
        if number == leaf:  # weights that all steps share: the first of these has the longest way
            largest, best = next(use for use in sizes if use[0] >= _COMPARABLE * largest)
        else:
            largest, best = max(sizes, key=lambda use: use[0])
        arriving = [(magnitude(pullback.of_value.get(i)), i) for i in best.outputs]
        size, following = max(arriving)
        if not size:
            break
        if best.eqn is not None:
            chain.append((best, float(np.log10(largest / size))))
        number = following
    return chain


def _along(chain: Sequence[tuple[Event, float]], name: str, dtype: Any) -> Finding | None:
    """The finding for one chain; None where its scaling is small, or due to a few equations."""
    total = sum(change for _, change in chain)
    limit = (
        min(-np.log10(float(np.finfo(dtype).eps)), 10.0) if np.issubdtype(dtype, np.inexact) else 6.0
    )
    links = [(event, change) for event, change in chain if change * total > 0]
    if abs(total) < limit or len(links) < _LINKS:
        return None
    if max(abs(change) for _, change in links) > _SHARE * abs(total):
        return None
    by_line = sorted(links, key=lambda link: str(link[0].place))
    lines = [list(group) for _, group in groupby(by_line, key=lambda link: str(link[0].place))]
    worst = max(lines, key=lambda group: abs(sum(change for _, change in group)))
    event = worst[0][0]
    what = "explodes" if total > 0 else "vanishes"
    each = 10 ** (sum(change for _, change in worst) / len(worst))
    return Finding(
        "warning",
        "scale",
        f"the gradient with respect to {name} {what}: its scale changes by a factor of "
        f"{10.0**total:.0e} along {len(chain)} equations, most of it in {len(worst)} on "
        f"this line, each by {each:.2g}",
        _ADVICE[what],
        *(event.place or NOWHERE),
        name,
        event.name,
    )
