"""What a function reads beside its arguments: closures, defaults, global names, found in its code."""

from __future__ import annotations

import types
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

_VISITED = 256  # captured objects that are looked at
_FOREIGN = ("jax", "jaxlib", "numpy", "optax", "scipy", "chex", "jaxcalc")
_EMPTY = object()  # a cell that is not filled, an attribute that is not there


class Read(NamedTuple):
    """One thing that a function reads.

    Attributes:
        place: the object or dictionary that it is read from.
        name: the attribute or key.
        value: what is there, `None` for a key that is missing.
        is_captured: whether it is a value, rather than a module or nothing.
    """

    place: Any
    name: str
    value: Any
    is_captured: bool = True


def captured(function: Any) -> list[Any]:
    """The values that a function reads, and the functions that it names."""
    return [read.value for read in _reads(function) if read.is_captured]


class Probe:
    """Whether a function still reads what it read when the probe was made.

    It compares by identity and looks at nothing else, which takes about a microsecond: a number that
    was bound anew counts as changed even where it is equal. Values are not kept alive where that can
    be helped.
    """

    __slots__ = ("_attributes", "_items", "_weak_attributes", "_weak_items")

    def __init__(self, function: Any) -> None:
        self._items: list[tuple[dict[str, Any], str, Any]] = []
        self._weak_items: list[tuple[dict[str, Any], str, weakref.ref[Any]]] = []
        self._attributes: list[tuple[Any, str, Any]] = []
        self._weak_attributes: list[tuple[Any, str, weakref.ref[Any]]] = []
        for read in _reads(function):
            is_item = isinstance(read.place, dict)
            try:
                reference = weakref.ref(read.value)
            except TypeError:
                strong = self._items if is_item else self._attributes
                strong.append((read.place, read.name, read.value))
            else:
                weak = self._weak_items if is_item else self._weak_attributes
                weak.append((read.place, read.name, reference))

    def is_unchanged(self) -> bool:
        """Whether every value is the very object that it was."""
        for mapping, name, value in self._items:
            if mapping.get(name) is not value:
                return False
        for mapping, name, reference in self._weak_items:
            if mapping.get(name, _EMPTY) is not reference():
                return False
        for place, name, value in self._attributes:
            if _attribute(place, name) is not value:
                return False
        for place, name, reference in self._weak_attributes:
            if _attribute(place, name) is not reference():
                return False
        return True


def _attribute(place: Any, name: str) -> Any:
    try:
        return getattr(place, name, _EMPTY)
    except ValueError:  # a cell that is not filled
        return _EMPTY


def _reads(function: Any) -> list[Read]:
    found: list[Read] = []
    count = 0
    seen: set[int] = set()
    waiting = [function]
    while waiting and count < _VISITED:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for read in _read_by(current):
            found.append(read)
            if not read.is_captured:
                continue
            count += 1
            value = read.value
            if isinstance(value, types.FunctionType | types.MethodType | partial):
                waiting.append(value)
            elif hasattr(value, "__wrapped__"):  # a jitted function, a custom_jvp
                waiting.append(value.__wrapped__)
    return found


def _read_by(function: Any) -> Iterator[Read]:
    if isinstance(function, partial):
        yield Read(function, "func", function.func)
        for argument in function.args:
            yield Read({"": argument}, "", argument)  # a tuple does not change
        for name, value in function.keywords.items():
            yield Read(function.keywords, name, value)
    elif isinstance(function, types.MethodType):
        yield Read(function, "__func__", function.__func__)
    elif isinstance(function, types.FunctionType):
        if (function.__module__ or "").split(".")[0] not in _FOREIGN:
            yield from _read_by_code(function)
    elif getattr(function, "__wrapped__", None) is not None:
        yield Read(function, "__wrapped__", function.__wrapped__)


def _read_by_code(function: types.FunctionType) -> Iterator[Read]:
    yield Read(function, "__code__", function.__code__, is_captured=False)
    yield Read(function, "__defaults__", function.__defaults__, is_captured=False)
    yield Read(function, "__kwdefaults__", function.__kwdefaults__, is_captured=False)
    for value in function.__defaults__ or ():
        yield Read({"": value}, "", value)
    for name, value in (function.__kwdefaults__ or {}).items():
        yield Read(function.__kwdefaults__, name, value)
    for cell in function.__closure__ or ():
        value = _attribute(cell, "cell_contents")
        yield Read(cell, "cell_contents", value, is_captured=value is not _EMPTY)
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        is_value = value is not None and not isinstance(value, types.ModuleType)
        yield Read(function.__globals__, name, value, is_captured=is_value)


def _names(code: types.CodeType) -> list[str]:
    """The global names that a function reads, those of the functions inside it included."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [*code.co_names, *(name for c in inner for name in _names(c))]
