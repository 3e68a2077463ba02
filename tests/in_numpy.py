"""Functions of JAX run in numpy: a long program is traced, but not compiled."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from tests.fuzz.evaluate import evaluate


def in_numpy(f: Callable[..., Any]) -> Callable[..., Any]:
    """In the place of `jax.jit`: XLA takes seconds for what is run once here."""

    def run(*args: Any) -> Any:
        program, shapes = jax.make_jaxpr(f, return_shape=True)(*args)
        given = zip(jax.tree.leaves(args), program.in_avals, strict=True)
        leaves = evaluate(program, [np.asarray(x, aval.dtype) for x, aval in given])
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return run
