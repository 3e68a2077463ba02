"""Calls outside of a trace: compiled where the function can be watched, and remembered.

JAX's own transformations look at the function at every call, and run its derivative operation by
operation, which takes a millisecond for a small one. A compiled derivative takes microseconds, and does
not look. It is used where everything that f reads beside its arguments is seen to be unchanged
(`cache.guards`); any other function is looked at anew, as `jax.jacfwd` does.
"""

from __future__ import annotations

import threading
import types
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

import jax

from jaxcalc.cache.changing_arrays import changing_arrays, limited
from jaxcalc.cache.fast_path import FastPath, signature_of
from jaxcalc.cache.guards import Probe
from jaxcalc.cache.store import FunctionCache
from jaxcalc.call.arguments import Argnames, Argnums
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.options import Options
from jaxcalc.call.request import Query, Request, is_jit_disabled
from jaxcalc.call.signature import is_input, take_apart
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.engine.jaxprs.staged import Staged
from jaxcalc.engine.rules import registry
from jaxcalc.heuristics import heuristics
from jaxcalc.methods.base import Outcome
from jaxcalc.methods.failures import Failures
from jaxcalc.methods.once import for_this_call, is_tracer, recording
from jaxcalc.planning.choose import prepare
from jaxcalc.planning.evaluate import FromStructure, pack_again
from jaxcalc.planning.submatrix import EvaluatePart
from jaxcalc.results.layout import Layout

_CACHE = FunctionCache()
_met: weakref.WeakKeyDictionary[types.CodeType, set[str]] = weakref.WeakKeyDictionary()
_restless: weakref.WeakSet[Any] = weakref.WeakSet()  # functions that change what they read
_lock = threading.Lock()


@dataclass(frozen=True)
class Compiled:
    """A program for calls of one kind, what goes around its results, and what f has to read still."""

    staged: Staged
    rest: Aside
    probe: Probe


@dataclass(frozen=True)
class _Tried:
    """Whether a derivative can be compiled; not kept where that is to be asked again."""

    compiled: Compiled | None
    is_kept: bool = True


@dataclass
class _Meetings:
    """How often a function was called in one way."""

    count: int = 0


