"""Functions traced once, whose constants are passed as arguments rather than compiled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun


class Staged:
    """A function of a list of arrays, traced for given shapes.

    Index arrays and weights of tens of megabytes, compiled in as constants, slow the compiler and
    start its constant folding; as arguments they cost nothing.
    """

    def __init__(self, function: Callable[[list[Any]], list[Any]], shapes: Sequence[Any]) -> None:
        closed = jax.make_jaxpr(function)(list(shapes))
        self.jaxpr = closed.jaxpr
        with jax.ensure_compile_time_eval():  # also inside a trace, which they will outlive
            self.constants = [
                c if isinstance(c, jax.core.Tracer) else jax.device_put(c) for c in closed.consts
            ]
        self._compiled = jax.jit(self._run)

    def _run(self, constants: list[Any], arguments: list[Any]) -> list[Any]:
        return jaxpr_as_fun(ClosedJaxpr(self.jaxpr, constants))(*arguments)

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Run the compiled function, or record it in the trace around it."""
        return self._compiled(self.constants, list(arguments))

    def inline(self, arguments: Sequence[Any]) -> list[Any]:
        """Run it operation by operation, for use inside another program."""
        return self._run(self.constants, list(arguments))
