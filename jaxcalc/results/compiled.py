"""Compiled functions of a layout's values, kept with the layout.

Static index arrays are passed as arguments, so that they are no constants inside the program: tens of
megabytes of constants slow the compiler down. Each layout has its own compiled functions, and they
are freed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.results.layout import Layout

Kernel = Callable[..., Any]


def compiled(layout: Layout, key: Any, make: Callable[[], tuple[Kernel, list[np.ndarray]]]) -> Kernel:
    """The function that `make` builds for this layout, compiled, and built once for each key.

    Args:
        layout: where the function is kept.
        key: which function of this layout it is.
        make: returns a function and the static arrays that are its first arguments.
    """
    if key not in layout.derived:
        function, arrays = make()
        layout.derived[key] = partial(jax.jit(function), *map(on_device, arrays))
    kernel: Kernel = layout.derived[key]
    return kernel


def on_device(index: np.ndarray) -> jax.Array:
    """A static index array in the device's memory, also when called while tracing.

    Raises:
        ValueError: the array needs 64 bits, which are switched off.
    """
    if index.dtype == np.int64 and (index.size == 0 or index.max() <= np.iinfo(np.int32).max):
        index = index.astype(np.int32)
    if index.dtype == np.int64 and jax.dtypes.canonicalize_dtype(np.int64) != np.int64:
        raise ValueError(
            "jaxcalc.Jacobian: a matrix with 2**31 rows or columns needs 64-bit indices; switch "
            'them on with jax.config.update("jax_enable_x64", True).'
        )
    with jax.ensure_compile_time_eval():
        return jnp.asarray(index)


def gather(array: Any, index: Any) -> Any:
    """`array[index]` along the first axis, for an index that is in range."""
    return array.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def gather_or_zero(array: Any, index: Any) -> Any:
    """`array[index]` along the first axis, and zero where the index is past the end."""
    return array.at[index].get(mode="fill", fill_value=0, wrap_negative_indices=False)
