"""The limit that a derivative is: difference quotients for falling steps, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcalc.call.arguments import choose, dtype_of, require_callable, require_differentiable
from jaxcalc.call.concretization import at_each
from jaxcalc.call.front_door import options
from jaxcalc.display.tables import Table, as_html
from jaxcalc.transforms import derivative as exact_derivative

_API = "jaxcalc.numerical.difference_quotients"
_HEAD = ("step h", "forward", "error", "central", "error")  # of the table
_WIDTHS = (9, 12, 12, 12, 12)
_FORMS = (".1e", ".6g", ".1e", ".6g", ".1e")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class DifferenceQuotients:
    """Difference quotients for falling steps; `print` shows them as a table. A pytree.

    Attributes:
        steps: `[k]`, the steps h, falling.
        forward: `[k, *output shape]`, (f(x + h) - f(x)) / h.
        central: `[k, *output shape]`, (f(x + h) - f(x - h)) / 2h.
        exact: `[*output shape]`, the derivative.
        forward_error: `[k, *output shape]`, |forward - exact|.
        central_error: `[k, *output shape]`, |central - exact|.
    """

    steps: Any
    forward: Any
    central: Any
    exact: Any
    forward_error: Any
    central_error: Any

    def __str__(self) -> str:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(self)):
            return repr(self)
        return _table(self)

    def _repr_html_(self) -> str | None:
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(self)):
            return None
        rows = [
            [f"{number:{form}}" for number, form in zip(row, _FORMS, strict=True)]
            for row in _rows(self)
        ]
        return as_html(Table(_foot(self), _HEAD, rows, _HEAD))


@options
def difference_quotients(
    f: Callable[[Any], Any], x: Any, steps: Sequence[float] | Any | None = None
) -> DifferenceQuotients:
    """Forward and central difference quotients of `f` at `x` for falling steps, with their errors.

    The error falls with h as the quotients are truncated Taylor series: by h for the forward one, by
    h^2 for the central one. Then it rises again, by 1/h, as the difference of two nearly equal values
    is mostly what they were rounded by.

    Args:
        f: a function of one real scalar that returns a number or an array, differentiable by JAX.
        x: a real scalar.
        steps: positive numbers, falling. The default is powers of ten, from 0.1 down to about the
            spacing of floats near 1: 1e-16 in float64, 1e-7 in float32, 1e-4 in float16, 1e-3 in
            bfloat16.

    Returns:
        A `DifferenceQuotients` of arrays in the dtype of f's output; the steps are in that of x.

    Raises:
        TypeError: x is not a real scalar, or f does not return one real or complex array.
        ValueError: the steps are not positive, not falling, not one-dimensional, or not
            representable in the dtype of x.

    Cost: 2 k + 1 evaluations of f for k steps, vectorized where f can be traced, and the exact
    derivative, about 2 more. Method: the definition of the derivative; the exact one is
    `jaxcalc.derivative`.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> table = jaxcalc.numerical.difference_quotients(jnp.exp, 0.0, [0.5, 0.25, 0.125])
        >>> print(table)
           step h     forward       error     central       error
          5.0e-01     1.29744     3.0e-01     1.04219     4.2e-02
          2.5e-01      1.1361     1.4e-01     1.01045     1.0e-02
          1.2e-01     1.06519     6.5e-02     1.00261     2.6e-03
        exact derivative: 1
        >>> bool(table.central_error[1] < table.forward_error[1])
        True
    """
    return quotients(_API, f, x, steps)


def quotients(api: str, f: Callable[[Any], Any], x: Any, steps: Any) -> DifferenceQuotients:
    """The same for the public function `api`, which messages name."""
    require_callable(api, f)
    chosen = choose(api, f, 0, None, (x,), {})
    require_differentiable(chosen, holomorphic=False, allow_int=False, has_allow_int=False)
    x = _scalar(api, x)
    falling = _steps(api, steps, x)

    def value(point: Any) -> Any:
        output = f(point)
        if not jax.tree_util.all_leaves([output]) or not jnp.issubdtype(dtype_of(output), jnp.inexact):
            shapes = jax.tree.map(lambda y: f"{dtype_of(y)}{list(jnp.shape(y))}", output)
            raise TypeError(
                f"{api}: f must return one floating-point array or number, but it returned {shapes}."
            )
        return jnp.asarray(output)

    exact = exact_derivative(value)(x)
    with jax.debug_nans(False):  # x - h may be outside the domain of f
        here = value(x)
        ahead, behind = at_each(value, x + falling), at_each(value, x - falling)
        # real, as wide as the output and with an axis for each of its own
        h = falling.astype(jnp.finfo(here.dtype).dtype).astype(here.dtype)
        h = jnp.expand_dims(h, tuple(range(1, here.ndim + 1)))
        forward = (ahead - jnp.expand_dims(here, 0)) / h
        central = (ahead - behind) / (2 * h)
        limit = jnp.expand_dims(exact, 0)
        errors = jnp.abs(forward - limit), jnp.abs(central - limit)
    return DifferenceQuotients(falling, forward, central, exact, *errors)


def _scalar(api: str, x: Any) -> Any:
    if jnp.shape(x) != ():
        raise TypeError(
            f"{api}: x must be a scalar, got {dtype_of(x)}{list(jnp.shape(x))}; for one element of "
            "an array, let f put the scalar into its place."
        )
    if not jnp.issubdtype(dtype_of(x), jnp.floating):
        raise TypeError(f"{api}: x is {dtype_of(x)}; expected a real number.")
    return jnp.asarray(x)


def _steps(api: str, steps: Any, x: Any) -> Any:
    """The steps in the dtype of x; steps that are traced are taken as they are."""
    if steps is None:
        decades = int(-np.log10(float(jnp.finfo(x.dtype).eps))) + 1
        return jnp.asarray(10.0 ** -np.arange(1.0, decades + 1), x.dtype)
    if isinstance(steps, jax.core.Tracer):
        return steps.astype(x.dtype)
    try:
        given = np.asarray(steps, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{api}: steps must be a sequence of numbers, got {steps!r}.") from None
    if given.ndim != 1 or not given.size:
        raise ValueError(f"{api}: steps must be a sequence of numbers, got shape {list(given.shape)}.")
    if not (np.all(np.isfinite(given)) and np.all(given > 0) and np.all(np.diff(given) < 0)):
        raise ValueError(f"{api}: steps must be positive, finite and falling, got {given.tolist()}.")
    result = jnp.asarray(given, x.dtype)
    if not np.all(np.isfinite(result)) or not np.all(np.asarray(result) > 0):
        raise ValueError(
            f"{api}: steps from {given[0]:g} to {given[-1]:g} do not fit into {x.dtype}, the dtype of "
            "x; leave out those that become zero or infinite there."
        )
    return result


def _rows(quotients: DifferenceQuotients) -> list[tuple[Any, ...]]:
    """Step, forward quotient and its error, central one and its; of an array, the largest error."""
    columns: list[Any] = [np.asarray(quotients.steps, np.float64)]
    for value, error in (
        (quotients.forward, quotients.forward_error),
        (quotients.central, quotients.central_error),
    ):
        rows = len(columns[0])
        flat = np.abs(np.asarray(error, np.float64)).reshape(rows, -1)
        worst = np.argmax(np.where(np.isnan(flat), np.inf, flat), axis=1)
        kind = np.complex128 if np.iscomplexobj(np.asarray(value)) else np.float64
        values = np.asarray(value).astype(kind).reshape(rows, -1)
        columns += [values[range(rows), worst], flat[range(rows), worst]]
    return list(zip(*columns, strict=True))


def _table(quotients: DifferenceQuotients) -> str:
    """One line for each step."""
    lines = ["".join(f"{name:>{width}}" for name, width in zip(_HEAD, _WIDTHS, strict=True))]
    for row in _rows(quotients):
        cells = zip(row, _WIDTHS, _FORMS, strict=True)
        lines.append("".join(f"{number:>{width}{form}}" for number, width, form in cells))
    return "\n".join([*lines, _foot(quotients)])


def _foot(quotients: DifferenceQuotients) -> str:
    exact = np.asarray(quotients.exact)
    if exact.ndim == 0:
        return f"exact derivative: {exact.item():.10g}"
    return f"exact derivative: {exact.size} elements; each line shows the one of largest error"
