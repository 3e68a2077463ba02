"""What is done with a primitive that has no rule: sound, dense along all that it may mix, and told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.rules.lane_by_lane import lane_by_lane
from jaxcalc.engine.rules.registry import Context, NoRuleError, Operands
from jaxcalc.engine.walk.program import Step


def dense_fallback(context: Context, step: Step, operands: Operands) -> Sequence[Any]:
    """Apply an unknown primitive to every lane of tangents made uniform along all of their axes.

    All outputs then depend on every input that some operand depends on, which is always sound.

    Raises:
        NoRuleError: under `strict`, naming the primitive and its source line.
    """
    name = named_with_line(step.eqn)
    if context.strict:
        raise NoRuleError(
            f"{context.api}: the primitive {name} has no structure rule, and strict=True "
            "allows none to be treated as dense. Leave strict out to treat it as dense, or say which "
            f"axes it mixes with jaxcalc.engine.register_rule({step.eqn.primitive.name!r}, mixes=...)."
        )
    context.fallbacks.append(name)
    return lane_by_lane(step.eqn, operands, None)
