"""What public functions say of calls that miss their signature: a pair of parentheses, another name.

Every public function goes through one of three decorators, which keep its signature: `transformation`
for those that take a function and return one, `examination` for those that take a function and its
arguments, `options` for the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import parameters
from jaxcalc.call.transformation import Transformation

P = ParamSpec("P")
R = TypeVar("R")

# What people type, by what it is called here. Of several the first that a function has is meant, so
# that `argnum` is `argnums` where that is the name, and `wrt` either of them.
_MEANT = [
    (["argnums"], "argnum"),
    (["argnums or argnames"], "wrt arg args argument arguments variable variables var vars by"),
    (["argnums"], "wrt arg args argument arguments variable variables var vars by"),
    (["argnames"], "argname names name"),
    (["format='bcoo'", "format='structured'"], "sparse sparsity bcoo structured dense fmt"),
    (["mode='forward'"], "fwd forward forward_mode jvp"),
    (["mode='reverse'"], "rev reverse backward reverse_mode vjp"),
    (["mode"], "direction strategy method"),
    (["has_aux"], "aux hasaux"),
    (["memory_limit"], "memory max_memory chunk_size limit mem_limit"),
    (["order"], "n nth degree"),
    (["diagonal"], "diag"),
    (["rows"], "row"),
    (["columns"], "cols col column"),
    (["tolerance"], "tol rtol atol eps epsilon gtol"),
    (["raises"], "throw raise_error raise_if_failed"),
    (["seed"], "key rng random_state"),
    (["step"], "h dx eps epsilon step_size stepsize delta"),
    (["steps"], "h n num_steps nsteps n_steps max_steps maxiter max_iter niter iterations epochs"),
    (["learning_rate"], "lr eta rate step_size"),
    (["optimizer"], "lr eta rate learning_rate step_size opt optim optimiser"),
    (["batches"], "batch batch_size batchsize minibatch"),
    (["progress"], "verbose show_progress bar tqdm pbar"),
    (["callback_every"], "every log_every"),
    (["ax"], "axes axis figure"),
    (["f"], "fun func function fn"),
    (["loss"], "f fun func function fn loss_fn"),
]
_OF_OTHERS = {  # options that one looks for in the wrong function
    **dict.fromkeys(
        ("diagonal", "rows", "columns"),
        "an option of jaxcalc.jacobian; for a Hessian: jaxcalc.jacobian(jaxcalc.gradient(f), {}=...)",
    ),
    **dict.fromkeys(("format", "mode", "memory_limit", "strict"), "an option of jaxcalc.jacobian"),
    "order": "an option of jaxcalc.derivative; the second one of many variables is jaxcalc.hessian",
}
_ALIKE = 0.75  # how much of a name must be there for it to be a slip of the keyboard


def transformation(
    given: str = "f", at: str = "x"
) -> Callable[[Callable[P, Callable[..., Any]]], Callable[P, Callable[..., Any]]]:
    """For public functions that take a function and return one, which is called in its turn.

    `given` and `at` are what stands in the two pairs of parentheses, for messages.
    """

    def decorate(function: Callable[P, Callable[..., Any]]) -> Callable[P, Callable[..., Any]]:
        api, known = public_name(function), _names(function)
        positional = sum(p.kind is not p.KEYWORD_ONLY for p in _parameters(function))
        hint = f"did you mean {function.__name__}({given})({at})?"

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> Callable[..., Any]:
            f = args[0] if args else kwargs.get(given.split(",", maxsplit=1)[0])
            unknown = [name for name in kwargs if name not in known]
            if unknown and callable(f) and unknown[0] in _names(f):
                raise TypeError(f"{api}: {unknown[0]} is an argument of the function; {hint}")
            _refuse_unknown(api, unknown, known)
            if callable(f):
                point = next(filter(_is_point, args[1:]), None)
                if point is None and len(args) > positional:
                    point = args[-1]
                if point is not None:
                    raise TypeError(f"{api}: got {_in_words(point)} beside the function; {hint}")
            _refuse_both(api, dict(zip(known, args, strict=False)) | kwargs)
            made = function(*args, **kwargs)
            options: dict[str, Any] = dict(zip(known, args, strict=False)) | kwargs
            first = options.pop(given.split(",", maxsplit=1)[0])
            Transformation(api, called, first, options).attach(made)
            return made

        return called

    return decorate


def examination(function: Callable[P, R]) -> Callable[P, R]:
    """For public functions that take a function and its arguments, keywords of it among them."""
    api, known = public_name(function), _names(function)
    name = function.__name__

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        f = args[0] if args else kwargs.get("f")
        unknown = [keyword for keyword in kwargs if keyword not in known]
        if callable(f) and len(args) <= 1 and not unknown and kwargs.get("argnames") is None:
            raise TypeError(f"{api}: {name} takes the arguments of f too: {name}(f, x).")
        strange = [keyword for keyword in unknown if not _accepts(f, keyword)]
        suggested = [keyword for keyword in strange if _meant(keyword, known)]
        _refuse_both(api, kwargs)
        _refuse_unknown(api, suggested, known)  # any other is a mistake that f itself tells
        return function(*args, **kwargs)

    return called


def options(function: Callable[P, R]) -> Callable[P, R]:
    """For public functions with keywords of their own alone."""
    api, known = public_name(function), _names(function)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        _refuse_unknown(api, [name for name in kwargs if name not in known], known)
        return function(*args, **kwargs)

    return called


def public_name(function: Callable[..., Any]) -> str:
    """The name that users import: `jaxcalc.gradient`, `jaxcalc.numerical.gradient`."""
    part = function.__module__.split(".")[1]
    inside = f"{part}." if part in {"descent", "numerical", "visual"} else ""
    return f"jaxcalc.{inside}{function.__name__}"


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    found = parameters(function).values()
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _names(function: Callable[..., Any]) -> list[str]:
    return [p.name for p in _parameters(function) if p.kind is not p.POSITIONAL_ONLY]


def _accepts(f: Any, keyword: str) -> bool:
    """Whether f may take a keyword; yes, where its signature does not say."""
    try:
        parameters = inspect.signature(f).parameters
    except (TypeError, ValueError):
        return True
    return keyword in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _refuse_unknown(api: str, unknown: list[str], known: Iterable[str]) -> None:
    if not unknown:
        return
    meant = _meant(unknown[0], known)
    others = _OF_OTHERS.get(unknown[0], "").format(unknown[0])
    advice = (
        f"did you mean {meant}?"
        if meant
        else f"it is {others}."
        if others
        else f"it takes {', '.join(known)}."
    )
    raise TypeError(f"{api}: unknown keyword {unknown[0]}; {advice}")


def _refuse_both(api: str, given: Mapping[str, Any]) -> None:
    """Refuse positions and names of arguments in one call, equal or not."""
    argnums, argnames = given.get("argnums"), given.get("argnames")
    if not (argnums is None or argnames is None):
        raise ValueError(
            f"{api}: got both argnums={argnums!r} and argnames={argnames!r}; give one of them."
        )


def _meant(keyword: str, known: Iterable[str]) -> str:
    """What a keyword is called here, perhaps with its value; empty where nothing is like it."""
    known = list(known)
    for spellings, typed in _MEANT:
        has_all = all(word.partition("=")[0] in known for word in spellings[0].split(" or "))
        if has_all and keyword.lower() in typed.split():
            return " or ".join(spellings)
    return next(iter(get_close_matches(keyword, known, 1, _ALIKE)), "")


def _is_point(given: Any) -> bool:
    """Whether something is a place to differentiate at, rather than an option: floats, or an array."""
    return any(
        isinstance(leaf, float | complex)
        or (isinstance(leaf, jax.Array) and np.ndim(leaf) > 0)
        or (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact))
        for leaf in jax.tree.leaves(given)
    )


def _in_words(given: Any) -> str:
    if hasattr(given, "dtype") and hasattr(given, "shape"):
        return f"{given.dtype}[{','.join(map(str, given.shape))}]"
    text = repr(given)
    return text if len(text) <= 40 else f"a {type(given).__name__}"  # on one line
