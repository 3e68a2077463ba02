"""A function that runs once, however often a derivative asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from typing import Any

import jax
from jax.extend.core import jaxpr_as_fun

from jaxcalc.call.request import Request, is_jit_disabled
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.engine.jaxprs.derivative_rules import stand_alone
from jaxcalc.methods.failures import Failures


def recording(request: Request) -> Request:
    """A call of f in which it runs once, whatever is asked of it afterwards.

    A function that defines a derivative rule which reads what it computes runs as often as it is asked:
    such a rule is of the run that made it.
    """
    if is_jit_disabled():
        return request
    return replace(request, recorded=once(request.f, request.options.api))


def for_this_call(request: Request) -> Request:
    """The same for a function that another call may find changed: nothing is kept of it."""
    found = recording(request)
    return replace(found, f=found.recorded or found.f)


def once(f: Callable[..., Any], api: str) -> Callable[..., Any]:
    """f, which runs when it is first traced; the program of that trace answers further calls.

    Choosing a direction takes a trace, and differentiating another one. A function that keeps a count,
    or prints, must not do so twice. Where f cannot be traced, or its program does not have the
    derivatives of f, it is called as it is.
    """
    failures = Failures(api)
    # None where f is called as it is; the objects that a key names by their numbers are held
    recorded: dict[Any, tuple[Callable[[list[Any]], Any] | None, Aside]] = {}

    @wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        leaves, treedef = jax.tree.flatten((args, kwargs))
        traced, rest = set_aside(leaves, is_tracer)
        key = treedef, tuple(map(jax.typeof, traced)), tuple(map(id, rest.static))
        if not traced:
            return f(*args, **kwargs)
        if key not in recorded:
            run = partial(_call, f, treedef, rest)
            program = failures.prepare(lambda: _recorded(run, traced), None)
            recorded[key] = program, rest
        program, _ = recorded[key]
        return f(*args, **kwargs) if program is None else program(traced)

    return called


def _call(f: Callable[..., Any], treedef: Any, rest: Aside, traced: list[Any]) -> Any:
    args, kwargs = jax.tree.unflatten(treedef, rest.restored(traced))
    return f(*args, **kwargs)


def _recorded(
    function: Callable[[list[Any]], Any], arrays: list[Any]
) -> Callable[[list[Any]], Any] | None:
    """A function of arrays as its program; what it returns beside tracers stays as it is."""
    kept: list[Any] = []

    def tracers(arrays: list[Any]) -> list[Any]:
        found, rest = set_aside(function(arrays), is_tracer)
        kept.append(rest)
        return found

    program = jax.make_jaxpr(tracers)(arrays)
    if not stand_alone(program.jaxpr):
        return None
    run = jaxpr_as_fun(program)
    return lambda arrays: kept[-1].restored(run(*arrays))


def is_tracer(x: Any) -> bool:
    """Whether a leaf belongs to a trace, rather than being a value."""
    return isinstance(x, jax.core.Tracer)
