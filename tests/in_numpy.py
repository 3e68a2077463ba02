"""Functions of JAX run in numpy, and results read by it: a program is traced, but not compiled."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental.sparse import BCOO

import jaxcalc
from tests.fuzz.evaluate import evaluate


def in_numpy(f: Callable[..., Any]) -> Callable[..., Any]:
    """In the place of `jax.jit`: XLA takes seconds for what is run once here."""

    def run(*args: Any) -> Any:
        program, shapes = jax.make_jaxpr(f, return_shape=True)(*args)
        given = zip(jax.tree.leaves(args), program.in_avals, strict=True)
        leaves = evaluate(program, [np.asarray(x, aval.dtype) for x, aval in given])
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return run


def dense(derivative: Any) -> np.ndarray:
    """A derivative in any format as an array of numpy; `todense` would compile a program."""
    if isinstance(derivative, jaxcalc.Jacobian):
        return derivative.toarray()
    if isinstance(derivative, BCOO):
        whole = np.zeros(derivative.shape, derivative.dtype)
        np.add.at(whole, tuple(np.asarray(derivative.indices).T), np.asarray(derivative.data))
        return whole
    return np.asarray(derivative)
