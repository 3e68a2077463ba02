"""What is left behind by many calls with new functions."""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxcalc
from jaxcalc.cache import changing_arrays, kept
from jaxcalc.transforms import eager

X = jnp.arange(1.0, 4.0)
EMPTIED = 250  # calls after which JAX's own caches are emptied, which keep what they traced


class State(NamedTuple):
    """What the library holds.

    Attributes:
        functions: entries of its caches.
        codes: codes of functions that it has met.
        objects: objects of Python that are alive, its own and all others.
    """

    functions: int
    codes: int
    objects: int


def state() -> State:
    """What is held now, garbage aside."""
    jax.clear_caches()
    gc.collect()
    functions = len(kept._CACHE) + len(eager._CACHE) + len(changing_arrays._CACHE)
    return State(functions, len(eager._met), len(gc.get_objects()))


def call_new_functions(calls: int, *, sparse: bool) -> None:
    """Derivatives of as many new lambdas."""
    for i in range(calls):
        if i % EMPTIED == 0:
            jax.clear_caches()
        f: Any = lambda x, i=i: x * x * i  # noqa: E731
        if sparse:
            jaxcalc.jacobian(f, format="structured")(X)
        else:
            jaxcalc.jacobian(f)(X)
            jaxcalc.gradient(lambda x, f=f: jnp.sum(f(x)))(X)
