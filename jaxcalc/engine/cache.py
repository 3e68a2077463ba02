"""What is kept between calls: derivatives made ready, for each function, bounded, freed with it."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from jaxcalc.engine.captured import captured as captured_by

_KEPT_FOR_EACH = 64  # shapes and options of one function


class FunctionCache:
    """Values by function and key. A function that dies takes its entries along.

    An entry is dropped when what the function captures (closure, defaults, global names, and those
    of the functions it names) is not what it was: a global that was bound anew must not leave a
    derivative of the old one behind. What changes inside a captured object is not seen, as under
    `jax.jit`.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Any, OrderedDict[Hashable, tuple[Any, Any]]]] = {}
        self._lock = threading.RLock()

    def get(self, function: Callable[..., Any], key: Hashable, make: Callable[[], Any]) -> Any:
        """The value for this key, made by `make` when it is missing or out of date."""
        owner, key = _owner(function, key)
        captured = [_Captured(x) for x in captured_by(function)]
        with self._lock:
            known = self._known(owner)
            if known is not None and key in known:
                value, old = known[key]
                if len(old) == len(captured) and all(
                    a.is_same(b) for a, b in zip(old, captured, strict=True)
                ):
                    known.move_to_end(key)
                    return value
        value = make()
        if known is not None and getattr(value, "is_kept", True):
            with self._lock:
                known[key] = (value, captured)
                while len(known) > _KEPT_FOR_EACH:
                    known.popitem(last=False)
        return value

    def _known(self, owner: Any) -> OrderedDict[Hashable, tuple[Any, Any]] | None:
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


class _Captured:
    """A captured object, compared by identity, and not kept alive where that can be helped."""

    __slots__ = ("_get",)

    def __init__(self, value: Any) -> None:
        try:
            self._get: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self._get = lambda: value

    def is_same(self, other: _Captured) -> bool:
        mine, theirs = self._get(), other._get()
        if mine is theirs:
            return mine is not None or not isinstance(self._get, weakref.ref)
        # numbers and strings are bound anew without being new
        plain = (int, float, complex, str, bytes, bool)
        return type(mine) is type(theirs) and isinstance(mine, plain) and mine == theirs
