"""Irregular values: what would waste lanes leaves them, and goes through each operation by itself.

Every operation of a linear program is linear in all of its tangents together. So a rule, which knows
lanes alone, is applied to the lanes; the entries beside them are multiplied with the Jacobian of the
operation, which is what the same rule makes of the identity; and both results are added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.traits import having
from jaxcalc.engine.rules import gather_indices as places_of
from jaxcalc.engine.rules.operands import broadcast_to, static_value, zeros_like_value
from jaxcalc.engine.rules.registry import Operands, Rule
from jaxcalc.engine.tangents.entries import Entries, joined, look_up, summed
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.tangents.products import identity_on, on_lanes, product
from jaxcalc.engine.tangents.to_entries import as_entries, entries_at
from jaxcalc.heuristics import heuristics

_NOT_COMPLEX_LINEAR = having("real_linear")


def applied(rule: Rule, eqn: JaxprEqn, operands: Operands, limit: int) -> list[Lanes]:
    """The results of a rule on operands that may hold entries, and may make some.

    Raises:
        TooDenseError: a result has more than `limit` entries.
    """
    operands = _leaving_lanes(eqn, operands)
    if all(not isinstance(x, Lanes) or x.entries is None for x in operands):
        return _outputs(rule(eqn, operands))
    if not _is_complex_linear(eqn, operands):
        regular = [on_lanes(x, limit) if isinstance(x, Lanes) else x for x in operands]
        return _outputs(rule(eqn, regular))
    lanes_only = [x.with_entries(None) if isinstance(x, Lanes) else x for x in operands]
    if any(isinstance(x, Lanes) and x.groups for x in lanes_only):
        results = _outputs(rule(eqn, lanes_only))
    else:
        results = [zeros_like_value(eqn, i) for i in range(len(eqn.outvars))]
    irregular: list[list[Entries]] = [[] for _ in results]
    for number, x in enumerate(operands):
        if isinstance(x, Lanes) and x.entries is not None:
            found = _through(rule, eqn, lanes_only, number, x, limit)
            irregular = [[*a, *b] for a, b in zip(irregular, found, strict=True)]
    return [
        value.with_entries(summed(joined(parts))) if parts else value
        for value, parts in zip(results, irregular, strict=True)
    ]


def _outputs(results: Lanes | Sequence[Lanes]) -> list[Lanes]:
    return [results] if isinstance(results, Lanes) else list(results)


def _is_complex_linear(eqn: JaxprEqn, operands: Operands) -> bool:
    """Whether a complex factor may be taken out of the operation."""
    complex_in = any(isinstance(x, Lanes) and x.dtype.kind == "c" for x in operands)
    complex_out = all(np.dtype(v.aval.dtype).kind == "c" for v in eqn.outvars)  # type: ignore[attr-defined]
    return not complex_in or (complex_out and eqn.primitive.name not in _NOT_COMPLEX_LINEAR)


def _through(
    rule: Rule, eqn: JaxprEqn, operands: Sequence[Any], number: int, value: Lanes, limit: int
) -> list[list[Entries]]:
    """The entries of one operand, taken through the equation: for each output, in parts."""
    entries = value.entries
    assert entries is not None
    targets = _targets(eqn, operands, number)
    if targets is not None:
        return [_moved(entries, targets)]
    zeros = [Lanes(x.shape, x.dtype) if isinstance(x, Lanes) else x for x in operands]
    zeros[number] = identity_on(value, np.unique(entries.elements))
    locals_ = _outputs(rule(eqn, zeros))
    found = [product(local, entries, limit) for local in locals_]
    return [[] if part is None else [part] for part in found]


def _targets(eqn: JaxprEqn, operands: Sequence[Any], number: int) -> np.ndarray | None:
    """Where a sum puts each element of an operand, flat, -1 for nowhere; None for other operations.

    The identity would take as many lanes as the largest sum has terms.
    """
    name, shape = eqn.primitive.name, operands[number].shape
    if name == "reduce_sum":
        axes = equations.axes(eqn)
        out = equations.output(eqn).shape
        kept = np.arange(prod(out)).reshape([1 if a in axes else n for a, n in enumerate(shape)])
        return np.broadcast_to(kept, shape).reshape(-1)
    if name == "scatter-add" and number == 2:
        places = static_value(operands[1])
        if places is not None:
            result = equations.output(eqn).shape
            return places_of.scatter_targets(eqn, result, places, shape).reshape(-1)
    return None


def _moved(entries: Entries, targets: np.ndarray) -> list[Entries]:
    new = targets[entries.elements].astype(entries.elements.dtype)
    kept = np.flatnonzero(new >= 0)
    if not kept.size:
        return []
    return [Entries(new[kept], entries.inputs[kept], look_up(entries.values, kept))]


def _leaving_lanes(eqn: JaxprEqn, operands: Operands) -> Operands:
    """Operands whose groups have become entries where their result would be mostly padding."""
    find = _WASTEFUL.get(eqn.primitive.name)
    tangents = [x for x in operands if isinstance(x, Lanes)]
    is_sum = eqn.primitive.name == "scatter-add"
    has_many = any(g.lanes >= heuristics().few_lanes for x in tangents for g in x.groups)
    if find is None or not (has_many or is_sum):
        return operands
    return find(eqn, operands)


def _joins(eqn: JaxprEqn, operands: Operands) -> Operands:
    """`pad`, `concatenate` and the like put a part beside others: it may have far more lanes."""
    size = prod(equations.output(eqn).shape)
    tangents = [x for x in operands if isinstance(x, Lanes)]
    total = sum(x.lanes * x.size for x in tangents)

    def split(x: Lanes) -> Lanes:
        return _split(x, lambda g: _wastes(g.lanes * size, g.lanes * x.size + total))

    return [split(x) if isinstance(x, Lanes) else x for x in operands]


def _masks(eqn: JaxprEqn, operands: Operands) -> Operands:
    """A product with known zeros, or a choice by a known mask, may leave few elements."""
    which = next((static_value(x) for x in operands if not isinstance(x, Lanes)), None)
    if which is None:
        return operands
    shape = equations.output(eqn).shape
    is_choice = eqn.primitive.name == "select_n"
    result = list(operands)
    for number, x in enumerate(operands):
        if not isinstance(x, Lanes):
            continue
        mask = which.astype(np.int32) == number - 1 if is_choice else which != 0
        elements = np.flatnonzero(np.broadcast_to(mask, shape))
        size, left = prod(shape), elements.size

        def wastes(g: Group, size: int = size, left: int = left) -> bool:
            return _wastes(g.lanes * size, g.lanes * left)

        if any(wastes(g) for g in x.groups):
            result[number] = _split(broadcast_to(x, shape), wastes, elements)
    return result


def _scatters(eqn: JaxprEqn, operands: Operands) -> Operands:
    """Sums of very different lengths, as over the edges of a graph."""
    base, places, updates = operands
    known = static_value(places)
    if known is None or not isinstance(updates, Lanes) or not updates.size:
        return operands
    result = equations.output(eqn).shape
    targets = places_of.scatter_targets(eqn, result, known, updates.shape).reshape(-1)
    longest = int(np.bincount(targets[targets >= 0], minlength=1).max(initial=0))
    padded, total = longest * prod(result), updates.size
    if (
        padded <= heuristics().waste_of_sums * total
        or (padded - total) * updates.lanes < heuristics().worth_entries
    ):
        return operands
    return [base, places, _split(updates, lambda _: True)]


_WASTEFUL: dict[str, Callable[[JaxprEqn, Operands], Operands]] = {
    "pad": _joins,
    "concatenate": _joins,
    "stack": _joins,
    "dynamic_update_slice": _joins,
    "mul": _masks,
    "select_n": _masks,
    "scatter": _joins,
    "scatter-add": lambda eqn, operands: _joins(eqn, _scatters(eqn, operands)),
}


def _wastes(on_lanes: int, entries: int) -> bool:
    return on_lanes > heuristics().waste * entries and on_lanes - entries > heuristics().worth_entries


def _split(
    value: Lanes, is_wasteful: Callable[[Group], bool], elements: np.ndarray | None = None
) -> Lanes:
    """The wasteful groups of a value as entries, those of some elements alone if these are given."""
    stay, leave = [], [] if value.entries is None else [value.entries]
    for group in value.groups:
        if not is_wasteful(group):
            stay.append(group)
        elif elements is None:
            leave.append(as_entries(group, value.shape))
        else:
            leave.append(entries_at(group, value.shape, elements))
    if len(stay) == len(value.groups):
        return value
    return value.with_entries(None).with_groups(stay).with_entries(joined(leave))
