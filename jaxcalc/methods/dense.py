"""Dense Jacobians and Hessians through JAX's own transformations, in given directions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.flatten import Leaves, as_forward_types
from jaxcalc.call.options import Direction, require_complex_fits
from jaxcalc.engine.custom_vjp.forward_mode import with_forward_mode
from jaxcalc.engine.jaxprs import cost
from jaxcalc.engine.jaxprs.branches import Branch, branches
from jaxcalc.engine.jaxprs.liveness import peak_bytes
from jaxcalc.engine.jaxprs.refusals import reverse_mode_explained
from jaxcalc.engine.jaxprs.source import named_with_line
from jaxcalc.engine.rules.registry import Context
from jaxcalc.methods.base import Figures, Outcome, Part
from jaxcalc.methods.batched import BlockOf, Watch
from jaxcalc.methods.bottleneck import size_of
from jaxcalc.methods.dense_blocks import Wrap, hessian_blocks, jacobian_blocks
from jaxcalc.methods.problem import DirectProblem
from jaxcalc.methods.progress import watching


@dataclass(frozen=True, eq=False)
class Dense:
    """The dense derivative as JAX computes it.

    Attributes:
        problem: the call.
        directions: that of a Jacobian; the outer and the inner one of a Hessian.
        replaces: whether the `jax.custom_vjp` functions that f calls get a forward mode.
        is_optional: whether it is given up where such a rule would have to be materialized.
    """

    problem: DirectProblem
    directions: tuple[Direction, ...]
    replaces: bool = False
    is_optional: bool = False

    @property
    def name(self) -> str:
        """What is done."""
        return f"dense, {' over '.join(self.directions)}"

    @property
    def words(self) -> str:
        """What JAX is asked for."""
        return f"{' over '.join(self.directions)} mode"

    @property
    def note(self) -> str:
        """Which rule gets a forward mode."""
        if not self.must_replace:
            return ""
        return f"{named_with_line(self.problem.forbidden['forward'])} by the transpose of its rule"

    @property
    def parts(self) -> list[Part]:
        """None: f is not cut."""
        return []

    @property
    def must_replace(self) -> bool:
        """Whether such functions get one: by choice, or since forward mode was asked for."""
        if self.replaces or self.problem.options.mode != "forward":
            return self.replaces
        return "forward" in self.directions and "forward" not in self.problem.allowed

    def run(self) -> Outcome:
        """The derivative, with value, gradient and aux.

        Where forward mode was asked for, f is looked at only when JAX refuses: a function that cannot
        be traced has a forward mode too.
        """
        if self.replaces or self.problem.options.mode != "forward":
            return self._run(replaces=self.replaces)
        try:
            return self._run(replaces=False)
        except UNTRACEABLE:
            raise
        except TypeError:
            if "forward" in self.problem.allowed:
                raise
        return self._run(replaces=True)

    @cached_property
    def figures(self) -> Figures:
        """So many times what one product with a vector takes."""
        one: list[Jaxpr] = []

        def all_at_once(product: Jaxpr) -> int:
            one.append(product)
            return sys.maxsize

        self._program(all_at_once)
        if not one or not size_of(one[0].invars):  # there is nothing to multiply with
            return Figures(0, 0.0, 0)
        seeds = size_of(one[0].invars)
        block_of = self.problem.block_of(self.directions[0])
        block = seeds if block_of is None else min(seeds, block_of(one[0]))
        held = peak_bytes(one[0], with_results=block < seeds)
        return Figures(seeds, cost.work(one[0], seeds), block * held, block, -(-seeds // block))

    def branches(self) -> list[Branch]:
        """What branches and loops of the whole derivative hold."""
        return branches(self._program(self.problem.block_of(self.directions[0])).eqns)

    def _program(self, block_of: BlockOf | None) -> Jaxpr:
        """The program of the whole derivative, as it will run."""
        replaces = self.must_replace

        def derivative(leaves: Leaves) -> Any:
            return self._blocks(leaves, block_of, replaces=replaces)[0]

        return jax.make_jaxpr(derivative)(self.problem.leaves).jaxpr

    def _run(self, *, replaces: bool) -> Outcome:
        problem, flat = self.problem, self.problem.flat
        require_complex_fits(flat, problem.options, self.directions[0])
        with self._explained(), watching(problem.options, flat.leaves) as watch:
            block_of = problem.block_of(self.directions[0])
            blocks, first, values, aux = self._blocks(flat.leaves, block_of, watch, replaces=replaces)
        shapes = [jnp.shape(y) for y in values]
        if problem.kind == "hessian":
            gradient = flat.inputs(first[0]) if shapes == [()] else None
            return Outcome(flat.value(values), gradient, aux, flat.hessian(blocks, shapes))
        if self.directions == ("reverse",) and problem.options.mode == "auto":
            blocks = as_forward_types(blocks, values)
        return Outcome(flat.value(values), None, aux, flat.jacobian(blocks, shapes))

    def _blocks(
        self, leaves: Leaves, block_of: BlockOf | None, watch: Watch | None = None, *, replaces: bool
    ) -> tuple[Any, Any, Any, Any]:
        """The blocks, those of the first order (of a Hessian), the output leaves, and aux."""
        problem = self.problem
        options: dict[str, Any] = {
            "holomorphic": problem.options.holomorphic,
            "block_of": block_of,
            "watch": watch,
            "forward": self._forward_mode(outer=False) if replaces else None,
        }
        inner = problem.in_reverse if "reverse" in self.directions else problem.flat
        if problem.kind == "jacobian":
            blocks, output, aux = jacobian_blocks(inner, leaves, self.directions[0], **options)
            return blocks, None, output, aux
        outer_direction, inner_direction = self.directions

        def call(leaves: Leaves) -> Any:
            output, aux = inner(leaves)
            if problem.require_output is not None:
                problem.require_output(problem.flat.chosen.primal, problem.flat.value(output))
            return output, aux

        # the derivative of f may lack a reverse mode that f has
        outer_forward = self._forward_mode(outer=True) if replaces else None
        directions = outer_direction, inner_direction
        return hessian_blocks(call, leaves, directions, outer_forward=outer_forward, **options)

    def _forward_mode(self, *, outer: bool) -> Wrap:
        """Gives the `jax.custom_vjp` functions that f calls, or its derivative, a forward mode."""
        problem, options = self.problem, self.problem.options
        context = Context(options.api, options.strict)
        is_free = problem.kind == "hessian" and options.mode == "auto"
        has_reverse = not (outer or is_free) and "reverse" in problem.allowed
        only = self.is_optional
        return lambda call: with_forward_mode(
            call, context, has_reverse=has_reverse, transposed_only=only
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Around what was asked to go in reverse."""
        if self.problem.options.mode != "reverse":
            yield
            return
        api, flat = self.problem.options.api, self.problem.flat
        instead = "leave mode='reverse' out, and it goes forward"
        with reverse_mode_explained(api, "f", flat, flat.leaves, instead=instead):
            yield
