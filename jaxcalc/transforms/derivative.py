"""Derivatives with respect to a scalar argument, of any order, and partial derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import (
    Argnames,
    Argnums,
    Chosen,
    choose,
    dtype_of,
    function_name,
    one_argument,
    one_spelling,
    require_callable,
    require_differentiable,
)
from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.flatten import require_differentiable_output, split_aux
from jaxcalc.call.front_door import transformation
from jaxcalc.kinds import kind_of
from jaxcalc.methods import taylor


@transformation()
def derivative(
    f: Callable[..., Any],
    argnum: int | None = None,
    *,
    order: int = 1,
    has_aux: bool = False,
    argnums: int | None = None,
    argnames: str | None = None,
) -> Callable[..., Any]:
    """The derivative of `f` with respect to a scalar argument, of any order.

    Args:
        f: a function whose argument `argnum` is a real scalar (a float or an array of shape `()`).
            Its output may be a number, an array of any shape, or a pytree: a curve R -> R^3 has a
            derivative too.
        argnum: position of the argument to differentiate with respect to; the others are held
            constant. The first one without it.
        order: how many times to differentiate, 1 or more.
        has_aux: whether f returns `(output, aux)`.
        argnums: the same as `argnum`, under the name that it has everywhere else.
        argnames: its name, in the place of its position.

    Returns:
        A function of the same arguments as f that returns the derivative, of the structure, shapes
        and dtypes of f's output; with `has_aux`, the pair `(derivative, aux)`.

    Raises:
        TypeError: the argument is not a scalar (the error names `gradient` or `jacobian`, as fits),
            or is an integer, a boolean or complex.
        ValueError: `order` is less than 1, `argnum` is out of range, a name is unknown, or two
            choices of the argument disagree.

    Cost: order 1 is one Jacobian-vector product, about 2 evaluations of f. Order n propagates a
    truncated Taylor series, O(n^2) evaluations of f at most, where nesting costs O(2^n). Method:
    Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 13.

    Example:
        >>> import jaxcalc
        >>> f = lambda x: 2 * x**3 + 5
        >>> float(jaxcalc.derivative(f)(2.0))  # 6 x^2
        24.0
        >>> float(jaxcalc.derivative(f, order=2)(2.0))  # 12 x
        24.0
    """
    api = "jaxcalc.derivative"
    require_callable(api, f)
    require_booleans(api, has_aux=has_aux)
    if not _is_integer(order) or order < 1:
        raise ValueError(f"{api}: order must be an integer of 1 or more, got {order!r}.")
    times = int(order)
    choice = one_argument(api, f, argnum, argnums, argnames, "jaxcalc.partial_derivative")

    @wraps(f)
    def derivative_f(*args: Any, **kwargs: Any) -> Any:
        chosen = choice(args, kwargs)
        _require_scalar(chosen, f, has_aux)
        return _nth(chosen, times, has_aux)

    return derivative_f


def _is_integer(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


@transformation("f, wrt")
def partial_derivative(
    f: Callable[..., Any],
    wrt: int | str | Sequence[int | str] | None = None,
    *,
    has_aux: bool = False,
    argnums: Argnums | None = None,
    argnames: Argnames | None = None,
) -> Callable[..., Any]:
    """The partial derivative of `f` with respect to a scalar argument, the others held constant.

    Args:
        f: a function of several arguments, any output.
        wrt: the argument to differentiate with respect to: its position or its name. A sequence gives
            the mixed partial derivative: `("x", "z")` is d/dz of d/dx, `("x", "x")` the second one.
        has_aux: whether f returns `(output, aux)`.
        argnums: `wrt` as positions alone; a sequence is a mixed derivative here too.
        argnames: `wrt` as names alone.

    Returns:
        A function of the same arguments as f that returns the partial derivative, of the structure,
        shapes and dtypes of f's output; with `has_aux`, the pair `(partial derivative, aux)`.

    Raises:
        TypeError: the argument is not a scalar, or is an integer, a boolean or complex.
        ValueError: the name is unknown (the error lists the known ones) or the position out of
            range, `wrt` is empty, not given, or disagrees with `argnums` or `argnames`.

    Cost: about 2 evaluations of f for each different argument in `wrt`, multiplied together.

    Example:
        >>> import jaxcalc
        >>> f = lambda x, z: 4 * x**4 * z**3
        >>> float(jaxcalc.partial_derivative(f, "x")(1.0, 2.0))  # 16 x^3 z^3
        128.0
        >>> float(jaxcalc.partial_derivative(f, ("x", "z"))(1.0, 2.0))  # 48 x^3 z^2
        192.0
    """
    api = "jaxcalc.partial_derivative"
    require_callable(api, f)
    require_booleans(api, has_aux=has_aux)
    option, choice = one_spelling(api, f, wrt=wrt, argnums=argnums, argnames=argnames)
    places = _places(api, option, choice)

    @wraps(f)
    def partial_derivative_f(*args: Any, **kwargs: Any) -> Any:
        # each layer differentiates the one inside it; repeats of one argument are one Taylor series
        layers = [(place, len(list(run))) for place, run in groupby(places)]
        return _mixed(api, f, layers, option, has_aux)(*args, **kwargs)

    return partial_derivative_f


def _places(api: str, option: str, choice: Any) -> list[int | str]:
    """The arguments to differentiate with respect to, in turn.

    Raises:
        TypeError: they are not what `option` takes.
        ValueError: there are none.
    """
    places = list(choice) if isinstance(choice, Sequence) and not isinstance(choice, str) else [choice]
    if not places:
        what = {"wrt": "a position or a name", "argnums": "a position", "argnames": "a name"}[option]
        raise ValueError(f"{api}: {option} is empty; give {what}.")
    numbers = all(map(_is_integer, places))
    names = all(isinstance(place, str) for place in places)
    if option == "argnums" and not numbers:
        hint = f" To choose by name: argnames={choice!r}." if names else ""
        raise TypeError(
            f"{api}: argnums must be an integer or a sequence of integers, got {choice!r}.{hint}"
        )
    if option == "argnames" and not names:
        raise TypeError(f"{api}: argnames must be a name or a sequence of names, got {choice!r}.")
    if not all(isinstance(place, str) or _is_integer(place) for place in places):
        raise TypeError(f"{api}: wrt must be a position, a name or a sequence of them, got {choice!r}.")
    return places


def _mixed(
    api: str,
    f: Callable[..., Any],
    layers: list[tuple[int | str, int]],
    option: str,
    has_aux: bool,
) -> Callable[..., Any]:
    """Differentiate with respect to each `(argument, order)` in turn."""
    for place, order in layers:
        f = _layer(api, f, place, order, option, has_aux)
    return f


def _layer(
    api: str, f: Callable[..., Any], place: int | str, order: int, option: str, has_aux: bool
) -> Callable[..., Any]:
    @wraps(f)  # the signature of f, so that an outer layer finds its argument by name
    def layer(*args: Any, **kwargs: Any) -> Any:
        number, name = (0, place) if isinstance(place, str) else (place, None)
        chosen = choose(api, f, number, name, args, kwargs, option)
        _require_scalar(chosen, f, has_aux)
        return _nth(chosen, order, has_aux)

    return layer


def _nth(chosen: Chosen, order: int, has_aux: bool) -> Any:
    def call(x: Any) -> tuple[Any, Any]:
        output, aux = split_aux(chosen.api, chosen.call(x), has_aux)
        leaves, treedef = jax.tree.flatten(output)
        require_differentiable_output(chosen.api, leaves, treedef, holomorphic=False)
        return output, aux

    result, aux = taylor.nth_derivative(chosen.api, call, chosen.primal, order)
    return (result, aux) if has_aux else result


def _require_scalar(chosen: Chosen, f: Callable[..., Any], has_aux: bool) -> None:
    leaves = chosen.leaves()
    require_differentiable(chosen, holomorphic=False, allow_int=False, has_allow_int=False)
    if not leaves:
        raise TypeError(
            f"{chosen.api}: {chosen.names[0]} is {chosen.primal!r}, which holds no number to "
            "differentiate with respect to."
        )
    if len(leaves) != 1 or leaves[0][1] is not chosen.primal or jnp.ndim(chosen.primal) != 0:
        raise TypeError(_not_by_a_scalar(chosen, f, has_aux))
    if jnp.issubdtype(dtype_of(chosen.primal), jnp.complexfloating):
        raise TypeError(
            f"{chosen.api}: {chosen.names[0]} is {dtype_of(chosen.primal)}; for the derivative of a "
            "holomorphic function use jaxcalc.jacobian(f, holomorphic=True)."
        )


def _not_by_a_scalar(chosen: Chosen, f: Callable[..., Any], has_aux: bool) -> str:
    def output(primal: Any) -> Any:
        return split_aux(chosen.api, chosen.call(primal), has_aux)[0]

    start = f"{chosen.api}: needs a scalar to differentiate with respect to, but"
    try:
        kind = kind_of(chosen.primal, jax.eval_shape(output, chosen.primal), bare=False)
    except PERHAPS_UNTRACEABLE:  # f needs concrete values: what it maps to is not known
        return f"{start} {chosen.names[0]} is none; use jaxcalc.gradient or jaxcalc.jacobian."
    return (
        f"{start} {function_name(f)} maps {kind.map} ({kind.spaces}) for {chosen.names[0]}: its "
        f"derivative is a {kind.name}; use {kind.call}."
    )
