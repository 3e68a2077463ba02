"""What a program computes more than once, when XLA has fused it.

XLA on CPU makes loops of a program, as of JAX 0.10 by these rules. Operations join the loop that reads
them, up to one that ends a fusion, such as a matrix product. What a loop reads at several places, as
through slices, it computes for each of them. What is expensive gets a loop of its own if several loops
read it, or one that reads an element again and again for a broadcast; but sines, cosines and tangents
are cheap in XLA's eyes, and are computed in every loop and for every element of a broadcast.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from math import prod
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn, Literal

from jaxcalc.engine.jaxprs.equations import broadcast_in_dim, called, output
from jaxcalc.engine.jaxprs.traits import having, values

# rough nanoseconds for an element, where a sum or a product takes none worth counting
_COST: dict[str, float] = values("again")
_ALWAYS_JOINED = having("always_joined")
_WAYS = 16  # that are told apart

# of elements to other places, though the shape may stay
_MOVING = having("reorders")

# all elements of the result together read each element of an operand once
_BY_PARTS = frozenset({"concatenate", "pad"})

# what ends a fusion, so that its operands are computed once whatever follows
_UNFUSED = having("never_again")


class _Way(NamedTuple):
    """A way in which elements are read.

    Attributes:
        loop: where.
        number: of this way.
        is_spread: whether one element after another is read, and then the first ones again.
    """

    loop: int
    number: int
    is_spread: bool = False


Reads = dict[_Way, float]  # how many elements are computed, by each way in which they are read


def repeated_time(jaxpr: Jaxpr) -> float:
    """The nanoseconds that go into computing elements a second time, and a third ..."""
    reading = _Reading()
    reading.walk(jaxpr, [reading.loop(size_of(v)) for v in jaxpr.outvars])
    return reading.repeated


def size_of(v: Any) -> int:
    """The number of elements of a variable."""
    return prod(v.aval.shape)


class _Reading:
    """A walk from results to inputs, which counts how often each element is read.

    Sums and products read their operands at the places of their own elements, which is no new way; a
    slice is one.

    Attributes:
        repeated: the nanoseconds found so far.
    """

    def __init__(self) -> None:
        self.repeated = 0.0
        self._numbers = count()

    def loop(self, elements: float) -> Reads:
        """So many elements, read by a loop of their own."""
        number = next(self._numbers)
        return {_Way(number, number): elements}

    def walk(self, jaxpr: Jaxpr, results: Sequence[Reads]) -> list[Reads]:
        """How the inputs of a program are read, whose results are read so."""
        uses: defaultdict[Any, Reads] = defaultdict(dict)

        def add(variables: Sequence[Any], found: Sequence[Reads]) -> None:
            for v, reads in zip(variables, found, strict=True):
                if not isinstance(v, Literal):
                    uses[v].update(reads)

        add(jaxpr.outvars, results)
        for eqn in reversed(jaxpr.eqns):
            outputs = [uses[v] for v in eqn.outvars]
            program = called(eqn) if any(outputs) else None
            if program is not None:
                add(eqn.invars, self.walk(program.jaxpr, outputs))
            elif any(outputs):
                add(eqn.invars, self._operands(eqn, outputs))
        return [uses[v] for v in jaxpr.invars]

    def _operands(self, eqn: JaxprEqn, outputs: Sequence[Reads]) -> list[Reads]:
        """How the operands of an equation are read, whose results are read so."""
        reads = {way: elements for each in outputs for way, elements in each.items()}
        name, size = eqn.primitive.name, size_of(eqn.outvars[0])
        if name in _COST and name not in _ALWAYS_JOINED:
            is_shared = len({way.loop for way in reads}) > 1
            if is_shared or any(way.is_spread for way in reads):
                reads = self.loop(size)
        elements = sum(reads.values())
        self.repeated += _COST.get(name, 0.0) * max(0.0, elements - size)
        if len(reads) > _WAYS:
            reads = self.loop(elements)
        return [self._operand(eqn, place, reads) for place in range(len(eqn.invars))]

    def _operand(self, eqn: JaxprEqn, place: int, reads: Reads) -> Reads:
        v, name = eqn.invars[place], eqn.primitive.name
        if name in _UNFUSED or (name == "gather" and place > 0):
            return self.loop(size_of(v))
        if _is_read_in_place(eqn, v):
            return reads
        size = size_of(eqn.outvars[0])
        takes_parts = name in _BY_PARTS or name.startswith("reduce")
        is_broadcast = size_of(v) < size and name != "gather" and not takes_parts
        is_spread = is_broadcast and _is_read_in_turns(eqn, v)
        # each element of the operand is read once for all results, or each result reads one anew
        is_read_once = takes_parts or (is_broadcast and not is_spread)
        share = size_of(v) / max(1, size) if is_read_once else 1.0
        return {
            _Way(way.loop, next(self._numbers), way.is_spread or is_spread): share * elements
            for way, elements in reads.items()
        }


def _is_read_in_turns(eqn: JaxprEqn, v: Any) -> bool:
    """Whether a broadcast reads other elements before it reads one again.

    If not, as along the last axis, the compiler takes the reading out of the innermost loop.
    """
    mine, shape = v.aval.shape, output(eqn).shape
    axes = broadcast_in_dim(eqn)[1] if eqn.primitive.name == "broadcast_in_dim" else range(len(mine))
    kept = [axis for axis, d in zip(axes, mine, strict=True) if d > 1]
    spread = [axis for axis, d in enumerate(shape) if d > 1 and axis not in kept]
    return bool(kept and spread) and min(spread) < max(kept)


def _is_read_in_place(eqn: Any, v: Any) -> bool:
    """Whether each element of the result is made of the element of v at the same place."""
    longer = [[d for d in x.aval.shape if d != 1] for x in (v, eqn.outvars[0])]
    return longer[0] == longer[1] and eqn.primitive.name not in _MOVING
