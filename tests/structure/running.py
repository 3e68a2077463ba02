"""What can be counted while a derivative is computed: runs of f, files, hops, the cost of a call."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp

import jaxcalc
from tests.runs import runs_of, watching

PACKAGE = str(Path(jaxcalc.__file__).parent)
X = jnp.arange(1.0, 9.0)
_CALLS = 2_000
_ROUNDS = 7


def stencil(x: Any) -> Any:
    """A band: structure pays, and no direction is far better than the other."""
    return jnp.sin(x[1:]) * x[:-1]


def network(x: Any) -> Any:
    """Dense: structure does not pay."""
    return jnp.tanh(jnp.outer(x, x).sum(axis=0) * x)


FIRST_CALLS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "structured": (stencil, lambda f: jaxcalc.jacobian(f, format="structured")(X)),
    "dense direct": (network, lambda f: jaxcalc.jacobian(f)(X)),
    "dense in jit": (network, lambda f: jax.jit(jaxcalc.jacobian(f))(X)),
    "explain": (network, lambda f: jaxcalc.explain(f, X, format="dense")),
}


def runs_of_f() -> dict[str, int]:
    """How often Python runs f in a first call."""
    found = {}
    for name, (f, call) in FIRST_CALLS.items():
        fresh = lambda x, f=f: f(x)  # noqa: E731
        found[name] = runs_of(fresh, lambda call=call, fresh=fresh: call(fresh))
    return found


def files_and_hops() -> dict[str, tuple[int, int]]:
    """The files of the library on the way of a first call, and the steps from one to another."""
    found = {}
    for name, (f, call) in FIRST_CALLS.items():
        call(lambda x, f=f: f(x))  # so that modules are imported
        seen: list[str] = []

        def watch(frame: FrameType, event: str, _: Any, seen: list[str] = seen) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
                seen.append(frame.f_code.co_filename)

        with watching(watch):
            call(lambda x, f=f: f(x))
        hops = sum(a != b for a, b in pairwise(seen))
        found[name] = len(set(seen)), hops
    return found


def microseconds_of_a_call() -> dict[str, tuple[float, float]]:
    """A recalled call with small arguments, and the same by `jax.jit` alone; medians."""
    total = lambda x: jnp.sum(stencil(x))  # noqa: E731
    pairs = {
        "gradient": (jaxcalc.value_and_gradient(total), jax.jit(jax.value_and_grad(total))),
        "jacobian": (jaxcalc.jacobian(network), jax.jit(jax.jacfwd(network))),
        "structured": (jaxcalc.jacobian(stencil, format="structured"), jax.jit(jax.jacfwd(stencil))),
    }
    return {name: (_timed(ours), _timed(theirs)) for name, (ours, theirs) in pairs.items()}


def _timed(f: Callable[[Any], Any]) -> float:
    for _ in range(10):
        jax.block_until_ready(jax.tree.leaves(f(X)))
    rounds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(_CALLS):
            f(X)
        rounds.append((time.perf_counter() - start) / _CALLS * 1e6)
    return statistics.median(rounds)