class Direct:
    """What a transformed function does with its calls.

    Attributes:
        fast_path: its last calls.
    """

    def __init__(
        self,
        evaluate: Callable[..., Outcome],
        outcome: Callable[[Outcome], Any],
        *,
        kind: Query = "jacobian",
        with_value: bool = False,
    ) -> None:
        """What it does.

        Args:
            evaluate: makes the derivative for a request; equal for equal settings beside the options.
            outcome: what is returned, an array or a pytree of them.
            kind: "jacobian" or "hessian".
            with_value: whether that needs the value.
        """
        self.fast_path = FastPath()
        self._evaluate = evaluate
        self._outcome = outcome
        self._kind = kind
        self._with_value = with_value

    def answer(self, request: Request) -> Any:
        """What a call returns, by a compiled program where there can be one, which is remembered."""
        if request.call.is_inside_a_trace:
            return self._anew(recording(request))
        if request.options.format != "dense":
            return self._answer_sparsely(request)
        failures, fresh = Failures(request.options.api), list[Compiled]()
        request, compiled = failures.prepare(
            lambda: self._dense_program(request, fresh), (request, None)
        )
        if fresh:  # f has run, and has changed what it reads: another call finds another function
            return fresh[0].rest.restored(fresh[0].staged.inline(request.call.traced))
        if compiled is None:
            result = self._anew_once(request)
            failures.tell()
            return result
        self._remember(request, compiled.probe, compiled.staged, compiled.rest.restored)
        return compiled.rest.restored(compiled.staged(request.call.traced))

    def _anew(self, request: Request) -> Any:
        return self._outcome(self._evaluate(request, with_value=self._with_value))

    def _anew_once(self, request: Request) -> Any:
        """The same with a single run of f, as `jax.jacfwd` has it."""
        return self._anew(for_this_call(request) if request.options.mode == "auto" else request)

    def _answer_sparsely(self, request: Request) -> Any:
        changing = changing_arrays(request)
        if changing is not None:
            request = changing.traced(request, partial(self._is_alike, request))
        probe = Probe(request.f, request.call.kinds())  # before the call: changes meanwhile are seen
        found = self._evaluate(recording(request), with_value=self._with_value)
        if isinstance(found, FromStructure) and found.prepared is not None:
            if changing is not None:
                changing.remember(request, found.prepared.layout)
            if found.gradient is None and not request.options.has_aux:
                with_value = found.value is not None
                pack = pack_again(found.prepared, request.options, self._outcome, with_value)
                compiled = found.prepared.derivative.compiled(with_value=with_value)
                self._remember(request, probe, compiled, pack)
        return self._outcome(found)

    def _remember(
        self, request: Request, probe: Probe, compiled: Staged, pack: Callable[[list[Any]], Any]
    ) -> None:
        """Have calls like this one go straight to the compiled program."""
        seen = signature_of(probe, request.call) if probe.is_complete else None
        if seen is not None:
            self.fast_path.remember(seen, compiled, pack)

    def _is_alike(self, request: Request, traced: Request) -> bool:
        """Whether a derivative has the same entries with more arrays traced, as it had before."""
        layout = self._layout(request)
        try:
            found = self._layout(limited(traced, layout))
        except (TypeError, ValueError, IndexError, NotImplementedError):
            return False  # f needs the values, or it is too dense without them
        return found.has_entries_of(layout) and traced.like in (None, found)

    def _layout(self, request: Request) -> Layout:
        if isinstance(self._evaluate, EvaluatePart):
            request = self._evaluate.narrowed(request, with_value=self._with_value)
        return prepare(request, self._kind).layout

    def _dense_program(
        self, request: Request, fresh: list[Compiled]
    ) -> tuple[Request, Compiled | None]:
        """The request, perhaps with arrays traced that change, and its compiled derivative if any."""
        changing = changing_arrays(request)
        if changing is not None:
            request = changing.traced(request, lambda traced: self._compiled(traced) is not None)
        return request, self._compiled(request, fresh)

    def _compiled(self, request: Request, fresh: list[Compiled] | None = None) -> Compiled | None:
        """The compiled derivative for this call; None where f is to be looked at anew.

        `fresh` gets one that is right for this call alone.
        """
        options = request.options
        if options.has_aux or options.allow_int or options.progress or is_jit_disabled():
            return None
        key = request.key(options.api)
        if key is None:
            return None
        family = request.family(options.api) if request.call.known_arrays else None
        key = (key, options.memory_limit, self._evaluate, registry.revision())
        tried: _Tried = _CACHE.get(
            request.f,
            key,
            lambda probe: self._try(request, key, probe, fresh),
            request.call.kinds,
            family,
        )
        return tried.compiled

    def _try(
        self, request: Request, key: Hashable, probe: Probe, fresh: list[Compiled] | None
    ) -> _Tried:
        if not probe.is_complete or request.f in _restless:
            return _Tried(None)
        if not _is_worth_compiling(request, key):
            return _Tried(None, is_kept=False)
        rests, request = list[Aside](), for_this_call(request)

        def run(traced: list[Any]) -> list[Any]:
            args, kwargs = request.call.rebuild(traced)
            result = self._anew(replace(request, call=take_apart(args, kwargs)))
            leaves, rest = set_aside(result, is_tracer)  # a number that f returns stays one
            rests.append(rest)
            return leaves

        try:
            staged = Staged(run, request.call.traced)
        except PERHAPS_UNTRACEABLE:  # it branches on values, or has an error of its own to raise again
            return _Tried(None)
        if any(isinstance(c, jax.core.Tracer) for c in staged.constants):  # it reads another trace
            return _Tried(None)
        compiled = Compiled(staged, rests[-1], probe)
        if not probe.is_unchanged():
            with _lock:
                _restless.add(request.f)
            if fresh is not None:
                fresh.append(compiled)
            return _Tried(None)
        return _Tried(
            None if len(staged.jaxpr.eqns) > heuristics().most_compiled_equations else compiled
        )


def transformed(
    f: Callable[..., Any],
    options: Options,
    argnums: Argnums,
    argnames: Argnames | None,
    direct: Direct,
) -> Callable[..., Any]:
    """A function of the arguments of f; `direct` says what it does with its calls."""

    @wraps(f)
    def derivative_of_f(*args: Any, **kwargs: Any) -> Any:
        again = direct.fast_path.find(args, kwargs)
        if again is not None:
            return again
        return direct.answer(Request.of(f, options, argnums, argnames, args, kwargs))

    return derivative_of_f


def _is_worth_compiling(request: Request, key: Hashable) -> bool:
    """Whether this call is likely to come again.

    It is the first one of this derivative of this code, or has come before. A lambda that is made anew
    for each call, or a function that is called with another number each time, would only be compiled.
    """
    if not all(map(is_input, request.call.traced)):
        return True  # an integer array is traced, since it has changed before
    code = _code(request.f)
    with _lock:
        derivatives = set() if code is None else _met.setdefault(code, set())
        is_new = request.options.api not in derivatives
        derivatives.add(request.options.api)
    meetings: _Meetings = _CACHE.get(request.f, ("met", key), lambda _: _Meetings())
    meetings.count += 1
    return is_new or meetings.count > 1


def _code(function: Any) -> types.CodeType | None:
    """The code of a function of Python, under partials, methods and JAX's transformations."""
    while not isinstance(function, types.FunctionType):
        inner = getattr(function, "func", None) or getattr(function, "__func__", None)
        function = inner or getattr(function, "__wrapped__", None)
        if function is None:
            return None
    return function.__code__
