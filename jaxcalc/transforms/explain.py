"""What a derivative will do, and why, before it runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import Argnames, Argnums, function_name, require_callable
from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.front_door import examination
from jaxcalc.call.memory import limit_in_bytes
from jaxcalc.call.options import Format, Mode, Options
from jaxcalc.call.request import Query, Request
from jaxcalc.engine.jaxprs import cost
from jaxcalc.kinds import Kind, kind_of
from jaxcalc.methods.once import recording
from jaxcalc.methods.structured import Structured
from jaxcalc.planning.candidates import survey
from jaxcalc.planning.choose import prepare
from jaxcalc.planning.explanation import Explanation
from jaxcalc.planning.findings import Measured
from jaxcalc.planning.leaf_blocks import blocks_of
from jaxcalc.results.layout import Layout
from jaxcalc.transforms.hessian import hessian
from jaxcalc.transforms.jacobian import jacobian

_RUNS = 7


@examination
def explain(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    argnames: Argnames | None = None,
    order: int = 1,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    format: Format = "structured",  # noqa: A002
    mode: Mode = "auto",
    memory_limit: int | str | None = None,
    strict: bool = False,
    analyze: bool = False,
    **kwargs: Any,
) -> Explanation:
    """What kind of derivative f has, its structure, how it will be computed, and what each line costs.

    Args:
        f: any function that JAX can trace.
        *args: its arguments: arrays, numbers, or `jax.ShapeDtypeStruct`s in their place.
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name or names, instead of `argnums`.
        order: 1 for `jacobian`, 2 for `hessian`.
        has_aux: f returns `(output, aux)`.
        holomorphic: f is holomorphic, as for `jacobian`.
        allow_int: integer arguments are allowed, as for `jacobian`.
        format: the format of the result; `"dense"` is explained as it runs under `jax.jit`.
        mode: the direction, as for `jacobian`.
        memory_limit: bytes of workspace, or a text such as `"1GiB"`, as for `jacobian`.
        strict: what would be treated as dense is an error, as for `jacobian`.
        analyze: also compile and run it, and put times and the compiled program's memory beside the
            estimates. Shapes are filled with zeros.
        **kwargs: keyword arguments of f.

    Returns:
        An `Explanation`: it prints as a text, is a table in notebooks, and has `to_dict()`.

    Raises:
        TypeError: an argument or an output has no derivative, or f needs concrete values.
        ValueError: an option is unknown, or `argnums`, `argnames` or `order` do not fit; no method is
            possible, as `jacobian` or `hessian` would say.

    Cost: the trace of the derivative in every direction, and numpy work on its entries; no evaluation
    of f unless `analyze` is set.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> found = jaxcalc.explain(lambda x: x[1:] * x[:-1], jnp.ones(1000))
        >>> found.term, found.pattern.nnz, found.chosen.name, found.chosen.products
        ('Jacobian', 1998, 'structured, forward', 2)
    """
    api = "jaxcalc.explain"
    require_callable(api, f)
    if order not in (1, 2):
        raise ValueError(f"{api}: order must be 1 (Jacobian) or 2 (Hessian), got {order!r}.")
    limit = limit_in_bytes(api, memory_limit)
    options = Options(api, has_aux, holomorphic, allow_int, format, mode, limit, strict)
    request = recording(Request.of(f, options, argnums, argnames, args, kwargs))
    if analyze and request.call.is_inside_a_trace:
        raise ValueError(
            f"{api}: analyze=True runs the derivative, which cannot be done while it is traced. Call "
            "explain outside of jax.jit and other transformations, or leave analyze out."
        )
    kind: Query = "jacobian" if order == 1 else "hessian"
    try:
        found = survey(request, kind)
    except UNTRACEABLE as error:
        raise _untraceable(request, error) from error
    described = _kind(request)
    layout = _layout(request, kind, found.known)
    chosen = found.known if found.methods[0].name == found.lines_of else None
    return Explanation(
        term="Hessian" if order == 2 else described.name,
        map=described.map,
        format=format,
        pattern=None if layout is None else layout.pattern,
        methods=found.methods,
        parts=found.parts,
        blocks=() if layout is None else blocks_of(layout),
        lines=found.lines,
        lines_of=found.lines_of,
        branches=found.branches,
        fallbacks=() if chosen is None else tuple(dict.fromkeys(chosen.derivative.fallbacks)),
        measured=_measure(request, order) if analyze else None,
    )


def _kind(request: Request) -> Kind:
    chosen = request.chosen(request.call.traced)

    def output(traced: Any) -> Any:
        flat = request.flat(traced)
        return flat.value(flat(flat.leaves)[0])

    shapes = jax.eval_shape(output, request.call.traced)
    return kind_of(chosen.primal, shapes, bare=chosen.bare, arity=chosen.arity)


def _untraceable(request: Request, error: Exception) -> TypeError:
    return TypeError(
        f"{request.options.api}: what a derivative takes is found before it runs, but "
        f"{function_name(request.f)} needs a concrete value while it is traced "
        f"({str(error).splitlines()[0]}). Write a branch on values with lax.cond or jnp.where, a loop "
        "with lax.while_loop or lax.scan."
    )


def _layout(request: Request, kind: Query, known: Structured | None) -> Layout | None:
    """Where the entries are; None where that is not known."""
    if known is None or not known.derivative.is_dense:
        return None if known is None else known.layout
    sparse = replace(request, options=replace(request.options, format="structured", mode="auto"))
    try:
        return prepare(sparse, kind).layout
    except ValueError:  # too dense for entries
        return None


def _measure(request: Request, order: int) -> Measured:
    """Compile and run the derivative as a call under `jax.jit` does."""
    transform = jacobian if order == 1 else hessian
    o = request.options
    by_position = request.argnames is None
    which = {"argnums": request.argnums} if by_position else {"argnames": request.argnames}
    derivative = transform(
        request.f,
        **which,
        format=o.format,
        has_aux=o.has_aux,
        holomorphic=o.holomorphic,
        allow_int=o.allow_int,
        mode=o.mode,
        memory_limit=o.memory_limit,
        strict=o.strict,
    )
    given = [
        jnp.zeros(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x
        for x in request.call.traced
    ]

    def run(traced: Any) -> Any:
        args, kwargs = request.call.rebuild(traced)
        found = derivative(*args, **kwargs)
        return found[0] if o.has_aux else found

    def value(traced: Any) -> Any:
        args, kwargs = request.call.rebuild(traced)
        result = request.f(*args, **kwargs)
        return result[0] if o.has_aux else result

    start = time.perf_counter()
    traced = jax.jit(run).trace(given)
    compiled = traced.lower().compile()
    to_compile = time.perf_counter() - start
    memory = compiled.memory_analysis()
    plain = jax.jit(value).lower(given).compile()
    return Measured(
        seconds=_median_time(compiled, given),
        seconds_of_f=_median_time(plain, given),
        seconds_to_compile=to_compile,
        estimated_seconds=1e-9 * cost.work(traced.jaxpr.jaxpr),
        workspace=None if memory is None else int(memory.temp_size_in_bytes),
        output=None if memory is None else int(memory.output_size_in_bytes),
    )


def _median_time(function: Callable[[Any], Any], traced: Any) -> float:
    jax.block_until_ready(function(traced))
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        jax.block_until_ready(function(traced))
        times.append(time.perf_counter() - start)
    return statistics.median(times)
