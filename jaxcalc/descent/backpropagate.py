"""Backpropagation: one pass yields a loss's gradients with respect to parameters and inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp

from jaxcalc.call.arguments import dtype_of, function_name, require_callable
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.flatten import split_aux
from jaxcalc.call.front_door import transformation
from jaxcalc.call.options import Direction
from jaxcalc.descent.leaves import require_arrays, require_parameters
from jaxcalc.engine.jaxprs.refusals import reverse_mode_explained
from jaxcalc.kinds import is_scalar, kind_of
from jaxcalc.methods.failures import Failures

_BOTH: tuple[Direction, ...] = ("reverse", "forward")
_MISSING: Any = object()


@transformation("loss", "parameters, inputs")
def backpropagate(loss: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., Any]:
    """The loss and its gradients with respect to parameters and inputs, from one backward pass.

    Args:
        loss: a function `loss(parameters, inputs, *rest)` whose output is one real number.
        has_aux: whether the loss returns `(value, aux)`.

    Returns:
        A function of the same arguments that returns
        `(value, parameters_gradients, inputs_gradients)`; with `has_aux`, `(value, aux)` takes the
        place of the value. The gradients have the structure, shapes and dtypes of `parameters` and
        `inputs`, and are JAX's: for a complex leaf, the conjugate of the steepest ascent, which is
        what `descent.update` expects. An integer or boolean leaf of the inputs (labels, token ids)
        gets zeros of dtype float0, as `jax.grad` gives with `allow_int`; one of the parameters is
        an error.

    Raises:
        TypeError: the loss is not a real scalar, a parameter is an integer or boolean (the error
            names the leaf), or a leaf is no array.
        ValueError: the loss has no reverse mode, as with a `while_loop`.

    Cost: one evaluation of the loss and one backward sweep, about 3 evaluations in all. Method:
    Rumelhart, Hinton and Williams, *Learning representations by back-propagating errors*, 1986.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxcalc import descent
        >>> loss = lambda w, x: jnp.sum(w * x**2)
        >>> w, x = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
        >>> value, by_w, by_x = descent.backpropagate(loss)(w, x)
        >>> float(value), by_w.tolist(), by_x.tolist()
        (41.0, [9.0, 16.0], [6.0, 16.0])
    """
    api = "jaxcalc.descent.backpropagate"
    require_callable(api, loss)
    require_booleans(api, has_aux=has_aux)

    @wraps(loss)
    def backpropagate_loss(
        parameters: Any = _MISSING, inputs: Any = _MISSING, *rest: Any, **kwargs: Any
    ) -> Any:
        if parameters is _MISSING or inputs is _MISSING:
            raise TypeError(
                f"{api}: backpropagate(loss) is called with the parameters and the inputs, in this "
                "order and by position: backpropagate(loss)(parameters, inputs). For the gradient with "
                "respect to one argument alone use jaxcalc.gradient(loss)."
            )
        require_parameters(api, parameters)
        require_arrays(api, "inputs", inputs)

        def call(parameters: Any, inputs: Any) -> tuple[Any, Any]:
            output, aux = split_aux(api, loss(parameters, inputs, *rest, **kwargs), has_aux)
            require_loss(api, loss, (parameters, inputs), output)
            return output, aux

        run = jax.value_and_grad(call, argnums=(0, 1), has_aux=True, allow_int=True)
        with reverse_mode_explained(api, function_name(loss), call, parameters, inputs):
            (value, aux), (by_parameters, by_inputs) = run(parameters, inputs)
        return ((value, aux) if has_aux else value), by_parameters, by_inputs

    return backpropagate_loss


def require_loss(api: str, loss: Callable[..., Any], primal: Any, output: Any) -> None:
    """Refuse a loss that is not one real number."""
    if not is_scalar(output):
        kind = kind_of(primal, output)
        raise TypeError(
            f"{api}: a loss is one real number, but {function_name(loss)} maps {kind.map} "
            f"({kind.spaces}); reduce its output, as jnp.mean or jnp.sum do. For the derivative of "
            "such a map use jaxcalc.jacobian."
        )
    if not jnp.issubdtype(dtype_of(output), jnp.floating):
        advice = (
            "return its absolute value, or its real part"
            if jnp.issubdtype(dtype_of(output), jnp.complexfloating)
            else "convert it to a floating dtype if it depends smoothly on the parameters"
        )
        raise TypeError(
            f"{api}: {function_name(loss)} returns {dtype_of(output)}, but a loss is a real number; "
            f"{advice}."
        )


def value_and_ascent(
    api: str, loss: Callable[..., Any], parameters: Any, args: tuple[Any, ...], *, has_aux: bool = False
) -> tuple[Any, Any, Any]:
    """The loss, its aux, and its steepest ascent: the conjugate of JAX's gradient.

    For real parameters that is the gradient. For z = x + iy JAX's gradient is dL/dx - i dL/dy, and
    the loss grows fastest along dL/dx + i dL/dy. A loss that JAX has no reverse mode of, such as one
    with a `while_loop`, goes forward, with a product for each parameter.
    """

    def call(parameters: Any) -> tuple[Any, Any]:
        output, aux = split_aux(api, loss(parameters, *args), has_aux)
        require_loss(api, loss, parameters, output)
        return output, aux

    def run(direction: Direction) -> Any:
        if direction == "reverse":
            return jax.value_and_grad(call, has_aux=True)(parameters)
        gradients, kept = jax.jacfwd(lambda p: (call(p)[0], call(p)), has_aux=True)(parameters)
        return kept, gradients

    failures = Failures(api)
    _, ((value, aux), gradients) = failures.in_turn(run, _BOTH)
    failures.tell()
    return value, aux, jax.tree.map(jnp.conj, gradients)
