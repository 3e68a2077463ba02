"""The pattern of a derivative, without evaluating anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxcalc.call.arguments import Argnames, Argnums, require_callable
from jaxcalc.call.front_door import examination
from jaxcalc.call.options import Options
from jaxcalc.call.request import Request
from jaxcalc.methods.once import recording
from jaxcalc.planning.choose import prepare
from jaxcalc.results.pattern import SparsityPattern


@examination
def sparsity(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    argnames: Argnames | None = None,
    order: int = 1,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    **kwargs: Any,
) -> SparsityPattern:
    """Which entries of the Jacobian, or of the Hessian, of f can be nonzero.

    The pattern is sound: it misses no entry that is nonzero for some input of these shapes, also
    where it happens to be zero at this one. It is found from the operations of f, so an entry that
    cancels is kept.

    Args:
        f: any function that JAX can trace, of any pytrees; its output is a scalar for `order=2`.
        *args: its arguments: arrays, numbers, or `jax.ShapeDtypeStruct`s in their place. Integers
            and integer arrays with known values are part of the structure.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name or names, instead of `argnums`.
        order: 1 for the Jacobian, 2 for the Hessian.
        has_aux: f returns `(output, aux)`; aux is not looked at.
        holomorphic: promise that f is holomorphic; inputs and outputs are then complex.
        allow_int: integer and boolean leaves may be chosen, which take no columns.
        **kwargs: keyword arguments of f.

    Returns:
        The pattern of the M x N matrix, rows and columns in the order of
        `jax.flatten_util.ravel_pytree`; static, in numpy.

    Raises:
        TypeError: an argument or an output has no derivative, or f needs concrete values.
        ValueError: `argnums`, `argnames` or `order` do not fit.

    Cost: a trace of the derivative and numpy work on its entries; no evaluation of f.

    Example:
        >>> import jax, jax.numpy as jnp, jaxcalc
        >>> x = jax.ShapeDtypeStruct((4,), jnp.float32)
        >>> pattern = jaxcalc.sparsity(lambda x: x[1:] * x[:-1], x)
        >>> pattern.nnz, pattern.todense().astype(int).tolist()
        (6, [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])
    """
    api = "jaxcalc.sparsity"
    require_callable(api, f)
    if order not in (1, 2):
        raise ValueError(f"{api}: order must be 1 (Jacobian) or 2 (Hessian), got {order!r}.")
    options = Options(api, has_aux, holomorphic, allow_int, "structured", "auto", None, False)
    request = recording(Request.of(f, options, argnums, argnames, args, kwargs))
    return prepare(request, "jacobian" if order == 1 else "hessian").layout.pattern
