"""The arguments to differentiate with respect to: `argnums`, `argnames`, and the leaves inside them.

Every transformation turns `f(*args, **kwargs)` into a function of one pytree, the chosen
arguments; the others are held constant. From there on, JAX's own transformations apply.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import index as as_integer
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.concretization import explained

Argnums = int | Sequence[int]
Argnames = str | Sequence[str]


class ArgumentError(TypeError, ValueError):
    """What `jax.grad` raises a TypeError for and `jax.jacfwd` a ValueError, or the other way round.

    So that code written for either goes on to work: an argument that the call does not pass, one
    that is chosen twice, a function that returns no pair with `has_aux`.
    """


@dataclass(frozen=True)
class Chosen:
    """The arguments that a call differentiates with respect to, apart from those held constant.

    Attributes:
        api: the public name to begin error messages with, e.g. `"jaxcalc.gradient"`.
        call: f as a function of `primal` alone.
        primal: the bare chosen argument, or a tuple of them when several were asked for.
        names: how to call each chosen argument in a message, in the order of `primal`.
        bare: whether `primal` is one argument rather than a tuple.
        arity: how many arguments this call passes to f, chosen or not.
    """

    api: str
    call: Callable[[Any], Any]
    primal: Any
    names: tuple[str, ...]
    bare: bool
    arity: int

    def leaves(self) -> list[tuple[str, Any]]:
        """Each leaf of the chosen arguments, with a name such as `parameters['w']`."""
        if self.bare:
            return _named_leaves(self.names[0], self.primal)
        return [
            leaf
            for name, primal in zip(self.names, self.primal, strict=True)
            for leaf in _named_leaves(name, primal)
        ]

    def name(self, i: int) -> str:
        """How to call leaf i in a message; made when one is written, because it takes time."""
        return self.leaves()[i][0]


def _named_leaves(name: str, tree: Any) -> list[tuple[str, Any]]:
    return [(name + keystr(path), leaf) for path, leaf in tree_flatten_with_path(tree)[0]]


def function_name(f: Callable[..., Any]) -> str:
    """The name of f for a message; a lambda or a partial is just `f`."""
    name = getattr(f, "__name__", "f")
    return name if name.isidentifier() else "f"


def require_callable(api: str, f: Any) -> None:
    """Refuse what is no function, when the transformation is made rather than when it is called."""
    if not callable(f):
        raise TypeError(f"{api}: expected a function to differentiate, got {f!r}.")


def choose(
    api: str,
    f: Callable[..., Any],
    argnums: Argnums,
    argnames: Argnames | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    option: str = "argnums",
) -> Chosen:
    """Split a call of f into the arguments to differentiate with respect to and those held constant.

    `argnames` count where they are given. `option` is what the public function calls `argnums`, for
    messages.

    Raises:
        TypeError: `argnums` or `argnames` are of the wrong type.
        ValueError: a name is unknown, or a position is out of range or repeated
            (the latter two are an `ArgumentError`, which is a TypeError as well).
    """
    if argnames is None:
        places, bare = _places_by_number(api, f, argnums, args, option)
    else:
        places, bare, kwargs = _places_by_name(api, f, argnames, args, kwargs)
    return chosen_at(api, f, places, args, kwargs, bare=bare)


def chosen_at(
    api: str,
    f: Callable[..., Any],
    places: Sequence[int | str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    bare: bool,
    split: Callable[[int | str, Any], tuple[Any, Callable[[Any], Any]]] = lambda _, x: (x, lambda y: y),
) -> Chosen:
    """The arguments at these positions and of these names.

    `split` gives what is chosen of an argument, and what puts the rest beside it again.
    """
    parts = [split(p, args[p] if isinstance(p, int) else kwargs[p]) for p in places]
    values = tuple(value for value, _ in parts)

    def call(primal: Any) -> Any:
        new_args, new_kwargs = list(args), dict(kwargs)
        given = (primal,) if bare else primal
        for place, value, (_, whole) in zip(places, given, parts, strict=True):
            if isinstance(place, int):
                new_args[place] = whole(value)
            else:
                new_kwargs[place] = whole(value)
        with explained(api, function_name(f)):
            return f(*new_args, **new_kwargs)

    return Chosen(
        api=api,
        call=call,
        primal=values[0] if bare else values,
        names=tuple(_place_name(f, place) for place in places),
        bare=bare,
        arity=len(args) + len(kwargs),
    )


def one_spelling(api: str, f: Callable[..., Any], **spellings: Any) -> tuple[str, Any]:
    """What was chosen under one of several names, such as `argnum` and `argnums`, and under which.

    None is not given; positions and names may name the same arguments.

    Raises:
        ValueError: two of them disagree, or none is given.
    """
    given = {option: choice for option, choice in spellings.items() if choice is not None}
    if not given:
        raise ValueError(f"{api}: give one of {', '.join(spellings)}.")
    names = positional_names(f)
    (option, first), *others = given.items()
    for other, choice in others:
        if _numbered(choice, names) != _numbered(first, names):
            raise ValueError(
                f"{api}: got {option}={first!r} and {other}={choice!r}, which disagree; give one of "
                "them."
            )
    return option, first


def _numbered(choice: Any, names: list[str]) -> list[Any]:
    """Positions in the place of names, as a list."""
    listed = list(choice) if isinstance(choice, list | tuple) else [choice]
    return [names.index(c) if isinstance(c, str) and c in names else c for c in listed]


def one_argument(
    api: str, f: Callable[..., Any], argnum: Any, argnums: Any, argnames: Any, otherwise: str
) -> Callable[[tuple[Any, ...], dict[str, Any]], Chosen]:
    """How a call is split by the one argument that was chosen, under whichever name.

    Raises:
        TypeError: several were chosen; `otherwise` is what to use then.
        ValueError: two choices disagree.
    """
    if argnum is None and argnums is None and argnames is None:
        argnum = 0
    option, place = one_spelling(api, f, argnum=argnum, argnums=argnums, argnames=argnames)
    if isinstance(place, Sequence) and not isinstance(place, str):
        what = "name" if option == "argnames" else "integer"
        raise TypeError(
            f"{api}: {option} must be one {what}, got {place!r}; for several arguments use "
            f"jaxcalc.gradient or {otherwise}."
        )
    number, name = (0, place) if option == "argnames" else (place, None)
    return lambda args, kwargs: choose(api, f, number, name, args, kwargs, option)


def positional_names(f: Callable[..., Any]) -> list[str]:
    """The names of the parameters that a call can fill by position; empty when f has no signature."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, p in parameters(f).items() if p.kind in kinds]


