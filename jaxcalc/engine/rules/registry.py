"""The registry of rules: how each linear primitive acts on structured tangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any

from jax.extend.core import ClosedJaxpr, JaxprEqn, Primitive

from jaxcalc.engine.tangents.lanes import Lanes
from jaxcalc.heuristics import heuristics

Operands = Sequence[Any]  # Lanes for tangents, arrays (static) or tracers (primal) for the others
Rule = Callable[[JaxprEqn, Operands], Lanes | Sequence[Lanes]]
Mixes = Sequence[int] | Callable[[JaxprEqn], Sequence[int]]

_RULES: dict[str, Rule] = {}
_DECLARED: dict[str, Mixes | None] = {}  # what `register_rule` was given; None for a rule
_revisions = [0]


class NoRuleError(NotImplementedError):
    """What `strict` refuses: something that the walk cannot follow with its structure."""


class NoStructureError(TypeError):
    """A derivative that is known to have no structure that the walk could follow."""


@dataclass
class Context:
    """What the rules of one walk share.

    Attributes:
        api: the public name that error messages begin with.
        strict: whether a primitive without a rule is an error.
        fallbacks: the primitives that went through the dense fallback, with their source lines.
        entry_limit: the most entries that a value may have before the walk gives up.
        is_trusted: whether the program is known to be linear: JAX made it, and no rule of the user's.
        inside: the primitives whose implementations are being followed.
        traced: the equations of primitives without a rule, with their implementations, by number.
    """

    api: str
    strict: bool = False
    fallbacks: list[str] = field(default_factory=list)
    entry_limit: int = field(default_factory=lambda: heuristics().entry_limit)
    is_trusted: bool = False
    inside: tuple[Primitive, ...] = ()
    traced: dict[int, tuple[JaxprEqn, ClosedJaxpr | None]] = field(default_factory=dict)

    def inside_of(self, primitive: Primitive) -> Context:
        """The context of an implementation, which nobody has said to be linear."""
        inside = (*self.inside, primitive)
        return replace(self, is_trusted=False, inside=inside, fallbacks=[])


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


def declared() -> dict[str, Mixes | None]:
    """The primitives that `register_rule` has given rules, with the axes that they mix, if told."""
    return dict(_DECLARED)


def revision() -> int:
    """A number that changes when `register_rule` does something: earlier derivatives are then stale."""
    return _revisions[0]


def register_rule(
    primitive: str | Primitive,
    rule: Rule | None = None,
    *,
    mixes: Mixes | None = None,
    replace: bool = False,
) -> Callable[[], None]:
    """Tell how a linear primitive acts on structured tangents, so that it is not treated as dense.

    For most primitives it is enough to say which axes they mix. The primitive is then applied lane by
    lane, through its batching rule where it has one. Along the other axes, element i of the result
    depends on element i of the tangents alone; those axes keep their places and their sizes, and a
    result may leave out all of the mixed axes, as a sum does. What is told is believed: a `mixes` that
    leaves out an axis which is mixed gives wrong derivatives.

    Args:
        primitive: a primitive or its name. Rules go by name.
        rule: takes the equation and its operands, each a `Lanes` (a tangent), a numpy array (a known
            value) or a traced array, and returns the `Lanes` of the output, or a sequence of them,
            one for each output. Instead of `mixes`.
        mixes: the axes of the tangents that the primitive mixes, negative ones counted from the end;
            `()` for an elementwise primitive; or a function from the equation to these axes.
        replace: allow a rule in the place of another.

    Returns:
        A function without arguments that puts back what was there before.

    Raises:
        TypeError: neither or both of `rule` and `mixes` are given, or one of them is of another kind.
        ValueError: the primitive has a rule and `replace` is False; it runs programs, such as `jit`
            or `scan`, which are followed instead of a rule; or an axis is named twice. What is only
            seen when a derivative is taken, such as an axis that the tangent has not got, is a
            ValueError then.

    Cost: no evaluation of f. Derivatives that were made ready before are made anew.

    Method: structured tangents are followed through every primitive; see docs/coverage.md.

    Example:
        >>> import jax, jax.numpy as jnp, jaxcalc
        >>> from jaxcalc.engine import register_rule
        >>> undo = register_rule("my_filter", mixes=(-1,))  # along the last axis only
        >>> undo()
    """
    name = _name_of(primitive)
    new = _rule_of(name, rule, mixes)
    _load_rules()
    old = _RULES.get(name)
    if old is not None and not replace:
        where = getattr(old, "__module__", ""), getattr(old, "__qualname__", repr(old))
        raise ValueError(
            f"{_API}: the primitive {name!r} has a rule already, {'.'.join(filter(None, where))}. "
            "Pass replace=True to put another in its place."
        )
    had, before = name in _DECLARED, _DECLARED.get(name)
    _RULES[name], _DECLARED[name] = new, mixes
    _revisions[0] += 1

    def undo() -> None:
        if _RULES.get(name) is not new:
            raise ValueError(
                f"{_API}: the rule of {name!r} is no longer the one to undo. Undo later ones first."
            )
        del _RULES[name], _DECLARED[name]
        if old is not None:
            _RULES[name] = old
        if had:
            _DECLARED[name] = before
        _revisions[0] += 1

    return undo


_API = "jaxcalc.engine.register_rule"


def _name_of(primitive: str | Primitive) -> str:
    if not isinstance(primitive, str | Primitive):
        raise TypeError(
            f"{_API}: the primitive is {primitive!r}, of type {type(primitive).__name__}. Pass a "
            "jax.extend.core.Primitive, or the name that it has in a jaxpr."
        )
    name = primitive if isinstance(primitive, str) else primitive.name
    how = import_module("jaxcalc.engine.rules.coverage").followed().get(name)
    if how is not None:
        raise ValueError(
            f"{_API}: {name!r} runs programs, and these are followed ({how}), so that a rule for it "
            "would never be asked. Register rules for the primitives inside."
        )
    return name


def _rule_of(name: str, rule: Rule | None, mixes: Mixes | None) -> Rule:
    if (rule is None) == (mixes is None):
        given = "neither" if rule is None else "both"
        raise TypeError(
            f"{_API}: {given} of `rule` and `mixes` are given for {name!r}. Pass the axes that it "
            "mixes, mixes=() for an elementwise primitive, or a rule (eqn, operands) -> Lanes."
        )
    given_rules = import_module("jaxcalc.engine.rules.user_rules")
    made: Rule = given_rules.of_axes(name, mixes) if rule is None else given_rules.checked(name, rule)
    return made


@cache
def _load_rules() -> None:
    """Import the rules, which registers them: when first used, so that importing jaxcalc is quick."""
    import_module("jaxcalc.engine.rules")
