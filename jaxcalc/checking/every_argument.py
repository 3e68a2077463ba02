"""The default choice of `check` and `diagnose`: every argument that has a derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxcalc.call.arguments import (
    Argnames,
    Argnums,
    Chosen,
    choose,
    chosen_at,
    dtype_of,
    is_array,
    is_inexact,
)
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE

Place = int | str


def choose_every(
    api: str,
    f: Callable[..., Any],
    argnums: Argnums | None,
    argnames: Argnames | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    holomorphic: bool = False,
) -> Chosen:
    """The arguments that are asked for, else all those with a leaf of floating or complex dtype.

    Other leaves are held constant. So are numbers of Python that f cannot be traced by, where there
    are arrays as well: they are options rather than variables. With `holomorphic`, only arguments with
    complex leaves are chosen.
    """
    if argnums is not None or argnames is not None:
        return choose(api, f, 0 if argnums is None else argnums, argnames, args, kwargs)
    every: list[tuple[Place, Any]] = [*enumerate(args), *kwargs.items()]
    places = [place for place, x in every if _has_derivative(x, holomorphic=holomorphic)]
    if not places:
        return choose(api, f, 0, None, args, kwargs)  # whose errors tell what is the matter
    arrays = [place for place, x in every if place in places and _holds_an_array(x)]
    if 0 < len(arrays) < len(places) and not _is_traceable(_at(api, f, places, args, kwargs)):
        places = arrays
    return _at(api, f, places, args, kwargs)


def _at(
    api: str,
    f: Callable[..., Any],
    places: Sequence[Place],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Chosen:
    return chosen_at(api, f, places, args, kwargs, bare=len(places) == 1, split=_split)


def _has_derivative(tree: Any, *, holomorphic: bool) -> bool:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if is_array(leaf) and is_inexact(leaf)]
    if holomorphic:
        return any(jax.numpy.issubdtype(dtype_of(leaf), jax.numpy.complexfloating) for leaf in leaves)
    return bool(leaves)


def _holds_an_array(tree: Any) -> bool:
    return any(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(tree))


def _is_traceable(chosen: Chosen) -> bool:
    leaves, treedef = jax.tree.flatten(chosen.primal)

    def call(some: list[Any]) -> Any:
        given = iter(some)
        whole = [next(given) if is_inexact(leaf) else leaf for leaf in leaves]
        return chosen.call(jax.tree.unflatten(treedef, whole))

    try:
        jax.make_jaxpr(call)([leaf for leaf in leaves if is_inexact(leaf)])
    except (*PERHAPS_UNTRACEABLE, TypeError, ValueError):  # it may be an argument that jit holds static
        return False
    return True


def _split(place: Place, tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The leaves of an argument that are chosen, and what puts the others beside them.

    Of the first argument integers are chosen too: whoever passes them there is told of them.
    """
    leaves, treedef = jax.tree.flatten(tree)
    chosen = [is_array(leaf) and (place == 0 or is_inexact(leaf)) for leaf in leaves]
    if all(chosen):
        return tree, lambda whole: whole
    kept = [leaf if on else None for leaf, on in zip(leaves, chosen, strict=True)]

    def whole(part: Any) -> Any:
        given = iter(jax.tree.leaves(part))
        filled = [next(given) if on else leaf for leaf, on in zip(leaves, chosen, strict=True)]
        return jax.tree.unflatten(treedef, filled)

    return jax.tree.unflatten(treedef, kept), whole
