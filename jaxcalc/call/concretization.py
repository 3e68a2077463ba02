"""Functions that need the value of an argument, where JAX has a tracer for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# what tracing raises when f needs a concrete value: `if x > 0`, `int(x)`, `numpy.asarray(x)`
UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
# a traced slice bound is an IndexError and a traced shape a TypeError, which may be errors of f's own
# too: whoever catches these calls f on values next, where an error of its own is raised again
PERHAPS_UNTRACEABLE = (*UNTRACEABLE, IndexError, TypeError)


@contextmanager
def explained(api: str, name: str) -> Iterator[None]:
    """Around a call of the user's function: JAX's error for a missing value gets a note on why."""
    try:
        yield
    except UNTRACEABLE as error:
        if not hasattr(error, "__notes__"):
            error.add_note(
                f"{api}: {name} needs the value of an argument, for which a tracer stands. Functions "
                "of numpy and math, float(), int(), .item() and branches on values need it: use "
                "jax.numpy, jnp.where or lax.cond, or differentiate with respect to other arguments."
            )
        raise


def require_values(api: str, *arguments: Any) -> None:
    """Refuse tracers and shapes where the numbers themselves are looked at."""
    for leaf in jax.tree.leaves(arguments):
        if isinstance(leaf, jax.core.Tracer | jax.ShapeDtypeStruct):
            what = "traced" if isinstance(leaf, jax.core.Tracer) else "a shape alone"
            raise TypeError(
                f"{api}: an argument is {what} ({leaf.dtype}{list(leaf.shape)}), whose value is not "
                "known. Call it with arrays, outside of jit, vmap and other transformations; f itself "
                "may use them."
            )


def at_each(f: Callable[..., Any], *points: Any) -> Any:
    """f at each point, stacked: all at once, or one by one where f needs their values.

    Each of `points` has the points on its first axis.
    """
    try:
        return jax.vmap(f)(*points)
    except PERHAPS_UNTRACEABLE:
        found = [f(*point) for point in zip(*points, strict=True)]
        return jax.tree.map(lambda *outputs: _stacked(outputs), *found)


def _stacked(outputs: tuple[Any, ...]) -> Any:
    if any(isinstance(output, jax.core.Tracer) for output in outputs):
        return jnp.stack(outputs)
    # thousands of operands would take XLA many seconds
    return jnp.asarray(np.stack([np.asarray(output) for output in outputs]))
