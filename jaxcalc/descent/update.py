"""The equation of gradient descent, on any pytree."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.call.arguments import dtype_of
from jaxcalc.call.front_door import options
from jaxcalc.descent.leaves import require_gradients, require_parameters


@options
def update(parameters: Any, gradients: Any, learning_rate: Any) -> Any:
    """One step of gradient descent: `parameters - learning_rate * gradients`.

    Args:
        parameters: a pytree of real or complex arrays or numbers.
        gradients: a pytree of the same structure and shapes: what `jaxcalc.gradient`, `jax.grad` or
            `descent.backpropagate` give.
        learning_rate: a real scalar: a number, an array of shape `()` or a tracer. It is converted
            to the dtype of each gradient.

    Returns:
        The new parameters, of the structure, shapes and dtypes of the old: a bfloat16 parameter
        stays bfloat16.

    For a complex parameter the step follows the conjugate of the gradient. JAX's gradient of a real
    loss by z = x + iy is dL/dx - i dL/dy, and the way down is -(dL/dx + i dL/dy). So hand in JAX's
    gradients as they are. `optax.sgd` fed their conjugates gives the same.

    Raises:
        TypeError: a parameter is an integer or boolean (the error names the leaf), a gradient is
            complex where its parameter is real, or the learning rate is not a real scalar.
        ValueError: structures or shapes differ.

    Cost: no evaluation of the loss; one multiplication and one subtraction per element. Method:
    Cauchy, *Methode generale pour la resolution des systemes d'equations simultanees*, 1847.

    Example:
        >>> from jaxcalc import descent
        >>> parameters = {"w": 1.0, "b": 2.0}
        >>> new = descent.update(parameters, {"w": 0.5, "b": -4.0}, 0.25)
        >>> float(new["w"]), float(new["b"])
        (0.875, 3.0)
    """
    api = "jaxcalc.descent.update"
    require_parameters(api, parameters)
    require_gradients(api, parameters, gradients)
    require_learning_rate(api, learning_rate)
    return jax.tree.map(lambda p, g: _stepped(p, g, learning_rate), parameters, gradients)


def require_learning_rate(api: str, learning_rate: Any) -> None:
    """Refuse a learning rate that is no real scalar.

    Raises:
        TypeError: it is no number or array, boolean, complex, or has a shape.
    """
    real = (
        (hasattr(learning_rate, "dtype") or isinstance(learning_rate, int | float))
        and jnp.ndim(learning_rate) == 0
        and jnp.issubdtype(dtype_of(learning_rate), jnp.number)
        and not jnp.issubdtype(dtype_of(learning_rate), jnp.complexfloating)
    )
    if not real:
        given = (
            f"{dtype_of(learning_rate)} of shape {jnp.shape(learning_rate)}"
            if hasattr(learning_rate, "dtype")
            else f"{learning_rate!r} of type {type(learning_rate).__name__}"
        )
        raise TypeError(f"{api}: learning_rate must be a real scalar, got {given}.")


def _stepped(parameter: Any, gradient: Any, learning_rate: Any) -> Any:
    parameter, gradient = jnp.asarray(parameter), jnp.asarray(gradient)
    change = scaled(learning_rate, jnp.conj(gradient))
    return moved(parameter, change, lax.sub)


def scaled(learning_rate: Any, gradient: Any) -> Any:
    """`learning_rate * gradient` in the gradient's dtype."""
    return lax.mul(
        jnp.broadcast_to(jnp.asarray(learning_rate, gradient.dtype), gradient.shape), gradient
    )


def moved(parameter: Any, change: Any, operation: Any = lax.add) -> Any:
    """The parameter plus a change, computed in the wider dtype of the two, kept in its own."""
    with jax.numpy_dtype_promotion("standard"):
        wider = jnp.promote_types(parameter.dtype, change.dtype)
    result = operation(
        lax.convert_element_type(parameter, wider), lax.convert_element_type(change, wider)
    )
    return lax.convert_element_type(result, parameter.dtype)
