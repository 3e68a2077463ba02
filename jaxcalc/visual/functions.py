"""What is asked of the functions that pictures are made of, and their values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import inf
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import dtype_of, function_name, positional_names, require_callable
from jaxcalc.call.concretization import at_each


def require_two_numbers(api: str, f: Callable[..., Any], point: tuple[float, float]) -> None:
    """Refuse what is not a function of two numbers that returns one real number."""
    require_callable(api, f)
    advice = "for a function of one array, give lambda x, z: f(jnp.stack([x, z]))"
    try:
        inspect.signature(f).bind(0.0, 0.0)
    except ValueError:  # it has no signature
        pass
    except TypeError as error:
        raise TypeError(
            f"{api}: {function_name(f)} must take two numbers, but {error}; {advice}."
        ) from None
    require_number(api, f, *map(jnp.asarray, point))


def require_number(api: str, f: Callable[..., Any], *args: Any) -> None:
    """Refuse a function that does not return one real number."""
    with jax.debug_nans(False):
        output = f(*args)
    is_number = jax.tree_util.all_leaves([output]) and jnp.shape(output) == ()
    if is_number and jnp.issubdtype(dtype_of(output), jnp.floating):
        return
    shown = jax.tree.map(lambda y: f"{dtype_of(y)}{list(jnp.shape(y))}", output)
    raise TypeError(
        f"{api}: {function_name(f)} must return one real number, but it returned {shown}; give the "
        "element to look at, such as lambda *args: f(*args)[0]."
    )


def require_pair(api: str, name: str, given: Any) -> tuple[float, float]:
    """Two finite numbers."""
    try:
        pair = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        pair = np.zeros(0)
    if pair.shape != (2,) or not np.all(np.isfinite(pair)):
        raise ValueError(f"{api}: {name} must be two finite numbers, got {given!r}.")
    return float(pair[0]), float(pair[1])


def require_limits(api: str, name: str, given: Any) -> tuple[float, float]:
    """Two finite numbers, the smaller one first."""
    low, high = require_pair(api, name, given)
    if not low < high:
        raise ValueError(f"{api}: {name} must rise, got {given!r}.")
    return low, high


def require_positive(api: str, name: str, given: Any) -> None:
    """A positive finite number."""
    if not (isinstance(given, Real) and 0 < float(given) < inf):
        raise ValueError(f"{api}: {name} must be a positive number, got {given!r}.")


def names_of(f: Callable[..., Any], default: tuple[str, ...]) -> tuple[str, ...]:
    """How f calls its first arguments, for the labels of axes."""
    names = positional_names(f)[: len(default)]
    return (*names, *default[len(names) :])


def label_of(f: Callable[..., Any]) -> str:
    """The name of f for a picture; a legend leaves out what begins with an underscore."""
    return function_name(f).lstrip("_") or "f"


def require_slopes(api: str, f: Callable[..., Any], where: str, height: Any, *slopes: Any) -> None:
    """Refuse a point where a value or derivative is not finite: there is no tangent to draw."""
    if not np.isfinite(height):
        problem = f"{function_name(f)} is {float(height)}"
    elif not all(np.isfinite(slope) for slope in slopes):
        problem = f"the derivative of {function_name(f)} is not finite"
    else:
        return
    raise ValueError(f"{api}: {problem} at {where}, so there is no tangent; choose another point.")


def values(f: Callable[..., Any], *points: Any) -> Any:
    """f at each point, as numpy arrays in float64; the coordinates are arrays of one shape."""
    given = [jnp.asarray(x, jnp.result_type(float)) for x in points]
    shape = given[0].shape
    with jax.debug_nans(False):  # a picture may reach beyond the domain of f
        found = at_each(f, *(jnp.ravel(x) for x in given))
    return jax.tree.map(lambda y: np.asarray(y, np.float64).reshape(shape), found)
