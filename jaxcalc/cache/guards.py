"""What a function reads beside its arguments: closures, defaults, global names, found in its code."""

from __future__ import annotations

import dis
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxcalc.heuristics import heuristics

_FOREIGN = frozenset({"jax", "jaxlib", "numpy", "optax", "scipy", "chex", "jaxcalc"})
_RESTLESS = frozenset(  # modules that never repeat, or read what is outside of the program
    {"random", "time", "datetime", "secrets", "uuid", "os", "sys", "importlib"}
    | {"numpy.random", "scipy.stats"}
)
_OPAQUE = frozenset(  # what they read is not named in the code
    {"getattr", "vars", "globals", "eval", "exec", "open", "input", "__import__"}
)
_WRITES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF"})
_NO_GLOBALS = frozenset({"LOAD_METHOD", "LOAD_SUPER_METHOD", "IMPORT_NAME", "IMPORT_FROM"})
_PLAIN = (bool, int, float, complex, str, bytes)
_WRAPPERS = frozenset({"jax", "jaxlib", "functools", "builtins"})  # whose objects do not change
_Unchanging = tuple | Enum | BaseException  # classes whose objects do not change, as a rule
_EMPTY = object()  # a cell that is not filled, a name that is not there
Values = Sequence[Any]


class Probe:
    """Whether a function still reads what it read when the probe was made.

    It compares by identity, plain numbers and strings by value, which takes one or two microseconds. It
    does not keep the function alive, nor what it reads where that can be helped.

    Attributes:
        is_complete: whether all that the function reads is watched, and it writes nothing. Else there
            may be changes that the probe does not see, inside an object as a rule.
    """

    __slots__ = ("_copied", "_watches", "is_complete")

    def __init__(self, function: Any, also: Values = ()) -> None:
        """Look at a function, and `also` at what it is given beside arrays."""
        self._watches: list[_Watch | _ArrayWatch] = []
        self._copied = 0
        self.is_complete = True
        seen: dict[int, Any] = {}
        waiting = [function, *also]
        while waiting:
            value = waiting.pop()
            if id(value) in seen:
                continue
            seen[id(value)] = value  # kept, so that no other object takes its place
            if len(seen) > heuristics().visited_objects:
                self.is_complete = False
                return
            waiting.extend(self._look_at(value))

    def is_unchanged(self) -> bool:
        """Whether every value is the one that it was."""
        for watch in self._watches:  # noqa: SIM110 (a generator costs more)
            if not watch.is_unchanged():
                return False
        return True

    def _look_at(self, value: Any) -> Values:
        """Watch a value, and say what it leads to."""
        if isinstance(value, types.FunctionType):
            return self._look_at_function(value)
        if type(value) in (dict, list) and sys.getsizeof(value) <= heuristics().watched_bytes:
            return self._watched(value, _read_container)
        if isinstance(value, type) and _is_unchanging(value):
            return [v for v in map(_code_of, self._watched(value, _read_class)) if v is not None]
        if type(value) is np.ndarray and value.dtype != object:
            self._copied += value.nbytes
            if self._copied <= heuristics().copied_bytes:
                self._watches.append(_ArrayWatch(value))
                return []
        parts = _parts(value)
        if parts is None:
            self.is_complete &= _is_constant(value)
            return []
        return parts

    def _look_at_function(self, function: types.FunctionType) -> Values:
        code = _NOTHING if _is_foreign(function.__module__) else _code_facts(function.__code__)
        found = self._watched(function, partial(_read_function, code.globals))
        found = self._with_modules(found, code.attributes)
        is_random = "random" in code.attributes and any(value is np for value in found)
        is_opaque = not _OPAQUE.isdisjoint((*code.globals, *code.attributes)) or code.imports
        if is_random or is_opaque or code.writes or _is_restless(function.__module__):
            self.is_complete = False
        is_code = types.CodeType
        return [v for v in found if v is not _EMPTY and not isinstance(v, is_code)]

    def _with_modules(self, found: Values, names: Sequence[str]) -> Values:
        """What was found, with what has one of the names in the user's modules in place of these."""
        waiting, seen, others = list(found), list[Any](), list[Any]()
        while waiting:
            value = waiting.pop()
            if not isinstance(value, types.ModuleType) or _is_foreign(value.__name__):
                others.append(value)
            elif not any(value is module for module in seen):
                seen.append(value)
                waiting.extend(self._watched(value, partial(_read_module, names)))
        return others

    def _watched(self, owner: Any, read: Callable[[Any], Values]) -> Values:
        self._watches.append(_Watch(owner, read))
        return read(owner)


class _Watch:
    """Something that holds values, and the values that it held.

    An identity says something as long as its object lives, so each object is kept, or its death seen.
    """

    __slots__ = ("_identities", "_kept", "_mortal", "_owner", "_read")

    def __init__(self, owner: Any, read: Callable[[Any], Values]) -> None:
        self._owner = _weakly(owner) or (lambda: owner)
        self._read = read
        values = list(read(owner))
        self._identities = [*map(id, values)]
        references = [_weakly(value) for value in values]
        self._mortal = [reference for reference in references if reference is not None]
        self._kept = [v for v, r in zip(values, references, strict=True) if r is None]

    def is_unchanged(self) -> bool:
        owner = self._owner()
        if owner is None:
            return False
        for reference in self._mortal:
            if reference() is None:
                return False
        values = self._read(owner)
        return [*map(id, values)] == self._identities or self._are_equal(values)

    def _are_equal(self, values: Values) -> bool:
        """Whether what was bound anew are plain values, and equal to those before."""
        if len(values) != len(self._identities):
            return False
        kept = {id(value): value for value in self._kept}
        return all(
            id(new) == old or (old in kept and _is_equal(new, kept[old]))
            for new, old in zip(values, self._identities, strict=True)
        )


