"""A call of f whose derivative is wanted, looked at as far as a decision asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jaxcalc.call.arguments import is_inexact
from jaxcalc.call.flatten import (
    FlatCall,
    FlatMap,
    Leaves,
    require_differentiable_output,
    require_real_side,
)
from jaxcalc.call.options import Direction, Options
from jaxcalc.call.request import Query, Request
from jaxcalc.engine.jaxprs.bounds import without_promises
from jaxcalc.engine.jaxprs.directions import Obstacles, obstacles
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.jaxprs.vanishing import is_finite_in_reverse_alone
from jaxcalc.methods.batch_size import block_within, needs_blocks
from jaxcalc.methods.batched import BlockOf
from jaxcalc.methods.directions import trace
from jaxcalc.methods.failures import Failures


@dataclass
class Problem:
    """A call of f for JAX's own transformations, with the values that it was given.

    f is traced when something is first asked of its program, and then once.

    Attributes:
        request: the call.
        kind: which derivative.
        failures: notes what fails before JAX's own transformations are taken.
        require_output: may refuse an output; it is given the chosen arguments and the output.
    """

    request: Request
    kind: Query
    failures: Failures
    require_output: Callable[[Any, Any], None] | None = None

    @property
    def options(self) -> Options:
        """Those of the call."""
        return self.request.options

    @cached_property
    def flat(self) -> FlatMap:
        """f as a map of leaves."""
        return self.request.flat(self.request.call.traced)

    @property
    def leaves(self) -> list[Any]:
        """What is differentiated with respect to."""
        return self.flat.leaves

    @property
    def is_traced(self) -> bool:
        """Whether nothing runs yet, since an outer transformation traces the leaves."""
        return any(isinstance(x, jax.core.Tracer) for x in self.leaves)

    @cached_property
    def _looked_at(self) -> tuple[Jaxpr | None, list[Any]]:
        """f as a program of its leaves, and its output by its shapes at least.

        Where f needs concrete values there is no program, and one evaluation gives the output.
        """
        found = self.failures.prepare(lambda: trace(self._output, self.leaves), None)
        return (None, self._output(self.leaves)) if found is None else found

    def _output(self, leaves: Leaves) -> list[Any]:
        output, _ = self.flat(leaves)
        require_differentiable_output(
            self.options.api,
            output,
            self.flat.treedef,
            holomorphic=self.options.holomorphic,
            allow_int=self.kind == "jacobian",  # they go forward alone, as in `jax.jacfwd`
        )
        return output

    @property
    def program(self) -> Jaxpr | None:
        """f as a program of its leaves; None where it needs concrete values."""
        return self._looked_at[0]

    @property
    def output(self) -> list[Any]:
        """The output leaves, or their shapes and dtypes."""
        return self._looked_at[1]

    @cached_property
    def forbidden(self) -> Obstacles:
        """What stands in the way of a direction, as far as f is known."""
        program = self.program
        if program is None:
            return {}
        return self.failures.prepare(lambda: obstacles(program, program.invars), {})

    @property
    def allowed(self) -> set[Direction]:
        """The directions in which JAX differentiates f."""
        both: set[Direction] = {"forward", "reverse"}
        are_inexact = all(map(is_inexact, self.output))
        return both - self.forbidden.keys() - (set() if are_inexact else {"reverse"})

    @cached_property
    def rather_reverse(self) -> bool:
        """Whether reverse mode may be the one that is finite."""
        program = self.program
        if program is None:
            return False
        look = lambda: is_finite_in_reverse_alone(program, program.invars)  # noqa: E731
        return self.failures.prepare(look, False)

    def why_not(self, direction: Direction) -> str:
        """Why JAX has no derivative in this direction, or it is not wanted; empty where it has one."""
        mode, is_complex = self.options.mode, any(map(jnp.iscomplexobj, self.leaves))
        if mode not in {"auto", direction}:
            return f"mode={mode!r} was asked for"
        if direction == "forward" and is_complex and not self.options.holomorphic:
            return "a complex input has a forward derivative only where f is holomorphic"
        if direction in self.forbidden:
            return f"{named_with_line(self.forbidden[direction])} has no {direction} mode"
        return ""

    @property
    def in_reverse(self) -> FlatCall:
        """f as it is differentiated in reverse.

        Outputs are refused that reverse mode has no derivative of; in `mode="auto"` it says what its
        values say.
        """
        return without_promises(self._reversible) if self.options.mode == "auto" else self._reversible

    def _reversible(self, leaves: Leaves) -> tuple[Leaves, Any]:
        output, aux = self.flat(leaves)
        options, treedef = self.options, self.flat.treedef
        require_differentiable_output(options.api, output, treedef, holomorphic=options.holomorphic)
        if not options.holomorphic:
            require_real_side(self.flat.chosen, output, treedef)
        return output, aux

    def block_of(self, direction: Direction) -> BlockOf | None:
        """How many products in a direction are done at a time; None where there is no need to count."""
        options, leaves = self.options, self.leaves
        # a direction that was asked for is taken before the outputs are known
        known = self.output if self.kind == "jacobian" and options.mode == "auto" else []
        output = leaves if self.kind == "hessian" else known
        seeds = sum(prod(jnp.shape(x)) for x in (leaves if direction == "forward" else output))
        if not (options.progress or needs_blocks(seeds, [*leaves, *output], options.memory_limit)):
            return None
        return block_within(options.api, options.memory_limit)

    @property
    def block_of_either(self) -> BlockOf | None:
        """The same for products in both directions."""
        return self.block_of("forward") or self.block_of("reverse")
