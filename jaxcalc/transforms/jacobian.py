"""The Jacobian: the derivative of functions between tensors of any rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxcalc.call.arguments import Argnames, Argnums, require_callable
from jaxcalc.call.drop_in import drop_in, require_booleans
from jaxcalc.call.front_door import transformation
from jaxcalc.call.memory import limit_in_bytes
from jaxcalc.call.options import Format, Mode, Options
from jaxcalc.call.request import Request
from jaxcalc.methods.base import Outcome
from jaxcalc.planning.diagonal import evaluate_diagonal, require_alone
from jaxcalc.planning.evaluate import evaluate
from jaxcalc.planning.submatrix import Indices, evaluate_part
from jaxcalc.transforms.eager import Direct, transformed


@drop_in
@transformation()
def jacobian(
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
    rows: Indices | None = None,
    columns: Indices | None = None,
    diagonal: bool = False,
    progress: bool = False,
) -> Callable[..., Any]:
    """The (generalized) Jacobian of f; a drop-in for `jax.jacfwd` and `jax.jacrev`.

    Args:
        f: a function of arrays, tensors or pytrees of them, whose output is any of these.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name, or a sequence of names, instead of `argnums`. A name may be passed by
            position or by keyword at the call.
        has_aux: whether f returns `(output, aux)`.
        holomorphic: promise that f is holomorphic; inputs and outputs are then complex.
        allow_int: give float0 zeros for integer and boolean leaves rather than an error.
        format: `"dense"`, arrays of shape output shape + input shape; `"structured"`, one
            `Jacobian`, the M x N matrix of the entries that can be nonzero; `"bcoo"`, those as a
            `jax.experimental.sparse.BCOO` for each dense array. The last two cost what the
            structure of the derivative costs: nothing is declared or colored.
        mode: `"forward"` is `jax.jacfwd`, `"reverse"` is `jax.jacrev`, `"auto"` takes the cheaper
            one that f allows. Forward mode works through `jax.custom_vjp` functions too, by the
            transpose of their backward rule, so that a function with such a part and a `while_loop`
            has a derivative, though JAX differentiates it in neither mode. A dense Jacobian goes in
            reverse, at up to twice the products, where roots of padding or of masked numbers make
            forward mode NaN.
        memory_limit: bytes of workspace beside the result, or a text such as `"1GiB"`. Where the
            cheapest method takes more, products are done a block at a time, or in the other direction;
            less than that needs is an error.
        strict: refuse a primitive that has no rule of its own in the structure engine.
        rows: the numbers of the output elements to differentiate, in any order and with repetitions,
            known when f is traced: those of the M x N matrix that `format="structured"` gives.
            Negative ones count from the end. Without it: all.
        columns: likewise the numbers of the input elements to differentiate with respect to.
        diagonal: give the entries [p, p] of the M x N matrix alone, as one array `[min(M, N)]`. They
            come from the structure where that is cheap, else from a product for each of them, with no
            more memory than `memory_limit`.
        progress: show a bar on standard error while a dense Jacobian is made, a block of products at
            a time, which may be interrupted; outside of jit and the like. f is then cut at no
            bottleneck.

    Returns:
        A function of the same arguments as f that returns the Jacobian: for each leaf of the
        output, nested as the output, a pytree like the chosen argument whose leaves have the shape
        output shape + input shape. With `rows` or `columns`, that part of the M x N matrix instead:
        one array, BCOO or `Jacobian` of shape `[len(rows), len(columns)]`. With `has_aux`, the pair
        `(jacobian, aux)`.

    Raises:
        TypeError: an input or an output is of a dtype that has no derivative in this mode.
        ValueError: an option is unknown, or `argnums` or `argnames` do not fit the call; the
            derivative is too dense for a sparse format.
        IndexError: there is no such row or column.
        NotImplementedError: under `strict`, a primitive has no rule, or the backward rule of a
            `jax.custom_vjp` function is not linear in forward mode.

    Cost: `"structured"` and `"bcoo"` propagate the entries of the derivative through f, about as many
    evaluations of f as there are entries in a full row (or column), once the structure is known: it
    is found at the first call for these shapes and kept. Dense forward mode takes one
    Jacobian-vector product (about 2 evaluations of f) for each input element, reverse mode one
    vector-Jacobian product (about 3) for each output element. f itself is evaluated once; a function
    that cannot be traced (Python control flow on values) twice. A part costs what the Jacobian of a
    function with that many inputs and outputs costs.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> f = lambda x: jnp.stack([x[0] * x[1], x[1] ** 2])
        >>> jaxcalc.jacobian(f)(jnp.array([2.0, 3.0])).tolist()
        [[3.0, 2.0], [0.0, 6.0]]
        >>> jaxcalc.jacobian(lambda x: x[1:] * x[:-1], format="structured")(jnp.ones(1000)).nnz
        1998
        >>> jaxcalc.jacobian(f, rows=[-1], columns=[1, 0])(jnp.array([2.0, 3.0])).tolist()
        [[6.0, 0.0]]
        >>> jaxcalc.jacobian(f, diagonal=True)(jnp.array([2.0, 3.0])).tolist()
        [3.0, 6.0]
    """
    api = "jaxcalc.jacobian"
    require_callable(api, f)
    limit = limit_in_bytes(api, memory_limit)
    options = Options(api, has_aux, holomorphic, allow_int, format, mode, limit, strict, progress)
    evaluate_it = _evaluator(options, rows, columns, diagonal=diagonal)

    def outcome(found: Outcome) -> Any:
        return (found.derivative, found.aux) if has_aux else found.derivative

    return transformed(f, options, argnums, argnames, Direct(evaluate_it, outcome))


@drop_in
@transformation()
def value_and_jacobian(
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
    rows: Indices | None = None,
    columns: Indices | None = None,
    diagonal: bool = False,
    progress: bool = False,
) -> Callable[..., Any]:
    """The value and the Jacobian of f, from one evaluation of f.

    Takes the arguments of `jacobian`, raises what it raises, and costs what it costs.

    Returns:
        A function of the same arguments as f that returns `(value, jacobian)`, and
        `((value, aux), jacobian)` with `has_aux`.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> value, slope = jaxcalc.value_and_jacobian(jnp.sin)(jnp.zeros(2))
        >>> value.tolist(), slope.tolist()
        ([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    api = "jaxcalc.value_and_jacobian"
    require_callable(api, f)
    limit = limit_in_bytes(api, memory_limit)
    options = Options(api, has_aux, holomorphic, allow_int, format, mode, limit, strict, progress)
    evaluate_it = _evaluator(options, rows, columns, diagonal=diagonal)

    def outcome(found: Outcome) -> Any:
        return ((found.value, found.aux) if has_aux else found.value), found.derivative

    return transformed(f, options, argnums, argnames, Direct(evaluate_it, outcome, with_value=True))


def _evaluator(
    options: Options, rows: Indices | None, columns: Indices | None, *, diagonal: bool
) -> Callable[..., Outcome]:
    """What makes the Jacobian, or the part of it that is asked for."""
    require_booleans(options.api, diagonal=diagonal)
    if diagonal:
        require_alone(options, rows, columns)
        return evaluate_diagonal
    return evaluate_part(options.api, rows, columns, _evaluate)


def _evaluate(request: Request, *, with_value: bool) -> Outcome:
    """Value, aux and Jacobian in the format asked for; the value may be None when it is not needed."""
    return evaluate(request, "jacobian", with_value=with_value)