class _ArrayWatch:
    """A numpy array, and a copy of what it held."""

    __slots__ = ("_array", "_bytes", "_layout")

    def __init__(self, array: np.ndarray) -> None:
        self._array = weakref.ref(array)
        self._layout = array.shape, array.dtype
        self._bytes = _bytes_of(array).copy()

    def is_unchanged(self) -> bool:
        array = self._array()
        if array is None or (array.shape, array.dtype) != self._layout:
            return False
        return bool((_bytes_of(array) == self._bytes).all())


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """The bytes, which tell 0.0 from -0.0 and a NaN from none; as they lie where they lie in line."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _parts(value: Any) -> Values | None:
    """What a value that does not change itself is made of; None for one that is not made of others."""
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, value.keywords]
    if isinstance(value, tuple | frozenset):
        return None if hasattr(value, "__dict__") else [type(value), *value]
    if isinstance(value, Enum):
        return [type(value), value.value]
    if (
        hasattr(value, "__wrapped__") and type(value).__module__.split(".")[0] in _WRAPPERS
    ):  # a jitted function, a custom_jvp and its rules
        rules = [getattr(value, name, None) for name in ("jvp", "fwd", "bwd")]
        return [value.__wrapped__, *(rule for rule in rules if isinstance(rule, types.FunctionType))]
    return None


def _read_function(names: Sequence[str], function: types.FunctionType) -> Values:
    cells = [_contents(cell) for cell in function.__closure__ or ()]
    keywords = function.__kwdefaults__ or {}
    space = function.__globals__
    globals_ = [space.get(name, _EMPTY) for name in names]
    fixed = (function.__code__, *(function.__defaults__ or ()), *vars(function).values())
    return [*fixed, *keywords, *keywords.values(), *cells, *globals_]


def _read_module(names: Sequence[str], module: types.ModuleType) -> Values:
    space = vars(module)
    return [space.get(name, _EMPTY) for name in names]


def _read_class(class_: type) -> Values:
    return [
        value
        for base in class_.__mro__
        if not _is_foreign(base.__module__)
        for value in vars(base).values()
    ]


def _code_of(member: Any) -> Any:
    """The function of a method or a property; None for another member of a class."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
    return function if isinstance(function, types.FunctionType) else None


def _read_container(container: Any) -> Values:
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is not filled
        return _EMPTY


def _weakly(value: Any) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(value)
    except TypeError:
        return None


def _is_equal(new: Any, old: Any) -> bool:
    """Whether plain values are the same; 0.0 and -0.0 are not."""
    if type(new) is not type(old):
        return False
    if isinstance(new, tuple):
        return len(new) == len(old) and all(map(_is_equal, new, old))
    if not isinstance(new, (*_PLAIN, np.dtype)) or new != old:
        return False
    return not isinstance(new, float | complex) or repr(new) == repr(old)


def _is_constant(value: Any) -> bool:
    """Whether nothing inside a value can change."""
    if isinstance(value, jax.core.Tracer):
        return False
    if isinstance(value, types.BuiltinFunctionType):
        owner = value.__self__
        if isinstance(owner, types.ModuleType):
            return not _is_restless(owner.__name__)
        return owner is None or (isinstance(owner, type) and _is_constant(owner))
    if isinstance(value, types.ModuleType):
        return _is_foreign(value.__name__) and not _is_restless(value.__name__)
    if isinstance(value, type):
        return _is_foreign(value.__module__) and not _is_restless(value.__module__)
    plain = (*_PLAIN, type(None), type(...), slice, range, np.dtype, np.generic, np.ufunc)
    return (
        isinstance(value, (*plain, jax.Array, jax.sharding.Sharding))
        or type(value) is object
        or (callable(value) and type(value).__module__.split(".")[0] in ("jax", "jaxlib"))
    )


def _is_foreign(module: str | None) -> bool:
    root = (module or "").split(".")[0]
    return root in _FOREIGN or root in sys.stdlib_module_names


def _is_restless(module: str | None) -> bool:
    parts = (module or "").split(".")
    return parts[0] in _RESTLESS or ".".join(parts[:2]) in _RESTLESS


def _is_unchanging(class_: type) -> bool:
    return issubclass(class_, _Unchanging) and not _is_foreign(class_.__module__)


class _CodeFacts(NamedTuple):
    """What code names, that of the functions inside it included, and whether it imports or binds."""

    globals: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()  # of any object: those of the user's modules are watched
    imports: bool = False  # anything but JAX
    writes: bool = False  # global names, or those of the functions around it


_NOTHING = _CodeFacts()


@lru_cache(maxsize=4096)  # equal code has equal facts
def _code_facts(code: types.CodeType) -> _CodeFacts:
    instructions = [i for each in _codes(code) for i in dis.get_instructions(each)]
    imported = [i for i in instructions if i.opname == "IMPORT_NAME"]
    named: dict[bool, set[str]] = {False: set(), True: set()}  # by whether it is an attribute
    for i in instructions:
        if i.opcode in dis.hasname:
            named["ATTR" in i.opname or i.opname in _NO_GLOBALS].add(str(i.argval))
    return _CodeFacts(
        tuple(named[False]),
        tuple(named[True]),
        any(str(i.argval).split(".")[0] != "jax" for i in imported),
        any(
            i.opname in _WRITES and ("GLOBAL" in i.opname or i.argval in code.co_freevars)
            for i in instructions
        ),
    )


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code, and that of the functions inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)