def parameters(f: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of f by name; none when f has no signature."""
    try:
        return dict(inspect.signature(f).parameters)
    except (TypeError, ValueError):  # builtins and some callables have no signature
        return {}


def _place_name(f: Callable[..., Any], place: int | str) -> str:
    if isinstance(place, str):
        return place
    names = positional_names(f)
    return names[place] if place < len(names) else f"argument {place}"


_BY_NAME = {
    "argnums": "choose by name with argnames",
    "argnum": "choose by name with argnames",
    "wrt": "choose by name",
}


def _places_by_number(
    api: str, f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], option: str
) -> tuple[list[int | str], bool]:
    listed = not hasattr(argnums, "__index__") or np.ndim(argnums) > 0
    try:
        given: Any = argnums if listed else (argnums,)
        numbers = [as_integer(n) for n in given]
    except TypeError:
        hint = f" To choose by name: argnames={argnums!r}." if isinstance(argnums, str) else ""
        raise TypeError(
            f"{api}: {option} must be an integer or a sequence of integers, got {argnums!r}.{hint}"
        ) from None
    if not numbers:
        raise ValueError(f"{api}: {option} is empty; give at least one position.")
    for n in numbers:
        if not -len(args) <= n < len(args):
            known = ", ".join(repr(name) for name in positional_names(f))
            hint = f" (or {_BY_NAME[option]}, one of {known})" if known else ""
            raise ArgumentError(
                f"{api}: {option}={argnums!r} asks for position {n}, but this call passes "
                f"{len(args)} positional argument(s); pass that argument by position{hint}."
            )
    places: list[int | str] = [n % len(args) for n in numbers]
    _require_distinct(api, f"{option}={argnums!r}", places)
    return places, not listed


def _places_by_name(
    api: str,
    f: Callable[..., Any],
    argnames: Argnames,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[list[int | str], bool, dict[str, Any]]:
    bare = isinstance(argnames, str)
    names = [argnames] if isinstance(argnames, str) or not isinstance(argnames, Iterable) else argnames
    names = list(names)
    if not all(isinstance(name, str) for name in names):
        hint = f" To choose by position: argnums={argnames!r}." if isinstance(argnames, int) else ""
        raise TypeError(
            f"{api}: argnames must be a name or a sequence of names, got {argnames!r}.{hint}"
        )
    if not names:
        raise ValueError(f"{api}: argnames is empty; give at least one name.")
    positions = {name: n for n, name in enumerate(positional_names(f)) if n < len(args)}
    known = parameters(f)
    kwargs = dict(kwargs)
    places: list[int | str] = []
    for name in names:
        if name not in kwargs and name in positions:
            places.append(positions[name])
            continue
        if name not in kwargs:
            kwargs[name] = _default(api, f, name, known, kwargs)
        places.append(name)
    _require_distinct(api, f"argnames={argnames!r}", places)
    return places, bare, kwargs


def _default(
    api: str,
    f: Callable[..., Any],
    name: str,
    parameters: dict[str, inspect.Parameter],
    kwargs: dict[str, Any],
) -> Any:
    """The default of a parameter that the call left out, which is its value here."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    known = [n for n, p in parameters.items() if p.kind not in variadic]
    known += [n for n in kwargs if n not in known]
    if name not in known:
        listing = ", ".join(repr(n) for n in known) or "none that can be named"
        raise ValueError(
            f"{api}: {function_name(f)} has no argument named {name!r}; its arguments: {listing}."
        )
    parameter = parameters[name]
    if parameter.default is inspect.Parameter.empty or (
        parameter.kind is inspect.Parameter.POSITIONAL_ONLY
    ):
        raise ValueError(
            f"{api}: this call leaves out the argument {name!r} that the derivative is taken "
            "with respect to; pass it by position or by keyword."
        )
    return parameter.default


def _require_distinct(api: str, given: str, places: list[int | str]) -> None:
    if len(set(places)) != len(places):
        raise ArgumentError(f"{api}: {given} names an argument twice; each may appear once.")


def dtype_of(leaf: Any) -> Any:
    """The dtype that JAX gives a leaf: an array, a tracer or a Python number."""
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf is real or complex, so that a derivative with respect to it exists."""
    return jnp.issubdtype(dtype_of(leaf), jnp.inexact)


def require_differentiable(
    chosen: Chosen,
    *,
    holomorphic: bool,
    allow_int: bool,
    allow_complex: bool = True,
    has_allow_int: bool = True,
) -> None:
    """Refuse chosen arguments that no derivative can be taken with respect to, naming the leaf.

    `has_allow_int` says whether the public function has that option, which the message then names.

    Raises:
        TypeError: a leaf is no array, is an integer or boolean without `allow_int`, is complex
            where only a real one has a derivative, or is real under `holomorphic`.
    """
    for i, leaf in enumerate(jax.tree.leaves(chosen.primal)):
        if not is_array(leaf):
            raise TypeError(
                f"{chosen.api}: {chosen.name(i)} is {leaf!r} of type {type(leaf).__name__}; expected "
                "an array, a number or a pytree of them."
            )
        dtype = dtype_of(leaf)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            if not (holomorphic or allow_complex):
                raise TypeError(
                    f"{chosen.api}: {chosen.name(i)} is {dtype}; a complex input needs "
                    "holomorphic=True (for a holomorphic function), mode='reverse' for a function "
                    "with real output, or real and imaginary parts as two inputs."
                )
        elif jnp.issubdtype(dtype, jnp.floating):
            if holomorphic:
                raise TypeError(
                    f"{chosen.api}: holomorphic=True requires complex inputs, but {chosen.name(i)} is "
                    f"{dtype}; convert it (x + 0j), or leave holomorphic out."
                )
        elif not allow_int:
            raise TypeError(
                _no_derivative_by(chosen.api, chosen.name(i), leaf, has_allow_int=has_allow_int)
            )


def _no_derivative_by(api: str, name: str, leaf: Any, *, has_allow_int: bool) -> str:
    dtype = dtype_of(leaf)
    advice = "choose another argument"
    if has_allow_int:
        advice = (
            "choose other arguments with argnums or argnames, or set allow_int=True for float0 zeros "
            "there"
        )
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return (
            f"{api}: {name} is {dtype}, and a derivative with respect to a random key does not exist; "
            f"{advice}."
        )
    instead = as_float_instead(leaf)
    return (
        f"{api}: {name} is {dtype}, and a derivative with respect to an integer or boolean does not "
        f"exist. {instead[0].upper()}{instead[1:]}, {'or ' if not has_allow_int else ''}{advice}."
    )


def as_float_instead(leaf: Any) -> str:
    """What to write in the place of an integer, which people mean as a real number."""
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        return f"write {float(leaf)!r} instead of {leaf!r}"
    return "convert it to a floating dtype"


def is_array(leaf: Any) -> bool:
    """Whether JAX can hold a leaf: an array, a tracer, an abstract shape or a Python number."""
    if isinstance(leaf, bool | int | float | complex):
        return True
    if not (hasattr(leaf, "dtype") and hasattr(leaf, "shape")):
        return False
    return not jnp.issubdtype(leaf.dtype, np.flexible) and leaf.dtype != object


def split_inexact(tree: Any) -> tuple[list[Any], Callable[..., Any]]:
    """The real and complex leaves of a pytree, and `rebuild(new)`, which puts new ones in their place.

    `rebuild(new, integer=g)` puts `g(leaf)` where an integer or boolean leaf was; without it the
    leaf itself stays.
    """
    leaves, treedef = jax.tree.flatten(tree)
    inexact = [is_inexact(leaf) for leaf in leaves]

    def rebuild(new: Sequence[Any], integer: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
        remaining = iter(new)
        filled = [
            next(remaining) if chosen else integer(leaf)
            for leaf, chosen in zip(leaves, inexact, strict=True)
        ]
        return jax.tree.unflatten(treedef, filled)

    return [leaf for leaf, chosen in zip(leaves, inexact, strict=True) if chosen], rebuild
