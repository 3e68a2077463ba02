"""What is done with a primitive that has no rule: sound, dense along all that it may mix, and told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxcalc.engine import equations
from jaxcalc.engine.program import Step
from jaxcalc.engine.registry import Context, Operands
from jaxcalc.engine.source import named_with_line
from jaxcalc.formats.contract import uniform_along
from jaxcalc.formats.lanes import Group, Lanes, spread, spread_lanes


def dense_fallback(context: Context, step: Step, operands: Operands) -> Sequence[Any]:
    """Apply an unknown primitive to every lane of tangents made uniform along all of their axes.

    All outputs then depend on every input that some operand depends on, which is always sound.

    Raises:
        NotImplementedError: under `strict`, naming the primitive and its source line.
    """
    name = named_with_line(step.eqn)
    if context.strict:
        raise NotImplementedError(
            f"{context.api}: the primitive {name} has no structure rule, and strict=True "
            "allows none to be treated as dense. Leave strict out to treat it as dense, or register "
            "a rule with jaxcalc.engine.registry.rule."
        )
    context.fallbacks.append(name)
    columns, lanes = _all_columns(operands)
    known = [x for x in operands if not isinstance(x, Lanes)]

    def one_lane(tangents: list[Any]) -> list[Any]:
        left, right = iter(tangents), iter(known)
        filled = [next(left) if isinstance(x, Lanes) else next(right) for x in operands]
        return equations.bind(step.eqn, filled)

    outputs = jax.vmap(one_lane)(lanes)
    results: list[Any] = []
    for slot, data in zip(step.outputs, outputs, strict=True):
        if not slot.is_tangent:
            results.append(data[0])  # it does not depend on the lane
            continue
        index = columns.reshape((-1,) + (1,) * len(slot.aval.shape))
        value = Lanes(slot.aval.shape, np.dtype(slot.aval.dtype))
        results.append(value.with_groups([Group(data, index)]))
    return results


def _all_columns(operands: Operands) -> tuple[np.ndarray, list[Any]]:
    """The inputs that any tangent operand depends on, and each operand's data for all of them."""
    tangents = [x for x in operands if isinstance(x, Lanes)]
    dense = [uniform_along(x, range(len(x.shape))) for x in tangents]
    every = [g.index.reshape(-1) for x in dense for g in x.groups]
    columns = np.unique(np.concatenate(every))
    columns = columns[columns >= 0]
    return columns, [_dense_data(x, columns) for x in dense]


def _dense_data(value: Lanes, columns: np.ndarray) -> Any:
    """The data `[len(columns), *shape]` of a value that is uniform along all of its axes."""
    total: Any = jax.numpy.zeros((len(columns), *value.shape), value.dtype)
    for group in value.groups:
        lines = group.index.reshape(-1)
        kept = np.flatnonzero(lines >= 0)
        data = spread_lanes(spread(group.data, range(len(value.shape)), value.shape), group.lanes)
        places = np.searchsorted(columns, lines[kept])
        if len(kept) == len(columns) == group.lanes and np.array_equal(places, np.arange(len(places))):
            total = total + data
        else:
            total = total.at[places].add(data[kept])
    return total
