"""The registry of rules: how each linear primitive acts on structured tangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from jax.extend.core import JaxprEqn

from jaxcalc.formats.lanes import Lanes

Operands = Sequence[Any]  # Lanes for tangents, arrays (static) or tracers (primal) for the others
Rule = Callable[[JaxprEqn, Operands], Lanes | Sequence[Lanes]]

_RULES: dict[str, Rule] = {}


@dataclass
class Context:
    """What the rules of one walk share.

    Attributes:
        api: the public name that error messages begin with.
        strict: whether a primitive without a rule is an error.
        fallbacks: the primitives that went through the dense fallback, with their source lines.
        entry_limit: the most entries that a value may have before the walk gives up.
    """

    api: str
    strict: bool = False
    fallbacks: list[str] = field(default_factory=list)
    entry_limit: int = 1 << 28


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for primitives of these names.

    A rule takes the equation and its operands, at least one of them `Lanes`, and
    returns the `Lanes` of its output, or a sequence of them where the primitive has several.
    """

    def register(function: Rule) -> Rule:
        for name in names:
            if name in _RULES:
                raise ValueError(f"the primitive {name!r} has a rule already")
            _RULES[name] = function
        return function

    return register


def find(name: str) -> Rule | None:
    """The rule of a primitive, or None."""
    _load_rules()
    return _RULES.get(name)


def registered() -> list[str]:
    """The names of the primitives that have a rule, sorted."""
    _load_rules()
    return sorted(_RULES)


@cache
def _load_rules() -> None:
    """Import the rules, which registers them: when first used, so that importing jaxcalc is quick."""
    import_module("jaxcalc.engine.rules")
