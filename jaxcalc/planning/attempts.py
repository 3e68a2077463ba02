"""The ways to a structured derivative that are tried, the one with fewer seeds first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from jaxcalc.call.arguments import function_name
from jaxcalc.call.options import require_complex_fits
from jaxcalc.call.request import Request
from jaxcalc.engine.linearize.trace import Way
from jaxcalc.methods.directions import is_far_cheaper_forward
from jaxcalc.planning.traced import Traced, size_of

_FORWARD_ADVANTAGE = 1.5  # a product forward takes less than one in reverse


class Attempt(NamedTuple):
    """A way to a derivative.

    Attributes:
        way: forward, reverse or the Hessian's.
        replaces: whether forward mode has to be made for `jax.custom_vjp` functions first.
        has_reverse: whether JAX can differentiate all of f in reverse.
        transposed_only: whether to give up where the Jacobian of such a call had to be materialized.
    """

    way: Way
    replaces: bool = False
    has_reverse: bool = True
    transposed_only: bool = False


def attempts_for(request: Request, trace: Traced) -> list[Attempt]:
    """The directions to try, the one with fewer seeds first."""
    options = request.options
    flat, output, allowed = trace.flat, trace.output, trace.allowed
    forward = Attempt("forward", "forward" not in allowed, has_reverse="reverse" in allowed)
    reverse = Attempt("reverse")
    if options.mode != "auto":
        require_complex_fits(flat, options, options.mode)
        return [forward if options.mode == "forward" else reverse]
    complex_in, complex_out = (
        not options.holomorphic and any_complex(x) for x in (flat.leaves, output)
    )
    # of a complex input only reverse mode is defined, of a complex output only forward mode
    can_forward, can_reverse = not complex_in, "reverse" in allowed and not complex_out
    if not (can_forward or can_reverse):
        raise _no_direction(request)
    if not can_reverse:
        return [forward]
    if not can_forward:
        return [reverse]
    if forward.replaces:
        forward = forward._replace(transposed_only=True)
        is_first = is_far_cheaper_forward(flat.leaves, output, options)
    else:
        is_first = size_of(flat.leaves) <= _FORWARD_ADVANTAGE * size_of(output)
    return [forward, reverse] if is_first else [reverse, forward]


def _no_direction(request: Request) -> TypeError:
    return TypeError(
        f"{request.options.api}: {function_name(request.f)} can be differentiated in neither "
        "direction: reverse mode needs real outputs and no loop of unknown length (use lax.scan), "
        "forward mode real inputs. Set holomorphic=True if it is holomorphic."
    )


def any_complex(leaves: Sequence[Any]) -> bool:
    """Whether one of these leaves is complex."""
    return any(jax.numpy.iscomplexobj(leaf) for leaf in leaves)
