"""The diagonal of a Jacobian by products with basis vectors, of each of which one entry is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.flatten import FlatCall, Leaves
from jaxcalc.call.options import Direction, require_complex_fits, require_reverse_fits
from jaxcalc.engine.custom_vjp.forward_mode import with_forward_mode
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.rules.registry import Context
from jaxcalc.methods.base import Outcome
from jaxcalc.methods.batch_size import block_within
from jaxcalc.methods.batched import diagonal_in_turn
from jaxcalc.methods.problem import DirectProblem


@dataclass(frozen=True, eq=False)
class Diagonal:
    """A product for each entry, in one direction.

    Attributes:
        problem: the call.
        direction: of the products.
    """

    problem: DirectProblem
    direction: Direction

    @property
    def words(self) -> str:
        """What JAX is asked for."""
        return f"{self.direction} mode"

    def run(self) -> Outcome:
        """The diagonal, with value and aux."""
        problem, options, flat = self.problem, self.problem.options, self.problem.flat
        require_complex_fits(flat, options, self.direction)
        dtypes = [dtype_of(y) for y in problem.output]
        require_reverse_fits(replace(options, mode=self.direction), dtypes)
        call: FlatCall = self._call
        if self.direction == "reverse" and options.mode == "auto":
            call = without_promises(call)
        if self.direction == "forward" and "forward" not in problem.allowed:
            context = Context(options.api, options.strict)
            call = with_forward_mode(call, context, has_reverse="reverse" in problem.allowed)
        block_of = block_within(options.api, options.memory_limit)
        diagonal, output, aux = diagonal_in_turn(call, flat.leaves, self.direction, block_of)
        return Outcome(flat.value(output), None, aux, diagonal)

    def _call(self, leaves: Leaves) -> tuple[list[Any], Any]:
        return self.problem.request.evaluate(self.problem.flat, leaves)
