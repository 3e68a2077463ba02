"""A call of f whose derivative is wanted, looked at as far as a decision asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Var

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
from jaxcalc.call.symbolic import require_known_shapes
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
    """A call of f, which is traced when something is first asked of its program, and then once.

    Attributes:
        request: the call.
        kind: which derivative.
    """

    request: Request
    kind: Query

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

    @cached_property
    def _looked_at(self) -> tuple[ClosedJaxpr | None, list[Any]]:
        """f as a program of all arrays, the chosen leaves last, and its output by its shapes."""
        request = self.request
        program, output = jax.make_jaxpr(
            lambda traced, leaves: request.evaluate(request.flat(traced), leaves)[0], return_shape=True
        )(request.call.traced, self.leaves)
        require_known_shapes(request.options.api, program.jaxpr)
        return program, output

    @property
    def program(self) -> ClosedJaxpr | None:
        """f as a program, or None where it needs concrete values."""
        return self._looked_at[0]

    @property
    def jaxpr(self) -> Jaxpr:
        """The program, of a call that has one."""
        assert self.program is not None
        return self.program.jaxpr

    @property
    def output(self) -> list[Any]:
        """The output leaves by their shapes and dtypes."""
        return self._looked_at[1]

    @property
    def variables(self) -> list[Var]:
        """The inputs of the program that are differentiated with respect to."""
        invars = [] if self.program is None else self.program.jaxpr.invars
        return invars[len(invars) - len(self.leaves) :]

    @cached_property
    def forbidden(self) -> Obstacles:
        """What stands in the way of a direction, as far as f is known."""
        return {} if self.program is None else obstacles(self.program.jaxpr, self.variables)

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
        return program is not None and is_finite_in_reverse_alone(program.jaxpr, self.variables)

    def why_not(self, direction: Direction) -> str:
        """Why JAX has no derivative in this direction, or it is not wanted; empty where it has one."""
        mode, is_complex = self.options.mode, any_complex(self.leaves)
        if mode not in {"auto", direction}:
            return f"mode={mode!r} was asked for"
        if direction == "forward" and is_complex and not self.options.holomorphic:
            return "a complex input has a forward derivative only where f is holomorphic"
        if direction in self.forbidden:
            return f"{named_with_line(self.forbidden[direction])} has no {direction} mode"
        return ""


@dataclass
class DirectProblem(Problem):
    """A call with the values that it was given, for JAX's own transformations, which need no program.

    Where f cannot be traced, nothing stands in the way of a direction as far as is known.

    Attributes:
        failures: notes what fails before JAX's own transformations are taken.
        require_output: may refuse an output; it is given the chosen arguments and the output.
    """

    failures: Failures
    require_output: Callable[[Any, Any], None] | None = None

    @property
    def is_traced(self) -> bool:
        """Whether nothing runs yet, since an outer transformation traces the leaves."""
        return any(isinstance(x, jax.core.Tracer) for x in self.leaves)

    @cached_property
    def _looked_at(self) -> tuple[ClosedJaxpr | None, list[Any]]:
        """f as a program of the chosen leaves, and its output by its shapes at least.

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

    @cached_property
    def forbidden(self) -> Obstacles:
        """What stands in the way of a direction, as far as f is known."""
        if self.program is None:
            return {}
        return self.failures.prepare(lambda: super(DirectProblem, self).forbidden, {})

    @cached_property
    def rather_reverse(self) -> bool:
        """Whether reverse mode may be the one that is finite."""
        if self.program is None:
            return False
        return self.failures.prepare(lambda: super(DirectProblem, self).rather_reverse, False)

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
        seeds = size_of(leaves if direction == "forward" else output)
        if not (options.progress or needs_blocks(seeds, [*leaves, *output], options.memory_limit)):
            return None
        return block_within(options.api, options.memory_limit)

    @property
    def block_of_either(self) -> BlockOf | None:
        """The same for products in both directions."""
        return self.block_of("forward") or self.block_of("reverse")


def size_of(leaves: Sequence[Any]) -> int:
    """The number of elements of all leaves together."""
    return sum(prod(jnp.shape(x)) for x in leaves)


def any_complex(leaves: Sequence[Any]) -> bool:
    """Whether one of these leaves is complex."""
    return any(jnp.iscomplexobj(leaf) for leaf in leaves)
