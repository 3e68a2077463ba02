"""The bar of a long dense computation, whose blocks are driven one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

from jaxcalc.call.options import Options
from jaxcalc.display.progress import Bar
from jaxcalc.methods.batched import Watch


@contextmanager
def watching(options: Options, leaves: Sequence[Any]) -> Iterator[Watch | None]:
    """What moves the bar from block to block; None where none was asked for.

    Raises:
        ValueError: an outer transformation traces `leaves`, or what the products are made with.
    """
    if not options.progress:
        yield None
        return
    _require_values(options, leaves)
    bars: list[Bar] = []
    with ExitStack() as stack:

        def watch(values: Sequence[Any], done: int, total: int) -> None:
            if not bars:
                _require_values(options, values)
                bars.append(stack.enter_context(Bar(total, unit="product", shown=True)))
            bars[0].show(done)

        yield watch


def _require_values(options: Options, values: Sequence[Any]) -> None:
    if any(isinstance(x, jax.core.Tracer) for x in values):
        raise ValueError(
            f"{options.api}: progress=True shows a bar while blocks are computed one by one, which an "
            "outer transformation (jit, vmap, grad, scan) cannot do. Call it outside of it, or leave "
            "progress out."
        )
