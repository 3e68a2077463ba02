"""Derivatives at the cost of their structure: found, kept for the next call, run and packed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxcalc.arguments import Argnames, Argnums, Chosen, choose, function_name
from jaxcalc.engine.cache import FunctionCache
from jaxcalc.engine.dense import UNTRACEABLE
from jaxcalc.engine.derivative import Derivative, Evaluated
from jaxcalc.engine.interpret import TooDenseError
from jaxcalc.engine.registry import Context
from jaxcalc.engine.trace import Way
from jaxcalc.flat import FlatMap, require_differentiable_output
from jaxcalc.formats.layout import DtypeFrom, Layout
from jaxcalc.formats.matrix import Jacobian
from jaxcalc.formats.sides import Side
from jaxcalc.transforms.call import Call, take_apart
from jaxcalc.transforms.options import Options, require_complex_fits, trace_directions

_CACHE = FunctionCache()
_DTYPE_FROM: dict[Way, DtypeFrom] = {"forward": "output", "reverse": "input", "hessian": "output"}
_CONFIGURATION = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_default_prng_impl",
)


@dataclass(frozen=True)
class Request:
    """A call of f and what is asked of its derivative."""

    f: Callable[..., Any]
    options: Options
    argnums: Argnums
    argnames: Argnames | None
    call: Call

    @classmethod
    def of(
        cls,
        f: Callable[..., Any],
        options: Options,
        argnums: Argnums,
        argnames: Argnames | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Request:
        """The request that a call of a transformed function makes."""
        return cls(f, options, argnums, argnames, take_apart(args, kwargs))

    def chosen(self, traced: Sequence[Any]) -> Chosen:
        """The chosen arguments, with `traced` in the place of the call's arrays."""
        args, kwargs = self.call.rebuild(traced)
        return choose(self.options.api, self.f, self.argnums, self.argnames, args, kwargs)

    def key(self, kind: str) -> Hashable | None:
        """What a prepared derivative depends on; None when that cannot be compared."""
        if self.call.key is None:
            return None
        argnums = self.argnums if isinstance(self.argnums, int) else tuple(self.argnums)
        names = self.argnames
        argnames = names if names is None or isinstance(names, str) else tuple(names)
        settings = tuple(getattr(jax.config, name) for name in _CONFIGURATION)
        o = self.options
        flags = (o.has_aux, o.holomorphic, o.allow_int, o.mode, o.strict)
        return kind, argnums, argnames, flags, settings, self.call.key


@dataclass(frozen=True)
class Prepared:
    """A derivative that can run, and the pytrees around it."""

    derivative: Derivative
    layout: Layout

    @property
    def is_kept(self) -> bool:
        """Whether it may be used by a later call."""
        return self.derivative.is_pure


@dataclass(frozen=True)
class Result:
    """What a run gives, as pytrees; the gradient is there for a Hessian only."""

    value: Any
    gradient: Any
    aux: Any
    jacobian: Jacobian


def structured_jacobian(request: Request, *, with_value: bool) -> Result:
    """Value, aux and Jacobian of f, at the cost of the Jacobian's structure."""
    return _run(request, prepare(request, "jacobian"), with_value=with_value)


def structured_hessian(request: Request, *, with_value: bool) -> Result:
    """Value, gradient, aux and Hessian of a scalar f, at the cost of the Hessian's structure."""
    return _run(request, prepare(request, "hessian"), with_value=with_value)


def prepare(request: Request, kind: str) -> Prepared:
    """The prepared derivative for a call: the one of an earlier call where it fits."""
    key = request.key(kind)
    make = _prepare_hessian if kind == "hessian" else _prepare_jacobian
    if key is None:
        return make(request)
    prepared: Prepared = _CACHE.get(request.f, key, lambda: make(request))
    return prepared


def _run(request: Request, prepared: Prepared, *, with_value: bool) -> Result:
    need = with_value or request.options.has_aux
    run: Evaluated = prepared.derivative(request.call.traced, with_value=need)
    jacobian = Jacobian(run.values, prepared.layout)
    if not need:
        return Result(None, None, None, jacobian)
    value = jax.tree.unflatten(_output_tree(prepared), run.output)
    gradient = None
    if run.gradient:
        gradient = FlatMap(request.chosen(request.call.traced)).inputs(run.gradient)
    return Result(value, gradient, run.aux, jacobian)


def _output_tree(prepared: Prepared) -> Any:
    if prepared.derivative.way == "hessian":
        return jax.tree.structure(0)
    return prepared.layout.output_side.treedef


def _prepare_jacobian(request: Request) -> Prepared:
    flat = _flat(request, request.call.traced)
    ways = _ways(request, flat)
    prepared, failure = None, None
    for way in ways:
        try:
            candidate = _prepared(request, flat, way)
        except TooDenseError as error:
            failure = error
            continue
        if prepared is None or candidate.derivative.work < prepared.derivative.work:
            prepared = candidate
        if len(ways) == 1 or _is_near_optimal(candidate):
            break
    if prepared is None:
        raise _too_dense(request, flat, failure)
    return prepared


def _is_near_optimal(prepared: Prepared) -> bool:
    """Whether the other direction, at its best, could not take many fewer lanes than this one.

    Forward mode carries as many lanes as the fullest row has entries, reverse mode as the fullest
    column.
    """
    layout = prepared.layout
    rows, cols = (int(np.bincount(x, minlength=1).max(initial=0)) for x in (layout.rows, layout.cols))
    mine, other = (cols, rows) if prepared.derivative.way == "reverse" else (rows, cols)
    return mine <= 2 * max(1, other)


