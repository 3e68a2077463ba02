"""A derivative made ready to run: traced, its structure found, its two passes staged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from jaxcalc.engine.entries import entries
from jaxcalc.engine.interpret import run_primal, walk
from jaxcalc.engine.program import Slot
from jaxcalc.engine.registry import Context
from jaxcalc.engine.staged import Staged
from jaxcalc.engine.trace import Build, Inputs, Linearized, Way, linearize
from jaxcalc.formats.lanes import Lanes, seed


class Evaluated(NamedTuple):
    """What one run gives: leaves of the output, of the gradient (for a Hessian), aux and values."""

    output: list[Any]
    gradient: list[Any]
    aux: Any
    values: Any


class Derivative:
    """One derivative of one function at inputs of given shapes and dtypes.

    Attributes:
        rows: `[nnz]` static, the output element of each value.
        cols: `[nnz]` static, the input element of each value.
        outputs: shapes and dtypes of f's output leaves.
        fallbacks: the primitives that were treated as dense, with their source lines.
    """

    def __init__(self, build: Build, inputs: Inputs, way: Way, context: Context) -> None:
        self._traced: Linearized = linearize(build, inputs, way)
        program = self._traced.program
        self.outputs = self._traced.outputs
        first = len(program.outputs) - self._tangent_count()
        self._primal_outputs = program.outputs[:first]
        self._tangent_outputs = program.outputs[first:]
        program.prune(program.outputs)
        self._residuals = program.residuals()
        self._tangent_pass = Staged(self._walk(context, way), [_shape(s) for s in self._residuals])
        self.fallbacks = context.fallbacks

    def _tangent_count(self) -> int:
        primal = len(self.outputs) + self._traced.gradient_count + self._traced.aux_count
        return len(self._traced.program.outputs) - primal

    def _walk(self, context: Context, way: Way) -> Any:
        program = self._traced.program

        def run(residuals: list[Any]) -> list[Any]:
            environment: dict[Slot, Any] = dict(zip(self._residuals, residuals, strict=True))
            environment.update(_seeds(program.tangents))
            leaves = walk(context, program.tangent, environment, self._tangent_outputs)
            found = entries(leaves, _common_dtype(leaves))
            self.rows, self.cols = (
                (found.inputs, found.elements) if way == "reverse" else (found.elements, found.inputs)
            )
            return [found.values]

        return run


def _seeds(tangents: Sequence[Slot]) -> dict[Slot, Lanes]:
    total = sum(int(np.prod(slot.aval.shape)) for slot in tangents)
    index_dtype = np.int32 if total < 2**31 else np.int64
    seeds, offset = {}, 0
    for slot in tangents:
        seeds[slot] = seed(tuple(slot.aval.shape), slot.aval.dtype, offset, index_dtype)
        offset += seeds[slot].size
    return seeds


def _common_dtype(leaves: Sequence[Lanes]) -> np.dtype[Any]:
    return np.dtype(jax.numpy.result_type(*(leaf.dtype for leaf in leaves)) if leaves else np.float32)


def _shape(slot: Slot) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(slot.aval.shape, slot.aval.dtype)


assert lax, run_primal
