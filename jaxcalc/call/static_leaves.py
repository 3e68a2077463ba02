"""What a function returns besides arrays, set aside while JAX transforms the arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

_ARRAY = object()  # where an array was, so that no tracer outlives its trace


@dataclass(frozen=True)
class Aside:
    """A pytree without its arrays."""

    treedef: Any
    leaves: list[Any]

    @property
    def static(self) -> list[Any]:
        """The leaves that are no arrays; None in the place of an array."""
        return [None if leaf is _ARRAY else leaf for leaf in self.leaves]

    def restored(self, arrays: list[Any]) -> Any:
        """The pytree with arrays in their places."""
        remaining = iter(arrays)
        leaves = [next(remaining) if leaf is _ARRAY else leaf for leaf in self.leaves]
        return self.treedef.unflatten(leaves)


def set_aside(tree: Any, is_kept: Callable[[Any], bool]) -> tuple[list[Any], Aside]:
    """The leaves that `is_kept` says are arrays, and the rest of the pytree."""
    leaves, treedef = jax.tree.flatten(tree)
    kept = [is_kept(leaf) for leaf in leaves]
    arrays = [leaf for leaf, on in zip(leaves, kept, strict=True) if on]
    rest = [_ARRAY if on else leaf for leaf, on in zip(leaves, kept, strict=True)]
    return arrays, Aside(treedef, rest)