def _prepare_hessian(request: Request) -> Prepared:
    flat = _flat(request, request.call.traced)
    require_complex_fits(flat, request.options, "forward")
    if request.options.mode != "auto":
        raise ValueError(
            f"{request.options.api}: a sparse Hessian is forward over reverse, so "
            f"mode={request.options.mode!r} does not go with format={request.options.format!r}; leave "
            "mode out, or use format='dense'."
        )
    try:
        return _prepared(request, flat, "hessian")
    except TooDenseError as error:
        raise _too_dense(request, flat, error) from None


def _flat(request: Request, traced: Sequence[Any]) -> FlatMap:
    chosen = request.chosen(traced)
    request.options.require_inputs(chosen)
    return FlatMap(chosen, request.options.has_aux)


def _ways(request: Request, flat: FlatMap) -> list[Way]:
    """The directions to try, the one with fewer seeds first."""
    options = request.options
    try:
        output, allowed = trace_directions(
            lambda traced, leaves: _call(request, _flat(request, traced), leaves)[0],
            request.call.traced,
            flat.leaves,
        )
    except UNTRACEABLE as error:
        raise _untraceable(request, error) from error
    complex_in, complex_out = (_any_complex(x) for x in (flat.leaves, output))
    if not options.holomorphic:
        # of a complex input only reverse mode is defined, of a complex output only forward mode
        allowed -= {"forward"} if complex_in else set()
        allowed -= {"reverse"} if complex_out else set()
    if options.mode != "auto":
        require_complex_fits(flat, options, options.mode)
        return [options.mode]
    if not allowed:
        raise TypeError(
            f"{options.api}: {function_name(request.f)} can be differentiated in neither direction: "
            "reverse mode needs real outputs and no loop of unknown length (use lax.scan), forward "
            "mode real inputs and no custom_vjp (use custom_jvp)."
        )
    inputs, outputs = (sum(int(np.prod(np.shape(x))) for x in xs) for xs in (flat.leaves, output))
    first: list[Way] = ["forward", "reverse"] if inputs <= outputs else ["reverse", "forward"]
    return [way for way in first if way in allowed]


def _any_complex(leaves: Sequence[Any]) -> bool:
    return any(jax.numpy.iscomplexobj(leaf) for leaf in leaves)


def _prepared(request: Request, flat: FlatMap, way: Way) -> Prepared:
    options = request.options
    found: dict[str, Any] = {}

    def build(traced: Sequence[Any]) -> Any:
        inner = _flat(request, traced)

        def call(leaves: Sequence[Any]) -> tuple[list[Any], Any]:
            output, aux = _call(request, inner, leaves)
            if way == "hessian":
                _require_scalar(request, inner, output)
            found["treedef"] = inner.treedef
            return output, aux

        return call, inner.leaves

    context = Context(options.api, options.strict)
    try:
        derivative = Derivative(
            build, request.call.traced, way, context, holomorphic=options.holomorphic
        )
    except UNTRACEABLE as error:
        raise _untraceable(request, error) from error
    inputs = Side.of(flat.chosen.primal)
    output = (
        inputs
        if way == "hessian"
        else Side.of(jax.tree.unflatten(found["treedef"], derivative.outputs))
    )
    layout = Layout(derivative.rows, derivative.cols, inputs, output, _DTYPE_FROM[way])
    return Prepared(derivative, layout)


def _call(request: Request, flat: FlatMap, leaves: Sequence[Any]) -> tuple[list[Any], Any]:
    output, aux = flat(leaves)
    require_differentiable_output(
        request.options.api, output, flat.treedef, holomorphic=request.options.holomorphic
    )
    return output, aux


def _require_scalar(request: Request, flat: FlatMap, output: Sequence[Any]) -> None:
    if len(output) != 1 or np.shape(output[0]) != () or flat.treedef != jax.tree.structure(0):
        raise TypeError(
            f"{request.options.api}: format={request.options.format!r} needs a scalar output, but "
            f"{function_name(request.f)} returns {len(output)} leaves of shapes "
            f"{[list(np.shape(y)) for y in output]}. Use format='dense', or the jacobian of a "
            "gradient of one of them."
        )


def _untraceable(request: Request, error: Exception) -> Exception:
    return TypeError(
        f"{request.options.api}: format={request.options.format!r} has to know the structure of "
        f"{function_name(request.f)} for all inputs of this shape, but it needs a concrete value "
        f"while it is traced ({str(error).splitlines()[0]}). Write a branch on values with lax.cond "
        "or jnp.where, a loop with lax.while_loop or lax.scan, or use format='dense'."
    )


def _too_dense(request: Request, flat: FlatMap, error: Exception | None) -> Exception:
    size = sum(int(np.prod(shape)) for shape in flat.shapes)
    return ValueError(
        f"{request.options.api}: the derivative by {size} input elements is too dense to be stored "
        f"with its structure: {error} makes a value with more than {Context('').entry_limit} entries. "
        "Use format='dense', or a product with a vector (jax.jvp, jax.vjp)."
    )


def packed(jacobian: Jacobian, options: Options) -> Any:
    """A structured derivative in the format that was asked for."""
    if options.format == "structured":
        return jacobian
    return jacobian.to_bcoo() if options.format == "bcoo" else jacobian.todense()
