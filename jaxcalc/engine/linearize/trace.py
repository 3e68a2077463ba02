"""From a function to its linear program: what a derivative applies to a tangent, as a jaxpr.

`jax.linearize` (forward mode), `jax.vjp` (reverse mode) and `jax.linearize` of the gradient (the
Hessian) each give a linear map. JAX splits loops and calls into a primal and a tangent part on the
way, so that the primal part can be computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxcalc.call.arguments import is_array
from jaxcalc.call.concretization import UNTRACEABLE
from jaxcalc.call.flatten import FlatCall, Leaves
from jaxcalc.call.static_leaves import Aside, set_aside
from jaxcalc.call.symbolic import require_known_shapes
from jaxcalc.engine.custom_vjp.forward_mode import (
    NoForwardModeError,
    forward_derivative,
    in_dtypes_of,
    with_forward_mode,
)
from jaxcalc.engine.custom_vjp.materialized import forward_gradient
from jaxcalc.engine.jaxprs.derivative_rules import REFUSALS
from jaxcalc.engine.jaxprs.signatures import signature, signature_of
from jaxcalc.engine.jaxprs.varying import shape_of
from jaxcalc.engine.rules.registry import Context, NoRuleError, NoStructureError
from jaxcalc.engine.walk.linearity import has_rules_of_users
from jaxcalc.engine.walk.program import Program, flatten

_LOOPS = frozenset({"scan", "while"})
# what JAX leaves of a custom_vjp function in a linear program: it can be transposed, not evaluated
_ONLY_TRANSPOSED = "custom_lin"

LinearMap = Literal["forward", "reverse", "hessian"]
Inputs = Sequence[Any]
Build = Callable[[Inputs], tuple[FlatCall, Leaves]]


@dataclass(frozen=True)
class Linearized:
    """A derivative as a linear program.

    Attributes:
        program: its outputs are the output leaves, the gradient's leaves (for a Hessian), aux's
            leaves, and the derivative applied to the tangents (cotangents for reverse mode).
        outputs: shapes and dtypes of f's output leaves.
        gradient_count: how many leaves of a gradient follow the output leaves.
        aux: what aux holds besides arrays, and their places in it.
        closed: what the program was made from.
        is_trusted: whether no rule of the user's has part in it.
    """

    program: Program
    outputs: list[jax.ShapeDtypeStruct]
    gradient_count: int
    aux: Aside
    aux_count: int
    closed: ClosedJaxpr
    is_trusted: bool

    @property
    def signature(self) -> Hashable:
        """Equal to that of another linear program which computes the same.

        Raises:
            IncomparableError: the program, or aux, holds what cannot be compared.
        """
        aux = self.aux.treedef, signature_of(*self.aux.static)
        return signature(self.closed), self.is_trusted, aux


def linearize(
    build: Build,
    inputs: Inputs,
    linear_map: LinearMap,
    *,
    holomorphic: bool = False,
    context: Context | None = None,
) -> Linearized:
    """Trace the derivative of a flat function.

    A Hessian is forward over reverse, with the `jax.custom_vjp` functions that are left in the gradient
    given a forward mode, or forward over forward where f has no reverse mode.

    Args:
        build: makes the flat function, and the leaves to differentiate with respect to, from `inputs`.
        inputs: everything that is traced: arrays, numbers, or their shapes.
        linear_map: which linear map to trace.
        holomorphic: f is holomorphic, which the gradient inside a Hessian must know.
        context: notes what could not be followed with its structure; is told whether a rule of the
            user's has part in f, so that what JAX makes of it may not be linear.

    Raises:
        ConcretizationTypeError and its kin: f needs concrete values.
    """
    shapes = [_shape(x) for x in inputs]
    context = context or Context("jaxcalc.hessian")
    primal = jax.make_jaxpr(lambda xs: _call(build, xs)[0])(shapes)
    outputs = [shape_of(aval, weak_type=aval.weak_type) for aval in primal.out_avals]
    require_known_shapes(context.api, primal.jaxpr)
    is_trusted = context.is_trusted = not has_rules_of_users(primal.jaxpr)
    if linear_map != "hessian":
        return _traced(build, shapes, outputs, linear_map, lambda call: call, is_trusted=is_trusted)
    failures: list[Exception] = []
    for gradient in _gradients(holomorphic, context):
        try:
            return _traced(build, shapes, outputs, linear_map, gradient, is_trusted=is_trusted)
        except (*UNTRACEABLE, NoRuleError):
            raise
        except REFUSALS as error:  # no reverse mode, or no forward mode of what it makes
            failures.append(error)
    last = failures[-1]
    raise last if isinstance(last, NoForwardModeError) else failures[0]


def _traced(
    build: Build,
    shapes: Inputs,
    outputs: Sequence[Any],
    linear_map: LinearMap,
    derived: Callable[[FlatCall], Callable[[Leaves], Any]],
    *,
    is_trusted: bool,
    in_one_loop: bool = False,
) -> Linearized:
    """Trace the linear map; for a Hessian `derived` makes the gradient of f.

    A loop whose tangents go forward is not split: it would write what its tangent part needs at every
    step to memory, and read it again.
    """
    tangents = (
        outputs if linear_map == "reverse" else jax.eval_shape(lambda xs: list(build(xs)[1]), shapes)
    )

    found: list[Aside] = []

    def run(inputs: Inputs, tangents: Sequence[Any]) -> Any:
        whole, leaves = build(inputs)

        def call(leaves: Leaves) -> tuple[Leaves, list[Any]]:
            output, aux = whole(leaves)
            arrays, aside = set_aside(aux, is_array)
            found.append(aside)
            return output, arrays

        push_forward = _pushed_in_one_loop if in_one_loop else _pushed
        if linear_map == "forward":
            output, aux, pushed = push_forward(call, leaves, tangents)
            return list(output), [], aux, list(pushed)
        if linear_map == "reverse":
            output, pull, aux = jax.vjp(call, leaves, has_aux=True)
            return list(output), [], aux, in_dtypes_of(leaves, pull(list(tangents))[0])
        gradient, (output, aux), pushed = push_forward(derived(call), leaves, tangents)
        return list(output), list(gradient), aux, list(pushed)

    jaxpr, shaped = jax.make_jaxpr(run, return_shape=True)(shapes, tangents)
    jaxpr = _with_own_constants(jaxpr)
    output, gradient, aux, _ = shaped
    program = flatten(jaxpr, len(tangents))
    if any(step.eqn.primitive.name == _ONLY_TRANSPOSED for step in program.tangent):
        raise TypeError("a jax.custom_vjp function has no forward mode")
    if any(hasattr(x.aval, "inner_aval") for step in program.tangent for x in step.inputs):
        raise NoStructureError(
            "jaxcalc: a derivative with mutable arrays (jax.new_ref) in it has no structure to "
            "follow; use format='dense', or arrays and .at[...] instead."
        )
    has_loop = any(step.eqn.primitive.name in _LOOPS for step in program.tangent)
    if has_loop and linear_map != "reverse" and not in_one_loop:
        return _traced(
            build, shapes, outputs, linear_map, derived, is_trusted=is_trusted, in_one_loop=True
        )
    return Linearized(program, output, len(gradient), found[-1], len(aux), jaxpr, is_trusted)


def _with_own_constants(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same program, which holds no numpy array that is changed in place by and by.

    JAX takes the same array for unchanged as long as its own copy lives, so that must not be kept.
    """
    own = [c.copy() if isinstance(c, np.ndarray) else c for c in closed.consts]
    return ClosedJaxpr(closed.jaxpr, own)


