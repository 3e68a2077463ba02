"""From a function to its linear program: what a derivative applies to a tangent, as a jaxpr.

`jax.linearize` (forward mode), `jax.vjp` (reverse mode) and `jax.linearize` of the gradient (the
Hessian) each give a linear map. JAX splits loops and calls into a primal and a tangent part on the
way, so that the primal part can be computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxcalc.arguments import is_array
from jaxcalc.aside import Aside, set_aside
from jaxcalc.engine.dense import FlatCall, Leaves
from jaxcalc.engine.program import Program, flatten

Way = Literal["forward", "reverse", "hessian"]
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
    """

    program: Program
    outputs: list[jax.ShapeDtypeStruct]
    gradient_count: int
    aux: Aside
    aux_count: int


def linearize(build: Build, inputs: Inputs, way: Way, *, holomorphic: bool = False) -> Linearized:
    """Trace the derivative of a flat function.

    Args:
        build: makes the flat function, and the leaves it is differentiated by, out of `inputs`.
        inputs: everything that is traced: arrays, numbers, or their shapes.
        way: which linear map to trace.
        holomorphic: f is holomorphic, which the gradient inside a Hessian must know.

    Raises:
        ConcretizationTypeError and its kin: f needs concrete values.
    """
    shapes = [_shape(x) for x in inputs]
    if way == "reverse":
        tangents = jax.eval_shape(lambda xs: _call(build, xs)[0], shapes)
    else:
        tangents = jax.eval_shape(lambda xs: list(build(xs)[1]), shapes)

    found: list[Aside] = []

    def run(inputs: Inputs, tangents: Sequence[Any]) -> Any:
        whole, leaves = build(inputs)

        def call(leaves: Leaves) -> tuple[Leaves, list[Any]]:
            output, aux = whole(leaves)
            arrays, aside = set_aside(aux, is_array)
            found.append(aside)
            return output, arrays

        if way == "forward":
            output, push, aux = jax.linearize(call, leaves, has_aux=True)
            return list(output), [], aux, list(push(list(tangents)))
        if way == "reverse":
            output, pull, aux = jax.vjp(call, leaves, has_aux=True)
            return list(output), [], aux, list(pull(list(tangents))[0])
        gradient, push, (output, aux) = jax.linearize(
            _gradient(call, holomorphic), leaves, has_aux=True
        )
        return list(output), list(gradient), aux, list(push(list(tangents)))

    jaxpr, shaped = jax.make_jaxpr(run, return_shape=True)(shapes, tangents)
    output, gradient, aux, _ = shaped
    program = flatten(jaxpr, len(tangents))
    return Linearized(program, output, len(gradient), found[-1], len(aux))


def _call(build: Build, inputs: Inputs) -> tuple[list[Any], Any]:
    call, leaves = build(inputs)
    output, aux = call(leaves)
    return list(output), aux


def _gradient(call: FlatCall, holomorphic: bool) -> Callable[[Leaves], Any]:
    def scalar(leaves: Leaves) -> tuple[Any, Any]:
        output, aux = call(leaves)
        (value,) = output
        return value, (list(output), aux)

    return jax.grad(scalar, has_aux=True, holomorphic=holomorphic)


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    dtype = x.dtype if hasattr(x, "dtype") else jnp.result_type(x)
    weak = getattr(getattr(x, "aval", None), "weak_type", not hasattr(x, "dtype"))
    return jax.ShapeDtypeStruct(jnp.shape(x), dtype, weak_type=weak)
