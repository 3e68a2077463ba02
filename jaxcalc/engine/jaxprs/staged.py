"""Functions traced once, whose constants are passed as arguments rather than compiled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun


class Staged:
    """A function of a list of arrays, traced for given shapes.

    Index arrays and weights of tens of megabytes, compiled in as constants, slow the compiler and
    start its constant folding; as arguments they cost nothing. Single numbers are compiled in: as
    arguments they would hide factors of 1 and 0 from the compiler, and each adds to every call.
    """

    def __init__(self, function: Callable[[list[Any]], list[Any]], shapes: Sequence[Any]) -> None:
        closed = jax.make_jaxpr(function)(list(shapes))
        with jax.ensure_compile_time_eval():  # also inside a trace, which they will outlive
            self._numbers = [np.asarray(c) if _is_number(c) else None for c in closed.consts]
            self.constants = [
                c if isinstance(c, jax.core.Tracer) else jax.device_put(c)
                for c, number in zip(closed.consts, self._numbers, strict=True)
                if number is None
            ]
        # since JAX 0.11 a program holds its constants: these, and not a second copy of each
        self.jaxpr = ClosedJaxpr(closed.jaxpr, self._each(self.constants)).jaxpr
        self._compiled = jax.jit(self._run)

    def _run(self, *values: Any) -> list[Any]:
        constants, arguments = values[: len(self.constants)], values[len(self.constants) :]
        return jaxpr_as_fun(ClosedJaxpr(self.jaxpr, self._each(constants)))(*arguments)

    def _each(self, constants: Sequence[Any]) -> list[Any]:
        given = iter(constants)
        return [next(given) if number is None else number for number in self._numbers]

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Run the compiled function, or record it in the trace around it."""
        return self._compiled(*self.constants, *arguments)  # in a list, they take a microsecond more

    def compiled_for(self, arguments: Sequence[Any]) -> jax.stages.Compiled:
        """The function of `*constants, *arguments`, compiled for arguments like these."""
        return self._compiled.lower(*self.constants, *arguments).compile()

    def inline(self, arguments: Sequence[Any]) -> list[Any]:
        """Run it operation by operation, for use inside another program."""
        return self._run(*self.constants, *arguments)


def _is_number(constant: Any) -> bool:
    """Whether a constant is a known array of one number, which a program can hold as a literal."""
    if isinstance(constant, jax.core.Tracer) or np.size(constant) != 1:
        return False
    dtype = jax.numpy.result_type(constant)
    return jax.numpy.issubdtype(dtype, np.number) or jax.numpy.issubdtype(dtype, np.bool_)