def _pushed(function: Any, leaves: Leaves, tangents: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Value, aux and tangent of a function, the last one split from what it needs of the others."""
    value, push, aux = jax.linearize(function, leaves, has_aux=True)
    return value, aux, push(list(tangents))


def _pushed_in_one_loop(function: Any, leaves: Leaves, tangents: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The same with the loops of value and tangent in one; the value alone has loops of its own."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(leaves)
    structure = jax.tree.structure(shapes)
    count = len(jax.tree.leaves(shapes[0]))
    run = jaxpr_as_fun(closed)
    value, aux = jax.tree.unflatten(structure, run(*leaves))
    _, pushed = jax.jvp(lambda *xs: list(run(*xs))[:count], tuple(leaves), tuple(tangents))
    return value, aux, pushed


def _call(build: Build, inputs: Inputs) -> tuple[list[Any], Any]:
    call, leaves = build(inputs)
    output, aux = call(leaves)
    return list(output), aux


def _gradients(
    holomorphic: bool, context: Context
) -> Iterator[Callable[[FlatCall], Callable[[Leaves], Any]]]:
    """Ways to a gradient that has a forward mode, the best one first.

    The second is for a `jax.custom_vjp` rule that calls another such function, the third for a loop
    of unknown length.
    """
    yield lambda call: _gradient(call, holomorphic)
    yield lambda call: forward_derivative(_gradient(call, holomorphic), context)
    yield lambda call: forward_derivative(
        forward_gradient(with_forward_mode(call, context, has_reverse=False), context), context
    )


def _gradient(call: FlatCall, holomorphic: bool) -> Callable[[Leaves], Any]:
    def scalar(leaves: Leaves) -> tuple[Any, Any]:
        output, aux = call(leaves)
        (value,) = output
        return value, (list(output), aux)

    def gradient(leaves: Leaves) -> tuple[list[Any], Any]:
        found, kept = jax.grad(scalar, has_aux=True, holomorphic=holomorphic)(leaves)
        return in_dtypes_of(leaves, found), kept

    return gradient


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    weak = getattr(getattr(x, "aval", None), "weak_type", not hasattr(x, "dtype"))
    if isinstance(x, jax.core.Tracer):
        return shape_of(jax.typeof(x), weak_type=weak)
    if isinstance(x, jax.ShapeDtypeStruct) or jnp.issubdtype(jnp.result_type(x), jax.dtypes.extended):
        dtype = x.dtype
    else:
        dtype = jnp.result_type(x)  # numpy's float64 is float32 here, unless 64 bits are switched on
    return jax.ShapeDtypeStruct(jnp.shape(x), dtype, weak_type=weak)
