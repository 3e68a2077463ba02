"""What leads to what in a program: marks that go forward from its inputs, or back from its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from jax.extend.core import Jaxpr, JaxprEqn, Literal

Marks = Sequence[bool]
Mark = TypeVar("Mark")


def all_results(eqn: JaxprEqn, _: Marks) -> Marks:
    """For `forward`: a marked operand leads to every result."""
    return [True] * len(eqn.outvars)


def all_operands(eqn: JaxprEqn, _: Marks) -> Marks:
    """For `backward`: a marked result leads back to every operand."""
    return [True] * len(eqn.invars)


def forward(
    jaxpr: Jaxpr,
    inputs: Sequence[Mark],
    of_equation: Callable[[JaxprEqn, list[Mark]], Sequence[Mark]],
    *,
    unmarked: Mark = False,  # type: ignore[assignment]
    of_literal: Callable[[Literal], Mark] | None = None,
    with_effects: bool = False,
) -> list[Mark]:
    """The marks of a program's outputs: what is known of each, most often whether it is reached.

    Args:
        jaxpr: the program.
        inputs: the mark of each input.
        of_equation: gives the marks of an equation's outputs, given those of its operands; it is asked
            where one of these is marked.
        unmarked: the mark of all other values.
        of_literal: the mark of a number in the program, if it has one.
        with_effects: `of_equation` is asked of every equation that has an effect as well.
    """
    known: dict[Any, Mark] = dict(zip(jaxpr.invars, inputs, strict=True))

    def read(v: Any) -> Mark:
        if isinstance(v, Literal):
            return unmarked if of_literal is None else of_literal(v)
        return known.get(v, unmarked)

    for eqn in jaxpr.eqns:
        marks = [read(v) for v in eqn.invars]
        if any(mark != unmarked for mark in marks) or (with_effects and eqn.effects):
            known.update(zip(eqn.outvars, of_equation(eqn, marks), strict=True))
    return [read(v) for v in jaxpr.outvars]


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
