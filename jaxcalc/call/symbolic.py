"""Sizes that are not numbers: those of `jax.export.symbolic_shape`, such as a batch of any length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Jaxpr


class SymbolicShapeError(TypeError):
    """A shape with a symbolic size, where the numbers of rows and columns have to be known."""


def is_symbolic(leaves: Iterable[Any]) -> bool:
    """Whether one of these arrays, shapes or numbers has a size that is not a number."""
    return any(_is_symbolic(jnp.shape(x)) for x in leaves)


def is_symbolic_program(program: Jaxpr) -> bool:
    """Whether a value in a program has such a size."""
    values = [*program.constvars, *program.invars, *(v for eqn in program.eqns for v in eqn.outvars)]
    return any(_is_symbolic(getattr(v.aval, "shape", ())) for v in values)


def require_known_shapes(api: str, program: Jaxpr) -> None:
    """Refuse a program whose structure cannot be followed for that reason.

    Raises:
        SymbolicShapeError: a value in it has a symbolic size.
    """
    if is_symbolic_program(program):
        raise SymbolicShapeError(
            f"{api}: a shape is symbolic (jax.export.symbolic_shape), so that the rows and columns of "
            "the derivative have no numbers. The dense formats of jaxcalc.jacobian and jaxcalc.hessian "
            "take such shapes; for anything else fix the batch, which is to give it a length."
        )


def require_known_sizes(api: str, option: str, leaves: Iterable[Any]) -> None:
    """Refuse an option that counts elements, where there is a symbolic size.

    Raises:
        SymbolicShapeError: naming the option.
    """
    if is_symbolic(leaves):
        raise SymbolicShapeError(
            f"{api}: {option} counts elements, and a shape is symbolic (jax.export.symbolic_shape). "
            f"Leave {option} out, or fix the batch, which is to give it a length."
        )


def _is_symbolic(shape: Sequence[Any]) -> bool:
    return not all(isinstance(size, int) for size in shape)
