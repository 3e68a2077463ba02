"""The Hessian: the second derivatives of a scalar function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxcalc.call.arguments import Argnames, Argnums, require_callable
from jaxcalc.call.drop_in import drop_in
from jaxcalc.call.front_door import transformation
from jaxcalc.call.memory import limit_in_bytes
from jaxcalc.call.options import Format, Mode, Options
from jaxcalc.call.request import Request
from jaxcalc.kinds import is_scalar, not_scalar
from jaxcalc.methods.base import Outcome
from jaxcalc.planning.evaluate import evaluate
from jaxcalc.transforms.eager import Direct, transformed


@drop_in
@transformation()
def hessian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames | None = None,
    format: Format = "dense",  # noqa: A002
    mode: Mode = "auto",
    memory_limit: int | str | None = None,
    strict: bool = False,
    progress: bool = False,
) -> Callable[..., Any]:
    """The Hessian of f; a drop-in for `jax.hessian`.

    Args:
        f: a function whose output is one number; as in `jax.hessian`, other outputs work too and
            give the second derivative of each of their elements.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name, or a sequence of names, instead of `argnums`.
        has_aux: whether f returns `(output, aux)`.
        holomorphic: promise that f is holomorphic; inputs and outputs are then complex.
        allow_int: give float0 zeros for integer and boolean leaves rather than an error.
        format: `"dense"`, arrays of shape output shape + input shape + input shape;
            `"structured"`, one `Jacobian`, the N x N matrix of the entries that can be nonzero, and
            `"bcoo"`, those as a `jax.experimental.sparse.BCOO` for each dense array, both for
            functions with scalar output.
        mode: `"auto"` is forward over reverse where f allows both; `"forward"` and `"reverse"`
            take that one twice, which dense results only can. `jax.custom_vjp` functions have a
            forward mode here, as in `jacobian`.
        memory_limit: bytes of workspace beside the result, or a text such as `"1GiB"`. Where the
            cheapest method takes more, products are done a block at a time; if not even that fits, it
            is an error.
        strict: refuse a primitive that has no rule of its own in the structure engine.
        progress: show a bar on standard error while a dense Hessian is made, a block of products at
            a time, which may be interrupted; outside of jit and the like.

    Returns:
        A function of the same arguments as f that returns the Hessian, nested as the chosen
        argument inside the chosen argument inside the output. With `has_aux`, the pair
        `(hessian, aux)`.

    Raises:
        TypeError: an input or an output is of a dtype that has no derivative in this mode.
        ValueError: an option is unknown, or `argnums` or `argnames` do not fit the call.

    Cost: dense, one Hessian-vector product, about 6 evaluations of f, for each input element. The
    sparse formats take about as many as a full row has entries.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> jaxcalc.hessian(lambda x: x[0] ** 2 * x[1])(jnp.array([1.0, 2.0])).tolist()
        [[4.0, 2.0], [2.0, 0.0]]
        >>> chain = lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2)
        >>> jaxcalc.hessian(chain, format="structured")(jnp.ones(1000)).nnz
        2998
    """
    api = "jaxcalc.hessian"
    require_callable(api, f)
    limit = limit_in_bytes(api, memory_limit)
    options = Options(api, has_aux, holomorphic, allow_int, format, mode, limit, strict, progress)

    def outcome(found: Outcome) -> Any:
        return (found.derivative, found.aux) if has_aux else found.derivative

    return transformed(f, options, argnums, argnames, Direct(_evaluate, outcome, kind="hessian"))


@drop_in
@transformation()
def value_gradient_and_hessian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames | None = None,
    format: Format = "dense",  # noqa: A002
    mode: Mode = "auto",
    memory_limit: int | str | None = None,
    strict: bool = False,
    progress: bool = False,
) -> Callable[..., Any]:
    """The value, the gradient and the Hessian of f, from one evaluation of f.

    Takes the arguments of `hessian`, raises what it raises, and costs what it costs. The output of
    f must be a scalar: else it has no gradient, and the error names the right term.

    Returns:
        A function of the same arguments as f that returns `(value, gradient, hessian)`, and
        `((value, aux), gradient, hessian)` with `has_aux`.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> f = lambda x: jnp.sum(x**3)
        >>> value, slope, curvature = jaxcalc.value_gradient_and_hessian(f)(jnp.array([1.0, 2.0]))
        >>> float(value), slope.tolist(), curvature.tolist()
        (9.0, [3.0, 12.0], [[6.0, 0.0], [0.0, 12.0]])
    """
    api = "jaxcalc.value_gradient_and_hessian"
    require_callable(api, f)
    limit = limit_in_bytes(api, memory_limit)
    options = Options(api, has_aux, holomorphic, allow_int, format, mode, limit, strict, progress)

    def outcome(found: Outcome) -> Any:
        return ((found.value, found.aux) if has_aux else found.value), found.gradient, found.derivative

    return transformed(
        f, options, argnums, argnames, Direct(_evaluate_all, outcome, kind="hessian", with_value=True)
    )


def _evaluate(request: Request, *, with_value: bool) -> Outcome:
    """Value, gradient, aux and Hessian in the format asked for, the first two where they are needed."""
    return evaluate(request, "hessian", with_value=with_value)


def _evaluate_all(request: Request, *, with_value: bool) -> Outcome:
    """The same for outputs that have a gradient."""

    def require_scalar(primal: Any, output: Any) -> None:
        if not is_scalar(output):
            raise not_scalar(request.options.api, request.f, primal, output)

    return evaluate(request, "hessian", with_value=with_value, require_output=require_scalar)
