"""Derivatives in the format that is asked for: chosen, run, and packed as pytrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax

from jaxcalc.call.flatten import Blocks, FlatMap, as_forward_types, column_blocks, row_blocks
from jaxcalc.call.memory import in_words
from jaxcalc.call.options import Options
from jaxcalc.call.request import Query, Request
from jaxcalc.methods.base import Outcome
from jaxcalc.methods.batch_size import require_fitting_result
from jaxcalc.methods.failures import Failures
from jaxcalc.methods.problem import DirectProblem
from jaxcalc.methods.structured import Structured
from jaxcalc.planning.choose import (
    dense_methods,
    first_possible,
    prepare,
    prepare_dense,
    prepare_within,
    require_fitting,
)
from jaxcalc.results.formats import SPARSE
from jaxcalc.results.jacobian import Jacobian
from jaxcalc.space import as_dtype


@dataclass(frozen=True)
class FromStructure(Outcome):
    """What the run of a sparse derivative gives.

    Attributes:
        prepared: what gave it, where another call may use it; else None.
    """

    prepared: Structured | None


def evaluate(
    request: Request,
    kind: Query,
    *,
    with_value: bool,
    require_output: Callable[[Any, Any], None] | None = None,
) -> Outcome:
    """The derivative that a call asks for; value and gradient may be missing without `with_value`.

    `require_output(primal, output)` may refuse the output of a dense Hessian.
    """
    if request.options.format != "dense":
        return _sparse(request, kind, with_value=with_value)
    failures = Failures(request.options.api)
    found = _traced_dense(request, kind, failures, with_value=with_value)
    if found is None:
        problem = DirectProblem(request, kind, failures, require_output)
        require_fitting(problem, lambda: in_other_formats(request, kind))
        found = first_possible(problem, dense_methods(problem), lambda method: method.run())[1]
    failures.tell()
    return found


def _traced_dense(
    request: Request, kind: Query, failures: Failures, *, with_value: bool
) -> Outcome | None:
    """A dense derivative through its structure, inside a trace; None where plain JAX is better.

    Outside of a trace f may branch on values, and may read what changes between calls: there JAX's own
    transformations, which look at f anew each time, are what `jax.jacfwd` users expect.
    """
    if not request.call.is_inside_a_trace:
        return None
    prepared = failures.prepare(lambda: prepare_dense(request, kind), None)
    if prepared is None:
        return None
    inputs = request.flat(request.call.traced).leaves
    outputs = inputs if kind == "hessian" else prepared.derivative.outputs
    require_fitting_result(
        request.options.api, inputs, outputs, lambda: in_other_formats(request, kind)
    )
    # nothing runs yet: the result is put into the program that is traced
    return failures.prepare(lambda: _dense(request, kind, prepared, with_value=with_value), None)


def _dense(request: Request, kind: Query, prepared: Structured, *, with_value: bool) -> Outcome:
    run, result = _run(request, prepared, with_value=with_value)
    flat = request.flat(request.call.traced)
    flat.treedef = prepared.outputs.treedef
    if kind == "hessian":
        blocks = [column_blocks(leaf, flat.shapes) for leaf in run]
        derivative = flat.hessian([blocks], [()])
    else:
        derivative = flat.jacobian(_blocks(run, flat, prepared), prepared.outputs.shapes)
    return replace(result, derivative=derivative)


def in_other_formats(request: Request, kind: Query) -> str:
    """What the sparse formats take, for a message."""
    layout = Failures(request.options.api).prepare(lambda: prepare(request, kind).layout, None)
    if layout is None:  # it cannot be traced, or is dense
        return "use products with a vector (jax.jvp, jax.vjp) instead"
    needed = layout.nnz * (layout.dtype.itemsize + layout.rows.itemsize + layout.cols.itemsize)
    return f"{' and '.join(f'format={name!r}' for name in sorted(SPARSE))} need {in_words(needed)}"


def _blocks(run: Sequence[Any], flat: FlatMap, prepared: Structured) -> Blocks:
    """The blocks of a Jacobian, for each output leaf and each input leaf."""
    if prepared.derivative.linear_map == "forward":
        return [column_blocks(leaf, flat.shapes) for leaf in run]
    outputs = prepared.outputs
    blocks = row_blocks(run, outputs.shapes)
    return as_forward_types(blocks, [jax.ShapeDtypeStruct((), dtype) for dtype in outputs.dtypes])


def _sparse(request: Request, kind: Query, *, with_value: bool) -> FromStructure:
    prepared = prepare_within(request, kind, with_value=with_value or request.options.has_aux)
    (values,), result = _run(request, prepared, with_value=with_value)
    layout = prepared.layout
    derivative = SPARSE[request.options.format](Jacobian(as_dtype(values, layout.dtype), layout))
    again = prepared if prepared.is_kept else None
    return FromStructure(result.value, result.gradient, result.aux, derivative, again)


def pack_again(
    prepared: Structured, options: Options, outcome: Callable[[Outcome], Any], with_value: bool
) -> Callable[[list[Any]], Any]:
    """What packs the results of the compiled derivative as the call before packed them."""
    layout, treedef = prepared.layout, prepared.outputs.treedef
    as_asked, dtype = SPARSE[options.format], layout.dtype

    def pack(results: list[Any]) -> Any:
        values = as_dtype(results[0], dtype)  # those of reverse mode have the inputs' dtype
        jacobian = Jacobian.tree_unflatten(layout, (values,))  # known to fit, so not checked
        value = jax.tree.unflatten(treedef, results[1:]) if with_value else None
        return outcome(Outcome(value, None, None, as_asked(jacobian)))

    return pack


def _run(request: Request, prepared: Structured, *, with_value: bool) -> tuple[list[Any], Outcome]:
    need = with_value or request.options.has_aux
    run = prepared.derivative(request.call.traced, with_value=need)
    if not need:
        return run.values, Outcome(None, None, None, None)
    value = jax.tree.unflatten(prepared.outputs.treedef, run.output)
    gradient = None
    if prepared.derivative.linear_map == "hessian":
        gradient = request.flat(request.call.traced).inputs(run.gradient)
    return run.values, Outcome(value, gradient, run.aux, None)
