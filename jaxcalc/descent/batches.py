"""Which data each step sees: everything, shuffled minibatches, or batches that the user iterates."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.descent.keys import is_raw_key, raw_key_advice
from jaxcalc.descent.leaves import named_leaves, require_arrays

Access = Literal["whole", "rows", "stream"]

CHUNK = 1024  # steps in one compiled call, at most
_INDEX_ELEMENTS = 2**21  # minibatch indices sent to the device at a time
_STACK_BYTES = 2**25  # batches of an iterable stacked at a time
_STACK_STEPS = 64


@dataclass(frozen=True)
class Batches:
    """Minibatches of the data in memory, reshuffled every epoch.

    Attributes:
        size: examples in a minibatch. Every array among the loss's arguments has the examples along
            its leading axis; arguments of shape `()` go to every minibatch as they are.
        seed: the shuffle of epoch e is `numpy.random.default_rng((seed, e)).permutation(examples)`.
        shuffle: whether to shuffle; without it every epoch goes through the data in order.

    An epoch has `examples // size` minibatches; the examples left over sit that epoch out.

    Example:
        >>> from jaxcalc import descent
        >>> descent.Batches(2, shuffle=False).rows(step=3, examples=5).tolist()
        [2, 3]
    """

    size: int
    seed: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("seed", 0)):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
                raise ValueError(
                    f"jaxcalc.descent.Batches: {name} must be an integer of {least} or more, got "
                    f"{given!r}."
                )

    def rows(self, step: int, examples: int) -> np.ndarray:
        """The examples that the step (counted from 0) sees, as positions along the leading axis."""
        epoch, place = divmod(step, examples // self.size)
        return self._order(epoch, examples)[place * self.size : (place + 1) * self.size]

    def _order(self, epoch: int, examples: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(examples, dtype=np.int32)
        order = np.random.default_rng((self.seed, epoch)).permutation(examples)
        return order.astype(np.int32)

    def span(self, start: int, count: int, examples: int) -> np.ndarray:
        """The rows of `count` steps from `start`, one line a step."""
        each = examples // self.size
        epochs = range(start // each, (start + count - 1) // each + 1)
        lines = [self._order(e, examples)[: each * self.size].reshape(each, -1) for e in epochs]
        offset = start - epochs[0] * each
        return np.concatenate(lines)[offset : offset + count]


@dataclass(frozen=True)
class Items:
    """The data of some steps, in one array each, padded to the length of a chunk with the last."""

    data: Any
    count: int
    ended: bool = False


class Whole:
    """Every step sees all arguments."""

    access: Access = "whole"
    length = CHUNK

    def items(self, start: int, count: int) -> Items:
        """Nothing to choose."""
        del start
        return Items(None, count)

    def last(self) -> Any:
        """Nothing to choose."""
        return None


class Rows:
    """Every step sees some rows of the arguments."""

    access: Access = "rows"

    def __init__(self, api: str, batches: Batches, args: tuple[Any, ...]) -> None:
        self.batches = batches
        self.examples = _examples(api, batches, args)
        self.length = max(1, min(CHUNK, _INDEX_ELEMENTS // batches.size))
        self._last: np.ndarray | None = None

    def items(self, start: int, count: int) -> Items:
        """The rows of `count` steps."""
        data = np.empty((self.length, self.batches.size), np.int32)
        data[:count] = self.batches.span(start, count, self.examples)
        data[count:] = data[count - 1]
        self._last = data[count - 1]
        return Items(data, count)

    def last(self) -> Any:
        """The rows of the latest step again."""
        assert self._last is not None
        return np.broadcast_to(self._last, (self.length, self.batches.size))


class Stream:
    """Every step sees the next batch of an iterable."""

    access: Access = "stream"

    def __init__(self, api: str, batches: Iterable[Any]) -> None:
        self.api, self.batches = api, batches
        self._iterator: Iterator[Any] = iter(batches)
        self._again = self._iterator is not batches  # a one-shot iterator cannot start again
        self._waiting: Any = self._pull()
        if self._waiting is None:
            raise ValueError(f"{api}: batches is an iterable that gives no batch.")
        size = sum(np.size(leaf) * _itemsize(leaf) for leaf in jax.tree.leaves(self._waiting))
        self.length = int(max(1, min(_STACK_STEPS, _STACK_BYTES // max(1, size))))
        self._last: Any = None

    def items(self, start: int, count: int) -> Items:
        """The next batches, stacked: as many as there are, up to the first of another shape."""
        del start
        batches: list[Any] = []
        while len(batches) < count:
            if self._waiting is None:
                self._waiting = self._pull()
            if self._waiting is None:
                break
            if batches and _signature(self._waiting) != _signature(batches[0]):
                return Items(self._stacked(batches), len(batches))
            batches.append(self._waiting)
            self._waiting = None
        if not batches:
            return Items(None, 0, ended=True)
        return Items(self._stacked(batches), len(batches))

    def last(self) -> Any:
        """The latest batch again."""
        return _stack([self._last] * self.length)

    def _stacked(self, batches: list[Any]) -> Any:
        self._last = batches[-1]
        return _stack(batches + [batches[-1]] * (self.length - len(batches)))

    def _pull(self) -> Any:
        batch = next(self._iterator, None)
        if batch is None and self._again:
            self._iterator = iter(self.batches)
            batch = next(self._iterator, None)
        if batch is None:
            return None
        if not isinstance(batch, tuple | list):
            raise TypeError(
                f"{self.api}: each batch must be a tuple of the loss's arguments after the "
                f"parameters, got {type(batch).__name__}; for one argument give (batch,)."
            )
        require_arrays(self.api, "batch", batch)
        return tuple(batch)


Source = Whole | Rows | Stream


def source_of(api: str, batches: Any, args: tuple[Any, ...]) -> Source:
    """Read the `batches` argument of `minimize`.

    Raises:
        TypeError: it is neither None, an integer, `Batches` nor an iterable.
        ValueError: a minibatch does not fit the data.
    """
    if batches is None:
        return Whole()
    if isinstance(batches, Batches):
        return Rows(api, batches, args)
    if not isinstance(batches, bool | str) and hasattr(batches, "__index__"):
        return Rows(api, Batches(operator.index(batches)), args)
    if isinstance(batches, Iterable) and not isinstance(batches, str | bytes | dict):
        return Stream(api, batches)
    raise TypeError(
        f"{api}: batches must be None (all data in every step), a batch size, "
        f"jaxcalc.descent.Batches(size, seed=...) or an iterable of tuples, got {batches!r}."
    )


def _examples(api: str, batches: Batches, args: tuple[Any, ...]) -> int:
    leaves = [(name, leaf) for name, leaf in named_leaves("args", args) if jnp.ndim(leaf) > 0]
    if not leaves:
        raise ValueError(
            f"{api}: batches={batches!r} needs data: arguments of the loss, after the parameters, "
            "with examples along their leading axis."
        )
    name, first = leaves[0]
    examples = jnp.shape(first)[0]
    for other, leaf in leaves:
        if is_raw_key(leaf) and jnp.shape(leaf)[0] != examples:
            raise ValueError(f"{api}: {raw_key_advice(other, leaf)}.")
        if jnp.shape(leaf)[0] != examples:
            raise ValueError(
                f"{api}: with batches, all arguments have the examples along their leading axis, but "
                f"{name} has {examples} and {other} has {jnp.shape(leaf)[0]}."
            )
    if batches.size > examples:
        raise ValueError(
            f"{api}: a batch of {batches.size} is larger than the data, {examples} examples ({name})."
        )
    return examples


def _itemsize(leaf: Any) -> int:
    return int(getattr(getattr(leaf, "dtype", None), "itemsize", 8))


def _signature(batch: Any) -> Any:
    leaves, treedef = jax.tree.flatten(batch)
    return treedef, [(jnp.shape(leaf), getattr(leaf, "dtype", type(leaf))) for leaf in leaves]


def _stack(batches: list[Any]) -> Any:
    def stack(*leaves: Any) -> Any:
        on_device = any(isinstance(leaf, jax.Array) for leaf in leaves)
        return jnp.stack(leaves) if on_device else np.stack(leaves)

    return jax.tree.map(stack, *batches)
