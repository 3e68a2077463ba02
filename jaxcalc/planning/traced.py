"""f as a program, before a derivative is chosen, and what stands in the way of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Var

from jaxcalc.call.flatten import FlatMap
from jaxcalc.call.options import Direction
from jaxcalc.call.request import Query, Request
from jaxcalc.call.symbolic import require_known_shapes
from jaxcalc.engine.jaxprs.directions import Obstacles, obstacles
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.jaxprs.vanishing import is_finite_in_reverse_alone
from jaxcalc.methods.bottleneck import work_of_product
from jaxcalc.methods.chain import one_dtype, parts_of
from jaxcalc.methods.dense_blocks import cheaper_direction
from jaxcalc.methods.mixed_shares import may_share, shares
from jaxcalc.planning import worth


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
        require_known_shapes(request.options.api, program.jaxpr)
        return cls(flat, program, output, obstacles(program.jaxpr, _last(program, len(flat.leaves))))

    @property
    def variables(self) -> list[Var]:
        """The inputs of the program that are differentiated with respect to."""
        return _last(self.program, len(self.flat.leaves))

    @property
    def allowed(self) -> set[Direction]:
        """The directions that JAX differentiates f in."""
        both: set[Direction] = {"forward", "reverse"}
        return both - self.forbidden.keys()

    @property
    def cheaper(self) -> Direction:
        """The direction that a dense Jacobian goes where both are allowed."""
        rather_reverse = is_finite_in_reverse_alone(self.program.jaxpr, self.variables)
        return cheaper_direction(self.flat.leaves, self.output, rather_reverse=rather_reverse)

    @property
    def steps(self) -> int:
        """How many equations are followed to find the structure of f."""
        return worth.steps_to_follow(self.program.jaxpr)

    def dense_work(self, kind: Query) -> float:
        """Roughly the nanoseconds of the dense derivative from JAX's own transformations."""
        return worth.dense_work(self.program.jaxpr, self.variables, 2 if kind == "hessian" else 1)

    def composed_work(self, request: Request, work_of: Callable[[int], float]) -> float:
        """The estimated nanoseconds of the Jacobian made of several; infinite where none is.

        Args:
            request: the call.
            work_of: the estimated nanoseconds of so many products with a vector.
        """
        if len(self.allowed) < 2 or request.options.mode != "auto":
            return inf
        found = [inf]
        if request.options.memory_limit is None:
            parts = parts_of(self.program, self.variables)
            found += [work_of_product(parts)] if len(parts) > 1 else []
        leaves, output = self.flat.leaves, self.output
        if may_share(leaves, output) and one_dtype([*leaves, *output]) is not None:
            both = shares(self.program.jaxpr, self.variables, len(output))
            found += [sum(work_of(share.products) for share in both)] if both else []
        return min(found)


def _last(program: ClosedJaxpr, count: int) -> list[Var]:
    invars = program.jaxpr.invars
    return invars[len(invars) - count :]


def size_of(leaves: Sequence[Any]) -> int:
    """The number of elements of all leaves together."""
    return sum(prod(jnp.shape(x)) for x in leaves)


def reason(error: Exception) -> str:
    """What an error says, in one line and without the name of the public function."""
    text = str(error).split("\n", 1)[0]
    return (text.split(": ", 1)[1] if text.startswith("jaxcalc.") else text).rstrip(".")


def why_not(request: Request, traced: Traced, direction: Direction) -> str:
    """Why a derivative cannot be taken in this direction; empty where it can."""
    mode, is_complex = request.options.mode, any(map(jnp.iscomplexobj, traced.flat.leaves))
    if mode not in {"auto", direction}:
        return f"mode={mode!r} was asked for"
    if direction == "forward" and is_complex and not request.options.holomorphic:
        return "a complex input has a forward derivative only where f is holomorphic"
    if direction in traced.forbidden:
        return f"{named_with_line(traced.forbidden[direction])} has no {direction} mode"
    return ""
