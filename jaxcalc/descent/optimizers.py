"""What may stand for an optimizer: a learning rate, a schedule, or any optax transformation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxcalc.descent.update import require_learning_rate, scaled


@dataclass(frozen=True)
class Optimizer:
    """An optimizer as functions, apart from the learning rate, so that both can be kept or changed.

    Attributes:
        functions: what the user gave that is compiled in: none for a learning rate, the schedule,
            or the `init` and `update` of a transformation.
        make: builds the transformation from `functions`.
        rate: the learning rate, which is data rather than code; None for the others.
    """

    functions: tuple[Callable[..., Any], ...]
    make: Callable[..., optax.GradientTransformation]
    rate: Any = None


def as_optimizer(api: str, optimizer: Any) -> Optimizer:
    """Read the `optimizer` argument of `make_step` and `minimize`.

    Raises:
        TypeError: it is none of the three.
        ValueError: it is a learning rate that is negative or not finite.
    """
    if isinstance(optimizer, type):
        raise TypeError(
            f"{api}: optimizer is the class {optimizer.__name__}; pass an object made by it."
        )
    init, change = getattr(optimizer, "init", None), getattr(optimizer, "update", None)
    if callable(init) and callable(change):
        return Optimizer((init, change), _maker(optimizer))
    if callable(optimizer):
        return Optimizer((optimizer,), partial(scheduled_descent, api))
    if optimizer is None or isinstance(optimizer, str):
        raise TypeError(
            f"{api}: optimizer must be a learning rate, a schedule (a function from the step to a "
            f"rate) or an optax transformation such as optax.adam(1e-3), got {optimizer!r}."
        )
    require_learning_rate(api, optimizer)
    if not isinstance(optimizer, jax.core.Tracer):
        number = float(optimizer)
        if not (math.isfinite(number) and number >= 0):
            raise ValueError(f"{api}: a learning rate must be finite and not negative, got {number}.")
    if not hasattr(optimizer, "dtype"):
        optimizer = np.asarray(optimizer, dtype=float)  # takes JAX's default width where it is used
    elif not jnp.issubdtype(optimizer.dtype, jnp.floating):
        optimizer = jnp.asarray(optimizer, float)
    return Optimizer((), plain_descent, optimizer)


def _maker(optimizer: Any) -> Callable[..., optax.GradientTransformation]:
    # the kind of tuple says whether `update` takes the value and the loss as extra arguments
    extra = isinstance(optimizer, optax.GradientTransformationExtraArgs)
    return optax.GradientTransformationExtraArgs if extra else optax.GradientTransformation


def scheduled_descent(api: str, schedule: Callable[[Any], Any]) -> optax.GradientTransformation:
    """Gradient descent whose learning rate is a function of the step, checked when it is traced."""
    name = getattr(schedule, "__name__", "optimizer")

    def checked(step: Any) -> Any:
        rate = schedule(step)
        if hasattr(rate, "init") and hasattr(rate, "update"):
            raise TypeError(
                f"{api}: {name} is a function that makes an optimizer; call it, as in "
                f"optimizer={name}(1e-3)."
            )
        require_learning_rate(f"{api}: in the schedule {name}", rate)
        return rate

    return optax.sgd(checked)


def plain_descent() -> optax.GradientTransformation:
    """Gradient descent whose state is the learning rate: other rates need no other program."""

    def init(rate: Any) -> Any:
        return rate

    def change(gradients: Any, rate: Any, parameters: Any = None) -> tuple[Any, Any]:
        del parameters
        return jax.tree.map(lambda g: -scaled(rate, g), gradients), rate

    return optax.GradientTransformation(init, change)


def initial_state(optimizer: optax.GradientTransformation, parameters: Any, rate: Any) -> Any:
    """The optimizer's state at the start; that of plain descent is its learning rate."""
    return optimizer.init(parameters if rate is None else rate)


def changed(
    optimizer: optax.GradientTransformation,
    ascent: Any,
    state: Any,
    parameters: Any,
    value: Any,
    value_fn: Callable[[Any], Any],
) -> tuple[Any, Any]:
    """The parameters and the optimizer's state after one step.

    `value`, `grad` and `value_fn` go to the optimizers that ask for them, such as line searches.
    """
    extended = optax.with_extra_args_support(optimizer)
    offered = {"value": value, "grad": ascent, "value_fn": value_fn}
    changes, state = _updated(extended, offered, ascent, state, parameters)
    return optax.apply_updates(parameters, changes), state


def _updated(
    optimizer: optax.GradientTransformationExtraArgs, offered: dict[str, Any], *args: Any
) -> tuple[Any, Any]:
    """The optimizer's update, given those of the offered keywords that it takes.

    A chain takes any and hands them on, so only the refusal of a member tells which ones it does not.
    """
    offered = dict(offered)
    while True:
        try:
            return optimizer.update(*args, **offered)
        except TypeError as error:
            message = str(error)
            refused = [k for k in offered if f"unexpected keyword argument {k!r}" in message]
            if not refused:
                raise
            del offered[refused[0]]
