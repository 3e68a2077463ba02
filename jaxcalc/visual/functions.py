"""What is asked of the functions that pictures are made of, and their values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.arguments import dtype_of, function_name, positional_names, require_callable
from jaxcalc.concrete import at_each


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


def names_of(f: Callable[..., Any], default: tuple[str, ...]) -> tuple[str, ...]:
    """How f calls its first arguments, for the labels of axes."""
    names = positional_names(f)[: len(default)]
    return (*names, *default[len(names) :])


def values(f: Callable[..., Any], *points: Any) -> Any:
    """f at each point, as numpy arrays in float64; the coordinates are arrays of one shape."""
    given = [jnp.asarray(x, jnp.result_type(float)) for x in points]
    shape = given[0].shape
    with jax.debug_nans(False):  # a picture may reach beyond the domain of f
        found = at_each(f, *(jnp.ravel(x) for x in given))
    return jax.tree.map(lambda y: np.asarray(y, np.float64).reshape(shape), found)
