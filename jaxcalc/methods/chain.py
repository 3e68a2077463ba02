"""The Jacobian of a function as the product of those of its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

from jaxcalc.call.arguments import dtype_of
from jaxcalc.engine.jaxprs import equations
from jaxcalc.methods.batched import products_with_basis
from jaxcalc.methods.bottleneck import Part, cut, inlined, size_of


class Chain:
    """A function as parts that follow one another.

    Attributes:
        parts: in order; their outputs are the inputs of the next.
    """

    def __init__(
        self, closed: ClosedJaxpr, split: Callable[[Sequence[JaxprEqn], Sequence[Any]], list[Part]]
    ) -> None:
        self._inputs = closed.jaxpr.invars
        self._equations, self._constants, self._outputs = inlined(closed)
        self.parts = split(self._equations, self._outputs)

    def __call__(self, leaves: Sequence[Any], block: int) -> tuple[list[Any], Any]:
        """The results at `leaves`, and the Jacobian as a matrix `[M, N]`.

        Args:
            leaves: of real numbers of one dtype.
            block: how many products are done at once.
        """
        values: dict[Any, Any] = dict(self._constants) | dict(zip(self._inputs, leaves, strict=True))
        _run(self._equations, values)
        matrices = [_jacobian(part, values, block) for part in self.parts]
        return [_read(values, v) for v in self._outputs], multiplied(matrices[::-1])


def _run(given: Sequence[JaxprEqn], values: dict[Any, Any]) -> None:
    for eqn in given:
        outputs = equations.bind(eqn, [_read(values, v) for v in eqn.invars])
        values.update(zip(eqn.outvars, outputs, strict=True))


def _read(values: dict[Any, Any], v: Any) -> Any:
    return v.val if isinstance(v, Literal) else values[v]


def _jacobian(part: Part, values: dict[Any, Any], block: int) -> Any:
    """The Jacobian of one part, `[m, n]`, in the direction with fewer products."""
    inputs = [v for v in part.inputs if equations.is_inexact(v.aval)]
    outputs = [v for v in part.outputs if equations.is_inexact(v.aval)]

    def call(arrays: list[Any]) -> list[Any]:
        local = values | dict(zip(inputs, arrays, strict=True))
        _run(part.equations, local)
        return [_read(local, v) for v in outputs]

    start = [values[v] for v in inputs]
    n, m = size_of(inputs), size_of(outputs)
    if n <= m:
        _, push = jax.linearize(call, start)
        columns = products_with_basis(push, start, block=block, axis=-1)
        return jnp.concatenate([c.reshape(-1, n) for c in columns])
    value, pull = jax.vjp(call, start)
    rows = products_with_basis(lambda cotangents: pull(cotangents)[0], value, block=block)
    return jnp.concatenate([r.reshape(m, -1) for r in rows], axis=1)


def multiplied(matrices: Sequence[Any]) -> Any:
    """The product of matrices, in the order that takes the fewest multiplications."""
    sizes = [matrices[0].shape[0], *(a.shape[1] for a in matrices)]

    @cache
    def best(first: int, last: int) -> tuple[int, int]:
        """The multiplications for matrices first to last, and the last of the left factor."""
        if first == last:
            return 0, first
        ways = [
            (
                best(first, k)[0]
                + best(k + 1, last)[0]
                + sizes[first] * sizes[k + 1] * sizes[last + 1],
                k,
            )
            for k in range(first, last)
        ]
        return min(ways)

    def product(first: int, last: int) -> Any:
        if first == last:
            return matrices[first]
        middle = best(first, last)[1]
        left, right = product(first, middle), product(middle + 1, last)
        return jnp.matmul(left, right, precision=lax.Precision.HIGHEST)

    return product(0, len(matrices) - 1)


def parts_of(closed: ClosedJaxpr, inputs: Sequence[Any]) -> list[Part]:
    """The parts of a program, by the work alone; one where a chain is not made of it."""
    outputs = closed.jaxpr.outvars
    sides = [[v.aval for v in side] for side in (inputs, outputs)]
    dtype = one_dtype(sides[0])
    whole = Part(tuple(closed.jaxpr.eqns), tuple(inputs), tuple(outputs))
    if closed.effects or dtype is None or one_dtype(sides[1]) != dtype:
        return [whole]
    flat, _, results = inlined(closed)
    return cut(flat, inputs, results)


def one_dtype(leaves: Sequence[Any]) -> np.dtype[Any] | None:
    """The dtype of all leaves, if they have one and it is real; else no chain is made of them."""
    dtypes = {np.dtype(dtype_of(x)) for x in leaves}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    return dtype if dtype is not None and jnp.issubdtype(dtype, jnp.floating) else None
