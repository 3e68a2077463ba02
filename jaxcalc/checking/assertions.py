"""For tests: assert that derivatives are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxcalc.checking.check import check


def assert_derivatives(f: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Assert that the derivative of f is right at these arguments: for tests.

    Args:
        f: the function.
        *args: its arguments.
        **options: the options of `jaxcalc.check`, and keyword arguments of f.

    Returns:
        Nothing.

    Raises:
        DerivativeError: the check failed; an `AssertionError` whose text is the whole report.

    Cost: that of `jaxcalc.check`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxcalc.checking import assert_derivatives
        >>> assert_derivatives(lambda x: jnp.sin(x) @ x, jnp.array([1.0, 2.0]), order=2)
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    report = check(f, *args, **options)
    report.raise_if_failed()
