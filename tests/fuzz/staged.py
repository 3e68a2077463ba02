"""Programs that the library keeps, run in numpy: compiling them takes a hundred times longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp

from jaxcalc.engine.jaxprs.staged import Staged
from tests.fuzz.evaluate import evaluate


@contextmanager
def in_numpy() -> Iterator[None]:
    """Outside of traces nothing is compiled; what is kept, and when it answers, is as it was."""
    compiled = Staged.__call__
    programs: WeakKeyDictionary[Staged, Any] = WeakKeyDictionary()

    def run(self: Staged, arguments: Sequence[Any]) -> list[Any]:
        if any(isinstance(a, jax.core.Tracer) for a in [*arguments, *self.constants]):
            return compiled(self, arguments)
        with jax.ensure_compile_time_eval():
            if self not in programs:
                programs[self] = jax.make_jaxpr(self.inline)(list(arguments))
            return [jnp.asarray(y) for y in evaluate(programs[self], arguments)]

    with mock.patch.object(Staged, "__call__", run):
        yield
