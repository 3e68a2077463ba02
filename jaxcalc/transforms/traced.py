"""f as a program, before a derivative is chosen, and what stands in the way of one."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from jaxcalc.engine.directions import Direction, Obstacles, obstacles
from jaxcalc.engine.source import named_with_line
from jaxcalc.flat import FlatMap
from jaxcalc.transforms.request import Request


class Traced(NamedTuple):
    """f as a program of its chosen leaves and all else, and what forbids a direction."""

    flat: FlatMap
    program: ClosedJaxpr
    output: list[Any]
    forbidden: Obstacles

    @classmethod
    def of(cls, request: Request) -> Traced:
        """Trace f, whose arguments may be shapes."""
        flat = request.flat(request.call.traced)
        program, output = jax.make_jaxpr(
            lambda traced, leaves: request.evaluate(request.flat(traced), leaves)[0], return_shape=True
        )(request.call.traced, flat.leaves)
        variables = program.jaxpr.invars[len(program.jaxpr.invars) - len(flat.leaves) :]
        return cls(flat, program, output, obstacles(program.jaxpr, variables))

    @property
    def allowed(self) -> set[Direction]:
        """The directions that JAX differentiates f in."""
        both: set[Direction] = {"forward", "reverse"}
        return both - self.forbidden.keys()


def reason(error: Exception) -> str:
    """What an error says, in one line and without the name of the public function."""
    text = str(error).split("\n", 1)[0]
    return (text.split(": ", 1)[1] if text.startswith("jaxcalc.") else text).rstrip(".")


def why_not(request: Request, traced: Traced, direction: Direction) -> str:
    """Why a derivative cannot be taken in this direction; empty where it can."""
    mode = request.options.mode
    if mode not in {"auto", direction}:
        return f"mode={mode!r} was asked for"
    if direction == "forward" and any(map(jnp.iscomplexobj, traced.flat.leaves)):
        return "a complex input has a forward derivative only where f is holomorphic"
    if direction in traced.forbidden:
        return f"{named_with_line(traced.forbidden[direction])} has no {direction} mode"
    return ""
