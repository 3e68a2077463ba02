"""Derivatives at the cost of their structure, run and packed as pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxcalc.flat import Blocks, FlatMap, column_blocks, row_blocks
from jaxcalc.formats.matrix import Jacobian
from jaxcalc.planning.liveness import peak_bytes
from jaxcalc.transforms.fitting import prepare_within
from jaxcalc.transforms.options import Options
from jaxcalc.transforms.prepare import Prepared, prepare_dense
from jaxcalc.transforms.recall import Recall, sight
from jaxcalc.transforms.request import Request


@dataclass(frozen=True)
class Result:
    """What a run gives, as pytrees; the gradient is there for a Hessian only.

    `prepared` is the sparse derivative that gave it, where another call may use it.
    """

    value: Any
    gradient: Any
    aux: Any
    derivative: Any
    prepared: Prepared | None = None


def structured_jacobian(request: Request, *, with_value: bool) -> Result:
    """Value, aux and Jacobian of f in a sparse format."""
    return _sparse(request, "jacobian", with_value=with_value)


def structured_hessian(request: Request, *, with_value: bool) -> Result:
    """Value, gradient, aux and Hessian of a scalar f in a sparse format."""
    return _sparse(request, "hessian", with_value=with_value)


def traced_dense(request: Request, kind: str, *, with_value: bool) -> Result | None:
    """A dense derivative through its structure, inside a trace; None where plain JAX is better.

    Outside of a trace f may branch on values, and may read globals that change between calls: there
    JAX's own transformations, which look at f anew each time, are what `jax.jacfwd` users expect.
    """
    if request.options.mode != "auto" or not request.call.is_inside_a_trace:
        return None
    prepared = prepare_dense(request, kind)
    limit = request.options.memory_limit
    if prepared is None or (limit is not None and peak_bytes(prepared.derivative.program) > limit):
        return None
    run, result = _run(request, prepared, with_value=with_value)
    flat = request.flat(request.call.traced)
    flat.treedef = prepared.outputs.treedef
    if kind == "hessian":
        blocks = [column_blocks(leaf, flat.shapes) for leaf in run]
        derivative = flat.hessian([blocks], [()])
    else:
        derivative = flat.jacobian(_blocks(run, flat, prepared), prepared.outputs.shapes)
    return Result(result.value, result.gradient, result.aux, derivative)


def _blocks(run: Sequence[Any], flat: FlatMap, prepared: Prepared) -> Blocks:
    """The blocks of a Jacobian, for each output leaf and each input leaf."""
    if prepared.derivative.way == "forward":
        return [column_blocks(leaf, flat.shapes) for leaf in run]
    return row_blocks(run, prepared.outputs.shapes)


def _sparse(request: Request, kind: str, *, with_value: bool) -> Result:
    prepared = prepare_within(request, kind, with_value=with_value or request.options.has_aux)
    (values,), result = _run(request, prepared, with_value=with_value)
    derivative = _packed(Jacobian(values, prepared.layout), request.options)
    again = prepared if prepared.is_kept else None
    return Result(result.value, result.gradient, result.aux, derivative, again)


def recalled(
    recall: Recall,
    request: Request,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    evaluate: Callable[..., Result],
    *,
    with_value: bool,
) -> Result:
    """`evaluate(request)`, and a note of it for the next call like this one."""
    options = request.options
    can_recall = options.format != "dense" and not options.has_aux
    seen = sight(request.f, args, kwargs) if can_recall else None
    found = evaluate(request, with_value=with_value)
    if seen is not None and found.prepared is not None:
        compiled = found.prepared.derivative.compiled(with_value=with_value)
        recall.remember(seen, compiled, _pack_again(found.prepared, options, with_value))
    return found


def _pack_again(prepared: Prepared, options: Options, with_value: bool) -> Callable[[list[Any]], Any]:
    """What packs the results of the compiled derivative as the call before packed them."""
    layout, treedef = prepared.layout, prepared.outputs.treedef
    is_bare = options.format == "structured"

    def pack(results: list[Any]) -> Any:
        jacobian = Jacobian.tree_unflatten(layout, (results[0],))  # known to fit, so not checked
        derivative = jacobian if is_bare else jacobian.to_bcoo()
        return (jax.tree.unflatten(treedef, results[1:]), derivative) if with_value else derivative

    return pack


def _run(request: Request, prepared: Prepared, *, with_value: bool) -> tuple[list[Any], Result]:
    need = with_value or request.options.has_aux
    run = prepared.derivative(request.call.traced, with_value=need)
    if not need:
        return run.values, Result(None, None, None, None)
    value = jax.tree.unflatten(prepared.outputs.treedef, run.output)
    gradient = None
    if prepared.derivative.way == "hessian":
        gradient = request.flat(request.call.traced).inputs(run.gradient)
    return run.values, Result(value, gradient, run.aux, None)


def _packed(jacobian: Jacobian, options: Options) -> Any:
    return jacobian if options.format == "structured" else jacobian.to_bcoo()
