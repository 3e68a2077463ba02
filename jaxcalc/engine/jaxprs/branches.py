"""What loops and branches hold at a time, found in programs whose equations know their source lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jax.extend.core import Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import equations
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.engine.jaxprs.source import is_own, source_line


@dataclass(frozen=True)
class Branch:
    """A branch of a `cond`, or the body or condition of a loop, in the program that runs.

    Attributes:
        place: file and line, empty for what JAX adds by itself.
        operation: "cond", "while" or "scan".
        branch: "branch 0", "body", "condition".
        computes: "values" for what f computes and the coefficients, "tangents" for the derivative,
            "both" where one program does both.
        peak_bytes: the most that its values take at one time, its results among them; of a loop, in
            one step. Nothing is assumed to be fused.
    """

    place: str
    operation: str
    branch: str
    computes: str
    peak_bytes: int


def branches(
    equations_: Iterable[JaxprEqn],
    place: str | None = None,
    *,
    computes: str = "both",
    times: int = 1,
) -> list[Branch]:
    """The branches and bodies in a program, those inside others after them.

    Args:
        equations_: of a program that the user's code made, with what this library made around it.
        place: the source line of all of it; without it each equation says where it comes from, and the
            library's own loops are left out.
        computes: values, tangents or both.
        times: how many tangents are carried side by side.
    """
    found: list[Branch] = []
    for eqn in equations_:
        listed = place is not None or not is_own(eqn)
        here = source_line(eqn) if place is None else place
        for name, program in _parts(eqn):
            if name and listed:
                size = times * peak_bytes(program, with_results=True)
                found.append(Branch(here, eqn.primitive.name, name, computes, size))
            found += branches(program.eqns, place, computes=computes, times=times)
    return list(dict.fromkeys(found))


def _parts(eqn: JaxprEqn) -> Iterator[tuple[str, Jaxpr]]:
    """The programs inside an equation; those of a loop or a branch with a name."""
    match eqn.primitive.name:
        case "cond":
            for number, branch in enumerate(equations.branches(eqn)):
                yield f"branch {number}", branch.jaxpr
        case "while":
            loop = equations.while_loop(eqn)
            yield "condition", loop.condition.jaxpr
            yield "body", loop.body.jaxpr
        case "scan":
            yield "body", equations.scan(eqn).body.jaxpr
        case _:
            for program in equations.programs(eqn):
                yield "", program
