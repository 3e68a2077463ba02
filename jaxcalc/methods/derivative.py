"""A derivative made ready to run: traced, its structure found, its two passes staged."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from copy import copy
from functools import cached_property, partial
from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Jaxpr

from jaxcalc.engine.custom_vjp.compressed import materialized
from jaxcalc.engine.jaxprs import boundary, cost
from jaxcalc.engine.jaxprs.staged import Staged
from jaxcalc.engine.jaxprs.varying import shape_of
from jaxcalc.engine.linearize.trace import Build, Inputs, Linearized, LinearMap, linearize
from jaxcalc.engine.patterns.coloring import Coloring, Product, one_product
from jaxcalc.engine.rules.registry import Context, NoRuleError
from jaxcalc.engine.tangents.lanes import Lanes
from jaxcalc.engine.tangents.to_dense import densify
from jaxcalc.engine.tangents.to_diagonal import diagonal_of
from jaxcalc.engine.tangents.to_entries import entries
from jaxcalc.engine.walk.coupling import Meeting, Observer
from jaxcalc.engine.walk.interpret import TooDenseError, identity, run_primal, walk
from jaxcalc.engine.walk.linearity import NotLinearError, calls_rules
from jaxcalc.engine.walk.program import Slot, Step
from jaxcalc.space import promoted

BlockOf = Callable[[Jaxpr, int], int]


class Evaluated(NamedTuple):
    """What one run gives: leaves of the output, of the gradient (for a Hessian), aux and values."""

    output: list[Any]
    gradient: list[Any]
    aux: Any
    values: list[Any]


class Compression(NamedTuple):
    """How many products with colored vectors there are, and how many of them are done at a time."""

    products: int
    block: int


class Derivative:
    """One derivative of one function, at inputs of given shapes and dtypes.

    Attributes:
        linear_map: which linear map was materialized: forward, reverse or the Hessian's.
        rows: `[nnz]` static, the output element of each value.
        cols: `[nnz]` static, the input element of each value.
        outputs: shapes and dtypes of f's output leaves.
        fallbacks: the primitives that were treated as dense, with their source lines.
        is_dense: whether the values are dense arrays, one for each leaf of the linear map's result,
            with an axis for the seeds, the first one in reverse mode and else the last; otherwise
            they are one line of entries.
        compression: where products with colored vectors give the values, how many; else None.
        is_linear: whether the program is linear in its tangents, as far as the walk can tell; a
            backward rule that is not is applied to basis vectors.
        is_pure: whether nothing that an outer transformation traces is baked in, so that it may be
            kept and used again.
    """

    def __init__(
        self,
        build: Build,
        inputs: Inputs,
        linear_map: LinearMap,
        context: Context,
        *,
        holomorphic: bool = False,
        is_dense: bool = False,
    ) -> None:
        self.linear_map = linear_map
        self.is_dense = is_dense
        self.compression: Compression | None = None
        self.is_linear = True
        self._context = context
        self.fallbacks = context.fallbacks
        self._traced: Linearized = linearize(
            build, inputs, linear_map, holomorphic=holomorphic, context=context
        )
        program = self._traced.program
        self.outputs = self._traced.outputs
        first = len(self.outputs) + self._traced.gradient_count + self._traced.aux_count
        self._primal_outputs = program.outputs[:first]
        self._tangent_outputs = program.outputs[first:]
        program.prune(program.outputs)
        self._residuals = program.residuals(self._tangent_outputs)
        self.is_pure = not program.captured
        self._tangent_pass = Staged(self._walk(), [shape_of(s.aval) for s in self._residuals])
        self._compiled: dict[bool, Staged] = {}

    @property
    def signature(self) -> Hashable:
        """Equal to that of another linear program which computes the same."""
        return self._traced.signature

    @property
    def has_rules(self) -> bool:
        """Whether the program calls functions with derivative rules of their own."""
        return calls_rules(self._traced.closed.jaxpr)

    @property
    def seeds(self) -> int:
        """How many tangents (cotangents, in reverse mode) a dense derivative takes."""
        return sum(prod(slot.aval.shape) for slot in self._traced.program.tangents)

    @cached_property
    def work(self) -> float:
        """The estimated nanoseconds of the tangent pass."""
        return cost.work(self._tangent_pass.jaxpr)

    def __call__(self, inputs: Inputs, *, with_value: bool) -> Evaluated:
        """Run at `inputs`; without `with_value`, output, gradient and aux stay empty."""
        results = self.compiled(with_value=with_value)(inputs)
        count = len(self._tangent_outputs) if self.is_dense else 1
        values, primal = results[:count], results[count:]
        output, rest = primal[: len(self.outputs)], primal[len(self.outputs) :]
        gradient, aux = rest[: self._traced.gradient_count], rest[self._traced.gradient_count :]
        return Evaluated(output, gradient, self._traced.aux.restored(aux) if primal else None, values)

    def compiled(self, *, with_value: bool) -> Staged:
        """The function of the inputs that computes the values, and those of f and aux if wanted."""
        if with_value not in self._compiled:
            shapes = [shape_of(s.aval) for s in self._traced.program.inputs]
            primal = self._primal_pass(with_value=with_value)
            staged = Staged(self._both_passes(primal), shapes)
            if boundary.saves_time(staged.jaxpr, lambda: jax.make_jaxpr(primal)(shapes).jaxpr):
                staged = Staged(self._both_passes(partial(boundary.apart, primal)), shapes)
            self._compiled[with_value] = staged
        return self._compiled[with_value]

    def _primal_pass(self, *, with_value: bool) -> Callable[[list[Any]], list[Any]]:
        """From the inputs to the coefficients, and to the values of f and aux if wanted."""
        program = self._traced.program
        wanted = [*self._residuals, *(self._primal_outputs if with_value else ())]
        steps = program.live(program.primal, wanted)

        def primal(inputs: list[Any]) -> list[Any]:
            values = dict(zip(program.inputs, inputs, strict=True)) | dict(program.captured)
            return run_primal(steps, values, wanted)

        return primal

    def _both_passes(self, primal: Callable[[list[Any]], list[Any]]) -> Any:
        """The primal pass, and the tangent pass with its coefficients."""
        count = len(self._residuals)

        def run(inputs: list[Any]) -> list[Any]:
            computed = primal(inputs)
            return [*self._tangent_pass.inline(computed[:count]), *computed[count:]]

        return run

    @cached_property
    def operations(self) -> int:
        """How many operations of the tangent pass there are to compile."""
        return cost.operations(self.program)

    @cached_property
    def fewest_products(self) -> int:
        """The most entries of an element of the result: fewer products cannot tell them apart."""
        elements = self.cols if self.linear_map == "reverse" else self.rows
        return int(np.bincount(elements, minlength=1).max())

    def compressed(self, block_of: BlockOf) -> Derivative:
        """The same entries from products with colored vectors, as many at a time as `block_of` says.

        `block_of` is shown the program of one product, and told how many bytes the residuals and the
        results of all products take. A product multiplies zeros with every coefficient: where one is
        infinite, so are the entries beside it not finite, as in plain JAX.

        Raises:
            TypeError, ValueError, NotImplementedError: a primitive has no rule for batches.
        """
        program, is_reverse = self._traced.program, self.linear_map == "reverse"
        elements, seeds = (self.cols, self.rows) if is_reverse else (self.rows, self.cols)
        grids = [slot.aval.shape for slot in program.tangents]
        colored = Coloring(elements, seeds, self.seeds, grids[0] if len(grids) == 1 else None)
        dtype = promoted([x.aval.dtype for x in self._tangent_outputs])
        size = sum(prod(x.aval.shape) for x in self._tangent_outputs)
        shapes = [shape_of(s.aval) for s in self._residuals]

        def product(residuals: list[Any]) -> Product:
            values = dict(zip(self._residuals, residuals, strict=True))
            run = partial(run_primal, program.tangent, wanted=self._tangent_outputs)
            return one_product(run, values, program.tangents, dtype)

        chosen = jax.ShapeDtypeStruct((self.seeds,), bool)
        one = jax.make_jaxpr(lambda xs, chosen: product(xs)(chosen))(shapes, chosen).jaxpr
        beside = sum(prod(s.shape) * s.dtype.itemsize for s in shapes)
        beside += colored.products * size * dtype.itemsize
        block = max(1, min(block_of(one, beside), colored.products))
        compression = Compression(colored.products, block)
        return self._by(lambda xs: [colored.entries(product(xs), size, block)], compression=compression)

    def in_order(self, numbers: np.ndarray) -> Derivative:
        """The same entries in another order: first that of the first number, and so on."""
        rest = self._tangent_pass

        def run(residuals: list[Any]) -> list[Any]:
            (values,) = rest.inline(residuals)
            return [values.at[numbers].get(mode="promise_in_bounds", unique_indices=True)]

        return self._by(run, rows=self.rows[numbers], cols=self.cols[numbers])

    @cached_property
    def diagonal(self) -> Derivative:
        """The entries of output p by input p alone, as one line of values with a place for each p."""
        lanes = self._lanes(None)
        length = min(self.seeds, sum(prod(x.aval.shape) for x in self._tangent_outputs))

        def run(residuals: list[Any]) -> list[Any]:
            leaves = lanes(residuals)
            return [diagonal_of(leaves, length, _common_dtype(leaves))]

        return self._by(run)

    def _by(self, run: Callable[[list[Any]], list[Any]], **changes: Any) -> Derivative:
        """The same linear map, whose values another function of the coefficients computes."""
        other = copy(self)
        for made in ("work", "operations", "diagonal"):
            vars(other).pop(made, None)
        staged = Staged(run, [shape_of(s.aval) for s in self._residuals])
        vars(other).update(changes, _compiled={}, _tangent_pass=staged)
        return other

    def locate(self, row: int, col: int) -> str | None:
        """The source line where the output `row` comes to depend on the input `col`.

        It is the first one with a value that depends on both `col` and the input that stands where
        `row` stands among the outputs; None when there is none.
        """
        partner = self._partner(row, col)
        if partner is None:
            return None
        meeting = Meeting(*partner)
        self.visit(meeting)
        return meeting.place

    def visit(self, observe: Observer) -> Jaxpr:
        """Show every step of the walk, and its results, to an observer; nothing is computed.

        Returns the program that the walk makes, in which an observer may have left marks.
        """
        lanes = self._lanes(observe)
        shapes = [shape_of(s.aval) for s in self._residuals]
        return jax.make_jaxpr(lambda xs: [lanes(xs), None][1])(shapes).jaxpr

    @property
    def program(self) -> Jaxpr:
        """The tangent pass as it will run."""
        return self._tangent_pass.jaxpr

    @property
    def primal_program(self) -> list[Step]:
        """What computes the coefficients of the linear map."""
        program = self._traced.program
        return program.live(program.primal, self._residuals)

    @property
    def tangent_program(self) -> list[Step]:
        """The linear map, as it acts on one tangent."""
        return self._traced.program.tangent

    def _partner(self, row: int, col: int) -> tuple[int, int] | None:
        """Two seeds that meet: that of the entry, and that of the row (or column) on its own."""
        mine, other = (self.cols, self.rows) if self.linear_map == "reverse" else (self.rows, self.cols)
        element, number = (col, row) if self.linear_map == "reverse" else (row, col)
        numbers = other[mine == element]
        expected = element * self.seeds / max(1, int(mine.max(initial=0)) + 1)
        candidates = numbers[numbers != number]
        if not candidates.size:
            return None
        return number, int(candidates[np.argmin(np.abs(candidates - expected))])

    def _walk(self) -> Any:
        lanes = self._lanes(None)
        is_reverse = self.linear_map == "reverse"

        def run(residuals: list[Any]) -> list[Any]:
            leaves = lanes(residuals)
            if self.is_dense:
                return [densify(leaf, self.seeds, inputs_first=is_reverse) for leaf in leaves]
            found = entries(leaves, _common_dtype(leaves))
            self.rows, self.cols = (
                (found.inputs, found.elements) if is_reverse else (found.elements, found.inputs)
            )
            return [found.values]

        return run

    def _lanes(self, observe: Observer | None) -> Callable[[list[Any]], list[Lanes]]:
        program = self._traced.program

        def run(residuals: list[Any]) -> list[Lanes]:
            environment: dict[Slot, Any] = dict(zip(self._residuals, residuals, strict=True))
            environment.update(identity(program.tangents))
            context = self._context
            try:
                return walk(context, program.tangent, environment, self._tangent_outputs, observe)
            except NotLinearError as error:
                return self._by_basis_vectors(dict(zip(self._residuals, residuals, strict=True)), error)

        return run

    def _by_basis_vectors(self, values: dict[Slot, Any], error: NotLinearError) -> list[Lanes]:
        """The program applied to basis vectors, as JAX does, those together that nowhere meet."""
        self.is_linear = False
        program, context = self._traced.program, self._context
        if context.strict:
            raise NoRuleError(
                f"{context.api}: {error}, so that its structure cannot be followed, and strict=True "
                "allows no dense derivative in its place. Leave strict out."
            ) from error
        context.fallbacks.append(str(error))
        try:
            return materialized(program, values, self._tangent_outputs, context.entry_limit)
        except TooDenseError as dense:
            raise TooDenseError(f"{error}, and it has {dense}") from None


def _common_dtype(leaves: Sequence[Lanes]) -> np.dtype[Any]:
    return np.dtype(jax.numpy.result_type(*(leaf.dtype for leaf in leaves)) if leaves else np.float32)
