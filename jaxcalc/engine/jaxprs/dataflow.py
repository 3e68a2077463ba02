"""What leads to what in a program: marks that go forward from its inputs, or back from its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn, Literal

Marks = Sequence[bool]


def all_results(eqn: JaxprEqn, _: Marks) -> Marks:
    """For `forward`: a marked operand leads to every result."""
    return [True] * len(eqn.outvars)


def all_operands(eqn: JaxprEqn, _: Marks) -> Marks:
    """For `backward`: a marked result leads back to every operand."""
    return [True] * len(eqn.invars)


def forward(
    jaxpr: Jaxpr,
    inputs: Marks,
    of_equation: Callable[[JaxprEqn, list[bool]], Marks],
    *,
    with_effects: bool = False,
) -> list[bool]:
    """Which outputs of a program are marked.

    Args:
        jaxpr: the program.
        inputs: for each input, whether it is marked.
        of_equation: says which outputs of an equation are marked, given its operands; it is asked where
            one of these is.
        with_effects: it is asked of every equation that has an effect as well.
    """
    marked = {v for v, on in zip(jaxpr.invars, inputs, strict=True) if on}

    def is_marked(v: Any) -> bool:
        return not isinstance(v, Literal) and v in marked

    for eqn in jaxpr.eqns:
        flags = [is_marked(v) for v in eqn.invars]
        if any(flags) or (with_effects and eqn.effects):
            results = of_equation(eqn, flags)
            marked.update(v for v, on in zip(eqn.outvars, results, strict=True) if on)
    return [is_marked(v) for v in jaxpr.outvars]


def backward(
    jaxpr: Jaxpr,
    outputs: Marks,
    of_equation: Callable[[JaxprEqn, list[bool]], Marks],
    *,
    with_effects: bool = False,
) -> list[list[bool]]:
    """For each equation, which of its outputs the marked outputs of the program lead back to.

    Args:
        jaxpr: the program.
        outputs: for each output, whether it is marked.
        of_equation: says which operands of an equation are marked, given its outputs; it is asked where
            one of these is.
        with_effects: it is asked of every equation that has an effect as well.
    """
    marked: set[Any] = set()

    def mark(variables: Sequence[Any], marks: Marks) -> None:
        each = zip(variables, marks, strict=True)
        marked.update(v for v, on in each if on and not isinstance(v, Literal))

    mark(jaxpr.outvars, outputs)
    found: list[list[bool]] = []
    for eqn in reversed(jaxpr.eqns):
        flags = [v in marked for v in eqn.outvars]
        if any(flags) or (with_effects and eqn.effects):
            mark(eqn.invars, of_equation(eqn, flags))
        found.append(flags)
    return found[::-1]


def repeated(body: Callable[[list[bool]], Sequence[bool]], inputs: Marks, carry: slice) -> list[bool]:
    """Which results of a loop are marked: its body's, once no more of its carry becomes so.

    Args:
        body: the marked results of one step, those of the carry first.
        inputs: the marks of what goes into the first step.
        carry: where the carry is among these.
    """
    flags = list(inputs)
    while True:
        outputs = list(body(flags))
        count = len(flags[carry])
        grown = [a or b for a, b in zip(flags[carry], outputs[:count], strict=True)]
        if grown == flags[carry]:
            return [*grown, *outputs[count:]]
        flags[carry] = grown


def any_of(branches: Iterable[Marks]) -> list[bool]:
    """The results that are marked in one of several branches."""
    return [any(marks) for marks in zip(*branches, strict=True)]
