"""What an operation of the generator sees: the values so far, and ways to name, hold and nest."""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

LARGEST = 48  # elements of a value
NAMES: dict[str, Any] = {"jax": jax, "jnp": jnp, "lax": lax, "np": np}
_WORD = re.compile(r"[A-Za-z_]\w*")


class Value(NamedTuple):
    """A variable of a program."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def is_double(self) -> bool:
        return self.dtype == np.float64


class Line(NamedTuple):
    """An assignment or a nested function, with the operations in it."""

    name: str
    text: str
    operations: tuple[str, ...]


class Pick:
    """Choices that shrink toward the first, made of integers that `integer(low, high)` draws."""

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        self.integer = integer  # of low to high, both included

    def of(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def often(self, percent: int) -> bool:
        """True in about so many of a hundred draws."""
        return self.integer(0, 99) >= 100 - percent


@dataclass
class Traits:
    """What a whole program is: filled in while it is made.

    Attributes:
        is_tight: made of operations whose pattern is exact, with nothing that cancels.
        allowed: the names of operations that may be used; None for all.
        has_forward: whether forward mode exists for all of it; `has_reverse` likewise.
        modes_differ: whether it reads out of bounds where JAX's two modes differ.
        constants: arrays that f closes over.
        functions: the source of nested functions, by name.
        twins: source, and what has the same derivative in a way that JAX has forward mode for.
    """

    is_tight: bool = False
    allowed: frozenset[str] | None = None
    has_forward: bool = True
    has_reverse: bool = True
    modes_differ: bool = False
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def name(self, letter: str) -> str:
        """A name that is new in this program."""
        return f"{letter}{next(self.numbers)}"


class Scope:
    """The inside of one function of a program."""

    def __init__(
        self,
        pick: Pick,
        traits: Traits,
        values: Sequence[Value],
        grow: Callable[[Scope, int], None],
        depth: int = 0,
    ) -> None:
        self.pick = pick
        self.traits = traits
        self.values = list(values)
        self.depth = depth
        self.lines: list[Line] = []
        self._grow = grow
        self._pending: list[Line] = []

    def value(self, fits: Callable[[Value], bool] = lambda v: True) -> Value | None:
        """One of the values that fit, the recent ones more often; None when none does."""
        found = [v for v in self.values if fits(v)]
        if not found:
            return None
        return self.pick.of([*found, *found[-1:] * (1 + 2 * len(found))])

    def constant(self, shape: Sequence[int], *, zeros: int = 0) -> str:
        """A closed-over array of normal numbers, `zeros` of a hundred of them zero."""
        rng = np.random.default_rng(self.pick.integer(0, 30))
        array = np.round(rng.normal(size=tuple(shape)), 2)
        array = np.where(np.abs(array) < 0.1, 0.3, array)
        if zeros:
            array = np.where(rng.integers(0, 100, array.shape) < zeros, 0.0, array)
        return self.hold(array)

    def hold(self, array: Any) -> str:
        """A name for an array that f closes over."""
        name = self.traits.name("c")
        self.traits.constants[name] = np.asarray(array)
        return name

    def axis(self, v: Value) -> int:
        """One of the axes of a value that has some."""
        return self.pick.integer(0, v.rank - 1)

    def push(self, operation: str, expression: str) -> bool:
        """Assign an expression to a new name; False, and nothing done, where that is too large or refused."""
        pending, self._pending = self._pending, []
        try:
            shaped = self.shape_of(expression)
        except TypeError as error:
            if "preferred_element_type" in str(error):  # JAX: jnp.dot of a weak complex64 under x64
                return False
            raise
        if int(np.prod(shaped.shape)) > LARGEST or len(shaped.shape) > 4:
            return False
        name = self.traits.name("v")
        self.lines += pending
        self.lines.append(Line(name, f"{name} = {expression}", (operation,)))
        self.values.append(Value(name, tuple(shaped.shape), np.dtype(shaped.dtype)))
        return True

    def drop_pending(self) -> None:
        """Forget the nested functions of an operation that came to nothing."""
        self._pending = []

    def shape_of(self, expression: str) -> jax.ShapeDtypeStruct:
        """The shape and dtype of an expression over the values in scope."""
        used = words(expression)
        functions = self._functions(used)
        used |= words("\n".join(functions))
        known = [v for v in self.values if v.name in used]
        constants = {k: c for k, c in self.traits.constants.items() if k in used}

        def run(arrays: list[Any]) -> Any:
            space = NAMES | constants | {v.name: a for v, a in zip(known, arrays, strict=True)}
            for text in functions:
                exec(text, space)
            return eval(expression, space)

        shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in known]
        try:
            found = jax.eval_shape(run, shapes)
        except (TypeError, ValueError, NotImplementedError) as error:
            error.add_note(f"in the generated expression {expression}, of {known}")
            raise
        if not isinstance(found, jax.ShapeDtypeStruct):
            raise TypeError(f"{expression} is no array: {found}")
        return found

    def _functions(self, used: set[str]) -> list[str]:
        """The nested functions that an expression needs, in order."""
        needed: list[str] = []
        waiting = [name for name in self.traits.functions if name in used]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.append(name)
                waiting += [n for n in self.traits.functions if n in words(self.traits.functions[name])]
        return [text for name, text in self.traits.functions.items() if name in needed]

    def function(
        self,
        parameters: Sequence[tuple[tuple[int, ...], np.dtype[Any]]],
        result: Callable[[Scope, list[Value]], str | None],
        *,
        steps: int = 2,
        decorator: str = "",
        head: Sequence[Value] = (),
    ) -> str | None:
        """A nested function of random steps; its name, or None when `result` has nothing to return.

        Args:
            parameters: shape and dtype of each parameter.
            result: the expression to return, given the inner scope and the parameters.
            steps: how many steps at most.
            decorator: goes on a line of its own in front.
            head: parameters that the steps leave alone, such as a counter.
        """
        given = [Value(self.traits.name("a"), s, np.dtype(d)) for s, d in parameters]
        inner = Scope(self.pick, self.traits, [*self.values, *given], self._grow, self.depth + 1)
        self._grow(inner, steps)
        returned = result(inner, given)
        if returned is None:
            return None
        name = self.traits.name("f")
        lines = live(inner.lines, returned)
        names = ", ".join(v.name for v in (*head, *given))
        body = "".join(_indented(line.text) for line in lines)
        text = f"def {name}({names}):\n{body}    return {returned}"
        text = f"{decorator}\n{text}" if decorator else text
        self.define(name, text, tuple(o for line in lines for o in line.operations))
        return name

    def define(
        self, name: str, text: str, operations: tuple[str, ...] = (), twin: str | None = None
    ) -> None:
        """A nested function of which the operation at hand makes use."""
        if twin is not None:
            self.traits.twins[text] = twin
        self._pending.append(Line(name, text, operations))
        self.traits.functions[name] = text

    def same_shape(self, shape: tuple[int, ...]) -> Value | None:
        """The latest value of this shape."""
        return next((v for v in reversed(self.values) if v.shape == shape), None)


def words(text: str) -> set[str]:
    """The names that a piece of source uses."""
    return {w for w in _WORD.findall(text) if not keyword.iskeyword(w)}


def live(lines: Sequence[Line], wanted: str) -> list[Line]:
    """The lines that `wanted` needs."""
    used, kept = words(wanted), []
    for line in reversed(lines):
        if line.name in used:
            used |= words(line.text)
            kept.append(line)
    return kept[::-1]


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
