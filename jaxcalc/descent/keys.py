"""Random keys among a loss's arguments: every step gets its own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.notes import note
from jaxcalc.descent.leaves import named_leaves
from jaxcalc.engine.jaxprs.source import user_line

_RAW = ((2,), (4,))  # shapes of the raw keys of JAX's generators


def keys_of_step(args: Any, step: Any) -> Any:
    """The arguments with each typed key folded with the number of the step: no two are alike."""

    def folded(leaf: Any) -> Any:
        if not is_key(leaf):
            return leaf
        keys = jax.vmap(lambda key: jax.random.fold_in(key, step))(jnp.ravel(leaf))
        return keys.reshape(leaf.shape)

    return jax.tree.map(folded, args)


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a typed key, as `jax.random.key` makes it, or an array of them."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def is_raw_key(leaf: Any) -> bool:
    """Whether a leaf is what `jax.random.PRNGKey` makes, or cannot be told from it."""
    return getattr(leaf, "dtype", None) == jnp.uint32 and jnp.shape(leaf) in _RAW


def hint_of_raw_keys(api: str, args: tuple[Any, ...]) -> None:
    """Note raw keys: they are arrays of numbers like others, the same in every step."""
    if any(map(is_raw_key, jax.tree.leaves(args))):
        name, leaf = next(found for found in named_leaves("args", args) if is_raw_key(found[1]))
        note(f"{api}: {raw_key_advice(name, leaf)}", where=user_line())


def raw_key_advice(name: str, leaf: Any) -> str:
    """What a raw key is, and what to pass in its place."""
    return (
        f"{name}, uint32{list(jnp.shape(leaf))}, looks like a raw PRNG key, which would be the same in "
        "every step; pass a typed one, jax.random.key(seed), and each step gets its own"
    )
