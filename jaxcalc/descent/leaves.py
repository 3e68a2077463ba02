"""Checks of parameters and gradients, leaf by leaf, with errors that name the leaf."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import keystr, tree_flatten_with_path

from jaxcalc.call.arguments import as_float_instead, dtype_of, is_array, is_inexact


def named_leaves(name: str, tree: Any) -> list[tuple[str, Any]]:
    """Each leaf with a name such as `parameters['w']`."""
    return [(name + keystr(path), leaf) for path, leaf in tree_flatten_with_path(tree)[0]]


def require_arrays(api: str, name: str, tree: Any) -> None:
    """Refuse leaves that are no arrays or numbers, naming the leaf."""
    if all(is_array(leaf) for leaf in jax.tree.leaves(tree)):
        return  # names are made only for an error: they would be a third of a short call's overhead
    for path, leaf in named_leaves(name, tree):
        if not is_array(leaf):
            raise TypeError(
                f"{api}: {path} is {leaf!r} of type {type(leaf).__name__}; expected an array, a "
                "number or a pytree of them."
            )


def require_parameters(api: str, parameters: Any) -> None:
    """Refuse parameters that cannot move by small steps, naming the leaf.

    Raises:
        TypeError: a leaf is no array, or is an integer or boolean, which an update would truncate.
    """
    require_arrays(api, "parameters", parameters)
    if all(is_inexact(leaf) for leaf in jax.tree.leaves(parameters)):
        return
    for path, leaf in named_leaves("parameters", parameters):
        if not is_inexact(leaf):
            raise TypeError(
                f"{api}: {path} is {dtype_of(leaf)}, and an update would be truncated to whole "
                f"numbers; {as_float_instead(leaf)}, or keep it out of the parameters and pass "
                "it to the loss as another argument."
            )


def require_gradients(api: str, parameters: Any, gradients: Any) -> None:
    """Refuse gradients that do not belong to these parameters, naming the first leaf that differs.

    Raises:
        TypeError: a leaf is no array, is an integer, or is complex where its parameter is real.
        ValueError: the structures differ, or the shapes of a leaf.
    """
    require_arrays(api, "gradients", gradients)
    _require_same_structure(api, parameters, gradients)
    pairs = zip(
        named_leaves("parameters", parameters), named_leaves("gradients", gradients), strict=True
    )
    for (parameter_path, parameter), (path, gradient) in pairs:
        if jnp.shape(parameter) != jnp.shape(gradient):
            raise ValueError(
                f"{api}: {path} has shape {jnp.shape(gradient)}, but {parameter_path} has shape "
                f"{jnp.shape(parameter)}; each gradient has the shape of its parameter."
            )
        if not is_inexact(gradient):
            raise TypeError(
                f"{api}: {path} is {dtype_of(gradient)}; expected a gradient of a floating dtype."
            )
        if _is_complex(gradient) and not _is_complex(parameter):
            raise TypeError(
                f"{api}: {path} is {dtype_of(gradient)}, but {parameter_path} is "
                f"{dtype_of(parameter)}; a real parameter has a real gradient."
            )


def _is_complex(leaf: Any) -> bool:
    return jnp.issubdtype(dtype_of(leaf), jnp.complexfloating)


def _require_same_structure(api: str, parameters: Any, gradients: Any) -> None:
    expected: Any = jax.tree.structure(parameters)
    given: Any = jax.tree.structure(gradients)
    if expected == given:
        return
    paths = [keystr(path) for path, _ in tree_flatten_with_path(parameters)[0]]
    given_paths = [keystr(path) for path, _ in tree_flatten_with_path(gradients)[0]]
    missing = next((path for path in paths if path not in given_paths), None)
    extra = next((path for path in given_paths if path not in paths), None)
    difference = f"they are {expected} and {given}"
    if missing is not None:
        difference = f"there is no gradient for parameters{missing}"
    elif extra is not None:
        difference = f"there is no parameter for gradients{extra}"
    raise ValueError(
        f"{api}: gradients must have the structure of the parameters, but {difference}; "
        "jaxcalc.gradient(loss)(parameters) has it."
    )
