"""The directions in which a function is differentiated: those that JAX allows, and which is taken."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from jaxcalc.call.flatten import Leaves
from jaxcalc.call.options import Direction, Options
from jaxcalc.call.symbolic import is_symbolic
from jaxcalc.heuristics import heuristics


def trace(function: Callable[[Leaves], Any], leaves: Leaves) -> tuple[ClosedJaxpr, list[Any]]:
    """The program of a function, and its output's shapes."""
    program, output = jax.make_jaxpr(function, return_shape=True)(list(leaves))
    return program, output


def is_far_cheaper_forward(leaves: Leaves, output: Leaves, options: Options) -> bool:
    """Whether forward mode is worth it for a function that JAX differentiates in reverse alone.

    It goes through the transposes of `jax.custom_vjp` rules, and pays where there are many outputs.
    """
    if not options.holomorphic and any(jnp.iscomplexobj(leaf) for leaf in leaves):
        return False  # only reverse mode is defined
    if is_symbolic([*leaves, *output]):
        return False
    inputs, outputs = (sum(prod(jnp.shape(x)) for x in xs) for xs in (leaves, output))
    return heuristics().far_cheaper * inputs <= outputs


def hessian_directions(
    allowed: set[Direction], of_gradient: Callable[[], set[Direction]]
) -> tuple[tuple[Direction, Direction], bool]:
    """The outer and the inner direction, and whether forward mode has to be made for `jax.custom_vjp`.

    Such functions forbid forward mode of f, and not of its gradient, which has their rules in their
    place; unless these call such functions. So `of_gradient` is asked then.
    """
    if "reverse" not in allowed:
        return ("forward", "forward"), not allowed
    left = {"forward"} if "forward" in allowed else of_gradient()
    if left == {"reverse"}:
        return ("reverse", "reverse"), False
    return ("forward", "reverse"), not left
