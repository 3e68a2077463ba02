"""What a function lacks where JAX refuses reverse mode, and what goes forward instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

from jaxcalc.engine.jaxprs.directions import obstacles
from jaxcalc.engine.jaxprs.source import named_with_line

# the second is what JAX 0.9 makes of a while_loop in reverse over reverse mode
_OF_JAX = ("Reverse-mode differentiation", "unsupported operand type(s) for +: 'NoneType'")


@contextmanager
def reverse_mode_explained(
    api: str,
    name: str,
    call: Callable[..., tuple[Any, Any]],
    *arguments: Any,
    instead: str = "jaxcalc.jacobian, and jaxcalc.derivative for one scalar argument, go forward",
) -> Iterator[None]:
    """Around a gradient of `call`, which gives output and aux: JAX's refusal says what to do.

    The function is traced again only once JAX has refused it.

    Raises:
        ValueError: as JAX does, naming the operation and its line.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if not str(error).startswith(_OF_JAX):
            raise
        program = jax.make_jaxpr(lambda *args: call(*args)[0])(*arguments).jaxpr
        found = obstacles(program, program.invars)
        if "reverse" not in found:
            raise
        forward = instead if "forward" not in found else "forward mode is not there either"
        raise ValueError(
            f"{api}: {name} has no reverse mode, because of {named_with_line(found['reverse'])} with "
            f"an unknown number of steps; {forward}. A loop of known length, lax.scan or fori_loop "
            "with fixed bounds, goes both ways."
        ) from error
