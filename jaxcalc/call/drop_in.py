"""What the signatures of JAX's transformations have and those of jaxcalc spell otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def drop_in(transformation: Callable[P, R]) -> Callable[P, R]:
    """Lets a transformation be called as JAX's is, by keywords too: `fun=` is f.

    `reduce_axes`, which JAX refuses unless it is empty, is refused with what to do.
    """
    api = f"jaxcalc.{transformation.__name__}"

    @wraps(transformation)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if "fun" in kwargs:
            if args or "f" in kwargs:
                raise TypeError(f"{api}: the function is given twice, as f and as fun; give it once.")
            kwargs["f"] = kwargs.pop("fun")
        if kwargs.pop("reduce_axes", ()):
            raise NotImplementedError(
                f"{api}: reduce_axes is gone, here as in JAX; leave it out, and sum over the axis of a "
                "mapped function with jax.lax.psum."
            )
        return transformation(*args, **kwargs)

    return called


def require_booleans(api: str, **options: Any) -> None:
    """Refuse options that are neither True nor False, such as a name that went into the wrong place.

    Raises:
        TypeError: naming the option and what was given.
    """
    for name, given in options.items():
        is_flag = isinstance(given, bool | np.bool_) or (isinstance(given, int) and given in (0, 1))
        if not is_flag:
            raise TypeError(f"{api}: {name} must be True or False, got {given!r}.")
