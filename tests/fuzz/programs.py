"""Random JAX programs as source code: a hypothesis strategy, whose examples shrink to a few lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz import (
    algebra,
    contractions,
    literals,
    moves,
    nesting,
    outside,
    places,
    pointwise,
    reductions,
)
from tests.fuzz.scope import NAMES, Pick, Scope, Traits, Value, live, words
from tests.fuzz.table import SHARES, TABLE, Operation

FAMILIES = (pointwise, moves, reductions, contractions, places, algebra, nesting, literals, outside)
_SHAPES = ((3,), (5,), (2, 3), (), (1,), (4,), (3, 2), (7,), (2, 2, 2), (1, 3), (3, 1), (0,), (2, 0))
MIXED = tuple(TABLE)
_TRIES = 4  # operations that are looked at before a step is left out


@dataclass(frozen=True)
class Program:
    """A function `f` of one array, or of a tuple of arrays, as source code.

    Attributes:
        twin: source with the same derivatives, for which JAX has forward mode.
        shapes: the shape of each array of the argument.
        dtype: their dtype.
        operations: the names of what it is made of.
        is_tight: whether its pattern must be exact.
        has_forward: whether JAX has forward mode for it; `has_reverse` likewise.
        has_hessian: whether JAX can differentiate it twice.
        has_all_ways: whether every way is compared, rather than some by turns.
        modes_differ: whether JAX's reverse mode differs from its forward mode, for reads out of bounds.
    """

    source: str
    twin: str
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    operations: tuple[str, ...]
    is_tight: bool
    has_forward: bool
    has_reverse: bool
    has_hessian: bool = True
    has_all_ways: bool = False
    modes_differ: bool = False

    @property
    def is_left_to_jax(self) -> bool:
        """Whether `auto` says what JAX says in the direction that it takes: reads out of bounds beside rules."""
        return self.modes_differ and "jax.custom_" in self.source

    @cached_property
    def function(self) -> Callable[..., Any]:
        return _made(self.source)

    @cached_property
    def reference(self) -> Callable[..., Any]:
        """What JAX differentiates in forward mode."""
        return _made(self.twin)

    def points(self, count: int) -> list[Any]:
        """Random arguments, the same in every run."""
        rng = np.random.default_rng(1)
        made = [tuple(rng.normal(size=s).astype(self.dtype) for s in self.shapes) for _ in range(count)]
        return made if len(self.shapes) > 1 else [p[0] for p in made]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{self.dtype}{list(s)}" for s in self.shapes)
        return f"\n{self.source}\n# x: {shapes}\n"


def _made(source: str) -> Callable[..., Any]:
    space = dict(NAMES)
    exec(compile(source, "<program>", "exec"), space)
    return space["f"]


def programs(
    *, longest: int = 8, tight: bool = False, allowed: Sequence[str] | None = None
) -> st.SearchStrategy[Program]:
    """Programs of at most `longest` steps outside of loops and branches.

    Args:
        longest: the number of steps.
        tight: only operations whose pattern must be exact, arranged so that nothing cancels.
        allowed: the names of the operations to use; all when left out.
    """

    def draw_program(draw: Callable[..., Any]) -> Program:
        def integer(low: int, high: int) -> int:
            return draw(_integers(low, high))

        return program(integer, longest, tight=tight, allowed=allowed)

    return st.composite(draw_program)()


_integers = cache(st.integers)


def program(
    integer: Callable[[int, int], int],
    longest: int,
    *,
    tight: bool = False,
    allowed: Sequence[str] | None = None,
) -> Program:
    """The program that `integer(low, high)`, a source of random numbers, leads to; see `programs`."""
    names = frozenset(n for n in (allowed or MIXED) if TABLE[n].is_tight or not tight)
    return _program(Pick(integer), longest, names, tight=tight)


def _program(pick: Pick, longest: int, allowed: frozenset[str], *, tight: bool) -> Program:
    traits = Traits(is_tight=tight, allowed=allowed)
    shapes = [pick.of(_SHAPES) for _ in range(pick.of([1, 1, 1, 2]))]
    dtype = pick.of(["float64"] * 9 + ["float32"]) if not tight else "float64"
    names = ["x"] if len(shapes) == 1 else ["x", "y"]
    given = [Value(n, s, np.dtype(dtype)) for n, s in zip(names, shapes, strict=True)]
    scope = Scope(pick, traits, given, _grow)
    _grow(scope, longest)
    returned = _returned(scope)
    lines = live(scope.lines, returned)
    source, twin = (
        _source(names, traits, [texts.get(line.text, line.text) for line in lines], returned)
        for texts in ({}, traits.twins)
    )
    return Program(
        source,
        twin,
        tuple(shapes),
        dtype,
        tuple(o for line in lines for o in line.operations),
        tight,
        traits.has_forward,
        traits.has_reverse,
        modes_differ=traits.modes_differ,
    )


def _source(names: Sequence[str], traits: Traits, texts: Sequence[str], returned: str) -> str:
    text = "\n".join([*([] if len(names) == 1 else ["x, y = p"]), *texts, f"return {returned}"])
    inside = "".join(f"    {line}\n" for line in text.splitlines())
    used = words(text)
    constants = "".join(
        f"{k} = np.array({c.tolist()}, dtype={c.dtype.name!r}).reshape({c.shape})\n"
        for k, c in traits.constants.items()
        if k in used
    )
    return f"{constants}def f({'x' if len(names) == 1 else 'p'}):\n{inside}"


def _returned(scope: Scope) -> str:
    last = scope.values[-1].name
    kind = scope.pick.of(["one"] * 6 + ["pair", "dict"])
    if kind == "one":
        return last
    other = scope.value()
    other_name = other.name if other else last
    return f"({last}, {other_name})" if kind == "pair" else f"{{'a': {other_name}, 'b': {last}}}"


def _grow(scope: Scope, steps: int) -> None:
    """Add random steps to a scope."""
    for _ in range(scope.pick.integer(1, steps)):
        for _ in range(_TRIES):
            if _step(scope, _operation(scope)):
                break


def _operation(scope: Scope) -> Operation:
    pool = scope.traits.allowed or frozenset(TABLE)
    by_family = _by_family(pool)
    place = scope.pick.integer(0, sum(SHARES[f] for f in by_family) - 1)
    for family, members in by_family.items():
        place -= SHARES[family]
        if place < 0:
            return scope.pick.of(members)
    raise AssertionError(place)


_families: dict[frozenset[str], dict[str, list[Operation]]] = {}


def _by_family(pool: frozenset[str]) -> dict[str, list[Operation]]:
    if pool not in _families:
        found: dict[str, list[Operation]] = {family: [] for family in SHARES}
        for name, op in TABLE.items():
            if name in pool:
                found[op.family].append(op)
        _families[pool] = {family: ops for family, ops in found.items() if ops}
    return _families[pool]


def _step(scope: Scope, operation: Operation) -> bool:
    expression = operation.build(scope)
    if not expression:
        scope.drop_pending()
        return False
    if scope.traits.is_tight:  # a factor of its own, so that nothing cancels, and no value is zero
        expression = f"jnp.sin(0.3 + {0.7 + len(scope.lines) / 9:.2f} * ({expression}))"
    return scope.push(operation.name, expression)
