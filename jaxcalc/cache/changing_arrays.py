"""Integer arrays that change from call to call: labels, random keys, the indices of a minibatch.

The values of an integer array are part of the structure, since a gather by known indices has a known
pattern. An array that changes would thus have every call traced and compiled anew, so it is traced
from then on, as under `jax.jit`, wherever that gives the same derivative: for a sparse format, the same
entries. One whose values narrow the pattern stays known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from jaxcalc.cache.store import FunctionCache
from jaxcalc.call.digests import digest
from jaxcalc.call.notes import note
from jaxcalc.call.request import Request
from jaxcalc.engine.jaxprs.source import user_line
from jaxcalc.heuristics import heuristics
from jaxcalc.results.layout import Layout

_CACHE = FunctionCache()


def changing_arrays(request: Request) -> ChangingArrays | None:
    """What is known of the arrays of such calls of this function; None where nothing changes."""
    if request.call.is_inside_a_trace or not request.call.known_arrays:
        return None
    family = request.family(request.options.api)
    if family is None:
        return None
    known: ChangingArrays = _CACHE.get(
        request.f, family, lambda _: ChangingArrays(), request.call.kinds
    )
    return known


class ChangingArrays:
    """The arrays of the calls of one function in one way, by their places among the leaves."""

    def __init__(self) -> None:
        self._layouts: list[tuple[dict[int, bytes], Layout]] = []  # of the first calls
        self._seen: dict[int, set[bytes]] = {}
        self._traced: frozenset[int] = frozenset()
        self._known: frozenset[int] = frozenset()
        self._is_told = False

    def traced(self, request: Request, is_alike: Callable[[Request], bool]) -> Request:
        """The request with those arrays traced that change, and of which `is_alike` allows it."""
        new = self._changed(request) - self._traced - self._known
        groups = [new, *({place} for place in sorted(new))] if len(new) > 1 else [new]
        for group in groups:
            if group - self._traced and is_alike(self._tracing(request, self._traced | group)):
                self._traced |= group
        self._known |= new - self._traced
        self._tell(request)
        return self._tracing(request, self._traced)

    def remember(self, request: Request, layout: Layout) -> None:
        """Note the layout that a call led to, for later calls with arrays traced."""
        if len(self._layouts) < heuristics().remembered_layouts and not self._traced:
            self._layouts.append((_digests(request), layout))

    def _tracing(self, request: Request, places: Collection[int]) -> Request:
        """The request with arrays traced, its entries in the order that they had with these known."""
        if not places:
            return request
        traced = replace(request, call=request.call.tracing(places))
        rest = _digests(traced).items()
        alike = (layout for digests, layout in self._layouts if rest <= digests.items())
        return replace(traced, like=next(alike, None))

    def _changed(self, request: Request) -> frozenset[int]:
        for place, array in request.call.known_arrays.items():
            seen = self._seen.setdefault(place, set())
            if place not in self._traced and len(seen) < heuristics().told_after:
                seen.add(digest(array))
        return frozenset(place for place, seen in self._seen.items() if len(seen) > 1)

    def _tell(self, request: Request) -> None:
        """Say once that each new array costs a trace and a compilation, and how to avoid that."""
        slow = [place for place in self._known if len(self._seen[place]) >= heuristics().told_after]
        if not slow or self._is_told or request.options.format == "dense":
            return
        self._is_told = True
        arrays = request.call.known_arrays
        described = " and ".join(f"{arrays[i].dtype}{list(arrays[i].shape)}" for i in sorted(slow))
        note(
            f"{request.options.api}: the entries of this derivative depend on the values of an "
            f"argument ({described}), which changes from call to call, so that each new array is "
            "traced and compiled anew. Call it under jax.jit to have the array traced, with the "
            "entries that any values may give, or keep to few arrays: the derivatives of the last "
            "four stay ready",
            where=user_line(),
        )


def _digests(request: Request) -> dict[int, bytes]:
    return {place: digest(array) for place, array in request.call.known_arrays.items()}


def limited(request: Request, layout: Layout) -> Request:
    """The same request, given up where a value has many more entries than `layout`."""
    h = heuristics()
    limit = max(h.fewest_entries_limited, h.most_entries_traced * layout.nnz)
    return replace(request, entry_limit=limit)
