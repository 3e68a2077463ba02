"""Rules that users give: made of the axes that a primitive mixes, or checked when they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.rules.lane_by_lane import MixedAxesError, lane_by_lane
from jaxcalc.engine.rules.registry import Mixes, Operands, Rule
from jaxcalc.engine.tangents.lanes import Lanes

_API = "jaxcalc.engine.register_rule"


def of_axes(name: str, mixes: Mixes) -> Rule:
    """A rule that applies the primitive lane by lane, to tangents made uniform along `mixes`.

    Raises:
        TypeError: `mixes` holds something else than integers.
        ValueError: an axis is named twice.
    """
    fixed = None if callable(mixes) else _axes(name, mixes)

    def rule(eqn: JaxprEqn, operands: Operands) -> Sequence[Any]:
        axes = _axes(name, mixes(eqn)) if callable(mixes) else fixed
        try:
            return lane_by_lane(eqn, operands, axes)
        except MixedAxesError as error:
            raise MixedAxesError(f"{_API}: {error}.") from None

    return rule


def _axes(name: str, mixes: Any) -> tuple[int, ...]:
    is_sequence = isinstance(mixes, Sequence) and not isinstance(mixes, str)
    if not is_sequence or not all(isinstance(a, int | np.integer) and a is not True for a in mixes):
        raise TypeError(
            f"{_API}: the axes that {name!r} mixes are {mixes!r}. Give a tuple of integers, such as "
            "(-1,), or a function from the equation to one."
        )
    axes = tuple(int(a) for a in mixes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{_API}: the axes that {name!r} mixes are {axes!r}. Name each axis once.")
    return axes


def checked(name: str, rule: Rule) -> Rule:
    """The same rule, with what it returns compared with what the equation promises.

    Raises:
        TypeError: it is no function.
    """
    if not callable(rule):
        raise TypeError(
            f"{_API}: the rule of {name!r} is {rule!r}. Pass a function (eqn, operands) -> Lanes, or "
            "the axes that the primitive mixes as `mixes`."
        )

    def applied(eqn: JaxprEqn, operands: Operands) -> Lanes | Sequence[Lanes]:
        found = rule(eqn, operands)
        outputs = [found] if isinstance(found, Lanes) else found
        if not isinstance(outputs, list | tuple) or len(outputs) != len(eqn.outvars):
            raise TypeError(
                f"{_API}: the rule of {named_with_line(eqn)} returned {type(found).__name__}, and the "
                f"primitive has {len(eqn.outvars)} output(s). Return the Lanes of each."
            )
        for i, value in enumerate(outputs):
            _require_fits(eqn, i, value)
        return outputs

    return applied


def _require_fits(eqn: JaxprEqn, i: int, value: Any) -> None:
    aval = equations.output(eqn, i)
    if not equations.is_inexact(aval):
        return
    wanted = tuple(aval.shape), np.dtype(aval.dtype)
    if not isinstance(value, Lanes):
        raise TypeError(
            f"{_API}: the rule of {named_with_line(eqn)} returned {type(value).__name__} for output "
            f"{i}. Return Lanes of shape {wanted[0]} and dtype {wanted[1]}."
        )
    if (value.shape, value.dtype) != wanted:
        raise ValueError(
            f"{_API}: the rule of {named_with_line(eqn)} returned Lanes of shape {value.shape} and "
            f"dtype {value.dtype} for output {i}, which has shape {wanted[0]} and dtype {wanted[1]}."
        )
