"""Exact derivatives against numerical ones, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path

import jaxcalc
from jaxcalc import numerical

# A difference counts as agreement up to this many estimated errors, or up to the square root of
# the rounding unit relative to the derivative's size, whichever is larger.
_ESTIMATED_ERRORS = 3.0


@dataclass(frozen=True)
class Agreement:
    """The entry where two derivatives are furthest apart, measured by its own tolerance.

    Attributes:
        passed: whether all entries agree.
        difference: the absolute difference at that entry.
        tolerance: what it may be.
        place: which entry of the derivative it is, e.g. `x[1,0]`: output 1 by x[0].
        entries: how many entries were compared.
        exact: the exact value there.
        numerical: the numerical value there.
    """

    passed: bool
    difference: float
    tolerance: float
    place: str
    entries: int
    exact: complex
    numerical: complex


def compare(f: Callable[..., Any], values: Mapping[str, Any], chosen: Sequence[str]) -> Agreement:
    """The derivative of f by the `chosen` arguments, exact against numerical.

    `values` holds the arguments of f in their order, by name.

    Cost: one exact Jacobian, and about 40 evaluations of f for each input element.
    """

    def by_chosen(primal: dict[str, Any]) -> Any:
        return f(*{**values, **primal}.values())

    primal = {name: values[name] for name in chosen}
    exact = jaxcalc.jacobian(by_chosen)(primal)
    estimate = numerical.jacobian(by_chosen)(primal)
    return worst_entry(exact, estimate.value, estimate.error)


def worst_entry(exact: Any, approximate: Any, error: Any) -> Agreement:
    """The worst entry of two pytrees of one structure, where `error` estimates that of the second.

    An entry whose error could not be estimated (a jump, an infinite value) is no agreement.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(exact)]
    size = max((float(np.max(np.abs(leaf), initial=1.0)) for leaf in leaves), default=1.0)
    paths = [keystr(p, simple=True, separator=".") for p, _ in tree_leaves_with_path(exact)]
    entries = sum(leaf.size for leaf in leaves)
    others = [np.asarray(leaf) for leaf in jax.tree.leaves(approximate)]
    errors = [np.asarray(leaf) for leaf in jax.tree.leaves(error)]
    found, worst = Agreement(True, 0.0, 0.0, "", entries, 0.0, 0.0), -1.0
    for path, leaf, other, estimated in zip(paths, leaves, others, errors, strict=True):
        if not leaf.size:
            continue
        unit = float(np.finfo(leaf.dtype).eps) ** 0.5
        tolerance = np.maximum(_ESTIMATED_ERRORS * estimated, unit * size)
        with np.errstate(invalid="ignore"):  # inf - inf
            difference = np.abs(leaf - other)
        settled = np.isfinite(difference) & np.isfinite(tolerance)
        ratio = np.divide(difference, tolerance, out=np.full(leaf.shape, np.inf), where=settled)
        at = np.unravel_index(np.argmax(ratio), ratio.shape)
        if ratio[at] > worst:
            worst = float(ratio[at])
            place = path + (f"[{','.join(map(str, at))}]" if at else "")
            found = Agreement(
                passed=worst <= 1,
                difference=float(difference[at]),
                tolerance=float(tolerance[at]),
                place=place,
                entries=entries,
                exact=leaf[at].item(),
                numerical=other[at].item(),
            )
    return found
