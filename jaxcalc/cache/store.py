"""What is kept between calls: derivatives made ready, for each function, bounded, freed with it."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from jaxcalc.cache.guards import Probe
from jaxcalc.heuristics import heuristics


class _Entry(NamedTuple):
    """A value, what it depends on, and the family that its key is of."""

    value: Any
    probe: Probe
    family: Hashable


class FunctionCache:
    """Values by function and key. A function that dies takes its entries along.

    An entry is dropped when what the function captures (closure, defaults, global names, and those
    of the functions it names) is not what it was: a global that was bound anew must not leave a
    derivative of the old one behind. What changes inside an object of the user's own is not seen:
    whoever makes a value is told whether there is such a thing, and must look for himself.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Any, OrderedDict[Hashable, _Entry]]] = {}
        self._lock = threading.RLock()

    def get(
        self,
        function: Callable[..., Any],
        key: Hashable,
        make: Callable[[Probe], Any],
        also: Callable[[], Sequence[Any]] = tuple,
        family: Hashable = None,
    ) -> Any:
        """The value for this key, made by `make` when it is missing or out of date.

        `make` is given the probe that watches what the function reads, and what `also` gives beside it.
        Of keys of one `family` few are kept.
        """
        owner, key = _owner(function, key)
        with self._lock:
            known = self._known(owner)
            found = None if known is None else known.get(key)
            if known is not None and found is not None and found.probe.is_unchanged():
                known.move_to_end(key)
                return found.value
        probe = Probe(function, also())
        value = make(probe)
        if known is not None and getattr(value, "is_kept", True):
            with self._lock:
                # a function that notes its own calls has changed what it reads
                watch = probe if probe.is_unchanged() else Probe(function, also())
                known[key] = _Entry(value, watch, family)
                known.move_to_end(key)
                alike = [k for k, entry in known.items() if family and entry.family == family]
                for old in alike[: -heuristics().kept_alike]:
                    del known[old]
                while len(known) > heuristics().kept_of_a_function:
                    known.popitem(last=False)
        return value

    def _known(self, owner: Any) -> OrderedDict[Hashable, _Entry] | None:
        number = id(owner)
        if number in self._entries:
            return self._entries[number][1]

        def forget(_: Any) -> None:
            with self._lock:
                self._entries.pop(number, None)

        try:
            reference = weakref.ref(owner, forget)
        except TypeError:
            return None  # it could not be freed, so nothing is kept for it
        self._entries[number] = (reference, OrderedDict())
        return self._entries[number][1]

    def __len__(self) -> int:
        with self._lock:
            return sum(len(known) for _, known in self._entries.values())


def _owner(function: Callable[..., Any], key: Hashable) -> tuple[Any, Hashable]:
    """What lives as long as the entry is of use; a bound method is made anew at every access."""
    if inspect.ismethod(function):
        return function.__self__, (function.__func__, key)
    return function, key
