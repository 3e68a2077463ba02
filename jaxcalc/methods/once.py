"""A function that runs once, however often a derivative asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
from jax.extend.core import jaxpr_as_fun

from jaxcalc.call.static_leaves import set_aside
from jaxcalc.methods.failures import Failures


def once(f: Callable[..., Any], failures: Failures) -> Callable[..., Any]:
    """f, which runs when it is first traced; the program of that trace answers further calls.

    Choosing a direction takes a trace, and differentiating another one. A function that keeps a count,
    or prints, must not do so twice. Where f cannot be traced, it is called as it is.
    """
    recorded: dict[Any, Callable[[list[Any]], Any]] = {}
    failed: list[Any] = []

    @wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = jax.tree.flatten((args, kwargs))
        traced, rest = set_aside(leaves, is_tracer)
        key = treedef, tuple(map(jax.typeof, traced)), tuple(map(id, rest.static))
        if not traced or key in failed:
            return f(*args, **kwargs)
        if key not in recorded:
            program = failures.prepare(
                lambda: _recorded(lambda xs: _call(f, treedef, rest.restored(xs)), traced), None
            )
            if program is None:
                failed.append(key)
                return f(*args, **kwargs)
            recorded[key] = program
        return recorded[key](traced)

    return called


def _call(f: Callable[..., Any], treedef: Any, leaves: list[Any]) -> Any:
    args, kwargs = jax.tree.unflatten(treedef, leaves)
    return f(*args, **kwargs)


def _recorded(function: Callable[[list[Any]], Any], arrays: list[Any]) -> Callable[[list[Any]], Any]:
    """A function of arrays as its program; what it returns beside tracers stays as it is."""
    kept: list[Any] = []

    def tracers(arrays: list[Any]) -> list[Any]:
        found, rest = set_aside(function(arrays), is_tracer)
        kept.append(rest)
        return found

    run = jaxpr_as_fun(jax.make_jaxpr(tracers)(arrays))
    return lambda arrays: kept[-1].restored(run(*arrays))


def is_tracer(x: Any) -> bool:
    """Whether a leaf belongs to a trace, rather than being a value."""
    return isinstance(x, jax.core.Tracer)
