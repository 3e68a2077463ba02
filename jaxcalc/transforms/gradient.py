"""The gradient: all partial derivatives of a scalar function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import Argnames, Argnums, Chosen, dtype_of, function_name, require_callable
from jaxcalc.call.drop_in import drop_in
from jaxcalc.call.flatten import split_aux
from jaxcalc.call.front_door import transformation
from jaxcalc.call.options import Options
from jaxcalc.call.request import Request
from jaxcalc.engine.jaxprs.refusals import reverse_mode_explained
from jaxcalc.kinds import is_scalar, not_scalar
from jaxcalc.methods.base import Outcome
from jaxcalc.transforms.eager import Direct, transformed


@drop_in
@transformation()
def gradient(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames | None = None,
) -> Callable[..., Any]:
    """The gradient of a function with scalar output; a drop-in for `jax.grad`.

    Args:
        f: a function whose output is one real number (complex with `holomorphic`).
        argnums: position or positions of the arguments to differentiate with respect to.
        argnames: a name, or a sequence of names, instead of `argnums`. A name may be passed by
            position or by keyword at the call.
        has_aux: whether f returns `(output, aux)`.
        holomorphic: promise that f is holomorphic; inputs and output are then complex. Without it
            a complex input of a real function gives the conjugate of the steepest ascent, as in
            `jax.grad`.
        allow_int: give float0 zeros for integer and boolean leaves rather than an error.

    Returns:
        A function of the same arguments as f that returns the gradient, of the structure, shapes
        and dtypes of the chosen argument: bare for one position or name, a tuple for a sequence.
        With `has_aux`, the pair `(gradient, aux)`.

    Raises:
        TypeError: the output is not a scalar (the error names the map and the right call), or an
            input or the output is of a dtype that has no derivative.
        ValueError: `argnums` or `argnames` do not fit the call; f has no reverse mode, as with a
            `while_loop` (the error says what goes forward).

    Cost: one evaluation of f and one vector-Jacobian product, about 3 evaluations of f, however
    many inputs there are. Method: reverse mode (backpropagation), `jax.value_and_grad`.

    Example:
        >>> import jaxcalc
        >>> f = lambda x, z: 4 * x**4 * z**3
        >>> [float(g) for g in jaxcalc.gradient(f, argnames=("x", "z"))(1.0, 2.0)]
        [128.0, 48.0]
    """
    api = "jaxcalc.gradient"
    require_callable(api, f)
    options = Options(api, has_aux, holomorphic, allow_int, "dense", "auto", None, False)

    def outcome(found: Outcome) -> Any:
        return (found.gradient, found.aux) if has_aux else found.gradient

    return transformed(f, options, argnums, argnames, Direct(_evaluate, outcome))


@drop_in
@transformation()
def value_and_gradient(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames | None = None,
) -> Callable[..., Any]:
    """The value and the gradient of f from one evaluation; a drop-in for `jax.value_and_grad`.

    Takes the arguments of `gradient`, and raises what it raises.

    Returns:
        A function of the same arguments as f that returns `(value, gradient)`, and
        `((value, aux), gradient)` with `has_aux`.

    Cost: that of `gradient`: about 3 evaluations of f.

    Example:
        >>> import jax.numpy as jnp, jaxcalc
        >>> value, slope = jaxcalc.value_and_gradient(lambda x: jnp.sum(x**2))(jnp.array([1.0, 2.0]))
        >>> float(value), slope.tolist()
        (5.0, [2.0, 4.0])
    """
    api = "jaxcalc.value_and_gradient"
    require_callable(api, f)
    options = Options(api, has_aux, holomorphic, allow_int, "dense", "auto", None, False)

    def outcome(found: Outcome) -> Any:
        return ((found.value, found.aux) if has_aux else found.value), found.gradient

    return transformed(f, options, argnums, argnames, Direct(_evaluate, outcome, with_value=True))


def _evaluate(request: Request, *, with_value: bool) -> Outcome:  # noqa: ARG001 (it always comes along)
    """Value, aux and gradient of f, looked at anew."""
    f, options, chosen = request.f, request.options, request.chosen(request.call.traced)
    options.require_inputs(chosen)

    def scalar(primal: Any) -> tuple[Any, Any]:
        output, aux = split_aux(chosen.api, chosen.call(primal), options.has_aux)
        _require_scalar_output(f, chosen, output, options.holomorphic)
        return output, aux

    run = jax.value_and_grad(
        scalar, has_aux=True, holomorphic=options.holomorphic, allow_int=options.allow_int
    )
    with reverse_mode_explained(options.api, function_name(f), scalar, chosen.primal):
        (value, aux), slope = run(chosen.primal)
    return Outcome(value, slope, aux, None)


def _require_scalar_output(
    f: Callable[..., Any], chosen: Chosen, output: Any, holomorphic: bool
) -> None:
    if not is_scalar(output):
        raise not_scalar(chosen.api, f, chosen.primal, output)
    dtype = dtype_of(output)
    wanted = jnp.complexfloating if holomorphic else jnp.floating
    if not jnp.issubdtype(dtype, wanted):
        advice = (
            "holomorphic=True is for complex outputs"
            if holomorphic
            else "for a holomorphic function set holomorphic=True; otherwise differentiate the real "
            "and the imaginary part, or use jaxcalc.jacobian"
            if jnp.issubdtype(dtype, jnp.complexfloating)
            else "convert it to a floating dtype if it depends smoothly on the inputs, or return it "
            "as aux with has_aux=True"
        )
        raise TypeError(
            f"{chosen.api}: the output of {function_name(f)} is {dtype}, which has no gradient; "
            f"{advice}."
        )
