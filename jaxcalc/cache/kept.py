"""What is kept of a function between calls, and when a call may use it.

What was made ready for a function answers a later call where everything that the function reads is
watched (`cache.guards`) and unchanged. Any other function, such as a method that reads attributes
of its object, is traced again: a derivative of the object as it was would be wrong. Tracing takes
milliseconds, compiling a hundred times as long, so a derivative that was made ready before is used
again where its linear program computes the same (`engine.jaxprs.signatures`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

from jaxcalc.cache.guards import Probe
from jaxcalc.cache.store import FunctionCache
from jaxcalc.call.request import Request
from jaxcalc.engine.jaxprs.signatures import IncomparableError
from jaxcalc.engine.rules import registry
from jaxcalc.heuristics import heuristics

_CACHE = FunctionCache()


class Ready(Protocol):
    """A derivative that was made ready."""

    @property
    def is_kept(self) -> bool:
        """Whether a later call may use it."""

    @property
    def attempt(self) -> Hashable:
        """The linear map that it makes a matrix of."""

    @property
    def has_rules(self) -> bool:
        """Whether it calls functions with rules, which only a further derivative asks for."""

    def signature(self) -> Hashable:
        """What it computes; IncomparableError where that cannot be told."""


def kept(request: Request, kind: str, make: Callable[[Probe], Any]) -> Any:
    """What `make` gives for a call, or what it gave for an earlier one."""
    key, revision = request.key(kind), registry.revision()
    if key is None:
        return make(Probe(request.f, request.call.kinds()))
    family = request.family(kind) if request.call.known_arrays else None
    return _CACHE.get(request.f, (key, revision), make, request.call.kinds, family)


def kept_derivative(
    request: Request,
    kind: str,
    make: Callable[[], Ready],
    signature_by: Callable[[Any], Hashable | None],
) -> Any:
    """A derivative for a call: an earlier one where it fits, else what `make` gives.

    `signature_by` traces f for such an attempt, and says what the derivative would compute.
    """
    made: list[Ready] = []

    def first(probe: Probe) -> _Known:
        ready = make()
        made.append(ready)
        is_watched = probe.is_complete and (
            # a function that changes what it reads is another one now, unless that makes no difference
            probe.is_unchanged() or _is_steady(ready, signature_by)
        )
        return _Known(ready, is_watched=is_watched)

    known: _Known = kept(request, kind, first)
    return made[0] if made else known.answer(request, make, signature_by)


def _is_steady(ready: Ready, signature_by: Callable[[Any], Hashable | None]) -> bool:
    """Whether one more trace gives the same program."""
    try:
        return ready.signature() == signature_by(ready.attempt)
    except IncomparableError:
        return False


class _Variant(NamedTuple):
    signature: Hashable
    ready: Ready


class _Known:
    """The derivatives of a function that were made ready for calls of one kind, the latest first."""

    def __init__(self, first: Ready, *, is_watched: bool) -> None:
        self.is_kept = first.is_kept
        self._watched = first if is_watched else None
        self._variants: tuple[_Variant, ...] = ()
        if not is_watched:
            self._add(first)

    def answer(
        self,
        request: Request,
        make: Callable[[], Ready],
        signature_by: Callable[[Any], Hashable | None],
    ) -> Ready:
        """The one that fits a call, perhaps a new one."""
        if self._watched is not None:
            return self._watched
        may_be_differentiated = request.call.is_inside_a_trace
        variants = [v for v in self._variants if not (may_be_differentiated and v.ready.has_rules)]
        for attempt in dict.fromkeys(v.ready.attempt for v in variants):
            signature = signature_by(attempt)
            for variant in variants:
                if signature is not None and (attempt, signature) == variant.signature:
                    self._put_first(variant)
                    return variant.ready
        ready = make()
        if ready.is_kept:
            self._add(ready)
        return ready

    def _add(self, ready: Ready) -> None:
        try:
            signature = ready.signature()
        except IncomparableError:
            return
        self._put_first(_Variant((ready.attempt, signature), ready))

    def _put_first(self, variant: _Variant) -> None:
        others = [v for v in self._variants if v.signature != variant.signature]
        self._variants = (variant, *others[: heuristics().kept_variants - 1])
