"""Calls outside of a trace: compiled where the function can be watched, and remembered.

JAX's own transformations look at the function at every call, and run its derivative operation by
operation, which takes a millisecond for a small one. A compiled derivative takes microseconds, and does
not look. It is used where everything that f reads beside its arguments is seen to be unchanged
(`engine.captured`); any other function is looked at anew, as `jax.jacfwd` does.
"""

from __future__ import annotations

import threading
import types
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import jax

from jaxcalc.concrete import PERHAPS_UNTRACEABLE
from jaxcalc.engine import registry
from jaxcalc.engine.cache import FunctionCache
from jaxcalc.engine.captured import Probe
from jaxcalc.engine.staged import Staged
from jaxcalc.transforms.call import take_apart
from jaxcalc.transforms.recall import Recall, sight
from jaxcalc.transforms.request import Request, is_jit_disabled
from jaxcalc.transforms.structured import Result, pack_again

_LARGEST = 2_000  # equations; compiling more takes many times longer than running them one by one

_CACHE = FunctionCache()
_met: weakref.WeakKeyDictionary[types.CodeType, set[str]] = weakref.WeakKeyDictionary()
_restless: weakref.WeakSet[Any] = weakref.WeakSet()  # functions that change what they read
_lock = threading.Lock()


@dataclass(frozen=True)
class Compiled:
    """A program for calls of one kind, how its results are packed, and what f has to read still."""

    staged: Staged
    treedef: Any
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
        recall: its last calls.
    """

    def __init__(
        self,
        evaluate: Callable[..., Result],
        outcome: Callable[[Result], Any],
        *,
        with_value: bool = False,
    ) -> None:
        """What it does.

        Args:
            evaluate: makes the derivative for a request; equal for equal settings beside the options.
            outcome: what is returned, an array or a pytree of them.
            with_value: whether that needs the value.
        """
        self.recall = Recall()
        self._evaluate = evaluate
        self._outcome = outcome
        self._with_value = with_value

    def answer(self, request: Request, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call returns, by a compiled program where there can be one, which is remembered."""
        if request.options.format != "dense":
            return self._answer_sparsely(request, args, kwargs)
        compiled = self._compiled(request)
        if compiled is None:
            return self._anew(request)
        seen = sight(compiled.probe, args, kwargs)
        if seen is not None:
            self.recall.remember(seen, compiled.staged, compiled.treedef.unflatten)
        return compiled.treedef.unflatten(compiled.staged(request.call.traced))

    def _anew(self, request: Request) -> Any:
        return self._outcome(self._evaluate(request, with_value=self._with_value))

    def _answer_sparsely(self, request: Request, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if request.options.has_aux or request.call.is_inside_a_trace:
            return self._anew(request)
        probe = Probe(request.f, request.call.kinds())  # before the call: changes meanwhile are seen
        seen = sight(probe, args, kwargs)
        found = self._evaluate(request, with_value=self._with_value)
        if seen is not None and found.prepared is not None and found.gradient is None:
            with_value = found.value is not None
            pack = pack_again(found.prepared, request.options, self._outcome, with_value)
            compiled = found.prepared.derivative.compiled(with_value=with_value)
            self.recall.remember(seen, compiled, pack)
        return self._outcome(found)

    def _compiled(self, request: Request) -> Compiled | None:
        """The compiled derivative for this call; None where f is to be looked at anew."""
        options = request.options
        if options.has_aux or options.allow_int or options.progress or is_jit_disabled():
            return None
        if request.call.is_inside_a_trace:
            return None
        key = request.key(options.api)
        if key is None:
            return None
        key = (key, options.memory_limit, self._evaluate, registry.revision())
        tried: _Tried = _CACHE.get(request.f, key, lambda: self._try(request, key), request.call.kinds)
        return tried.compiled

    def _try(self, request: Request, key: Hashable) -> _Tried:
        probe = Probe(request.f, request.call.kinds())
        if not probe.is_complete or request.f in _restless:
            return _Tried(None)
        if not _is_worth_compiling(request, key):
            return _Tried(None, is_kept=False)
        treedefs: list[Any] = []

        def run(traced: list[Any]) -> list[Any]:
            args, kwargs = request.call.rebuild(traced)
            leaves, treedef = jax.tree.flatten(
                self._anew(replace(request, call=take_apart(args, kwargs)))
            )
            treedefs.append(treedef)
            return leaves

        try:
            staged = Staged(run, request.call.traced)
        except PERHAPS_UNTRACEABLE:  # it branches on values, or has an error of its own to raise again
            return _Tried(None)
        if not probe.is_unchanged():
            with _lock:
                _restless.add(request.f)
            return _Tried(None)
        reads_a_trace = any(isinstance(c, jax.core.Tracer) for c in staged.constants)
        if reads_a_trace or len(staged.jaxpr.eqns) > _LARGEST:
            return _Tried(None)
        return _Tried(Compiled(staged, treedefs[-1], probe))


def _is_worth_compiling(request: Request, key: Hashable) -> bool:
    """Whether this call is likely to come again.

    It is the first one of this derivative of this code, or has come before. A lambda that is made anew
    for each call, or a function that is called with another number each time, would only be compiled.
    """
    code = _code(request.f)
    with _lock:
        derivatives = set() if code is None else _met.setdefault(code, set())
        is_new = request.options.api not in derivatives
        derivatives.add(request.options.api)
    meetings: _Meetings = _CACHE.get(request.f, ("met", key), _Meetings)
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
