"""One compiled step of descent, for loops that users write themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxcalc.call.arguments import require_callable
from jaxcalc.call.drop_in import require_booleans
from jaxcalc.call.front_door import options
from jaxcalc.descent.backpropagate import value_and_ascent
from jaxcalc.descent.leaves import require_parameters
from jaxcalc.descent.optimizers import as_optimizer, changed, initial_state


class State(NamedTuple):
    """What a step starts from.

    Attributes:
        parameters: the parameters, as arrays.
        optimizer: the optimizer's own state.
    """

    parameters: Any
    optimizer: Any


class Step(NamedTuple):
    """A compiled step of descent.

    Attributes:
        init: `init(parameters) -> State`. It copies the parameters: the caller's stay usable.
        update: `update(state, *args) -> (State, value)`. The value is the loss before the step. The
            state that goes in is used up (its buffers are donated): go on with the one returned.
    """

    init: Callable[[Any], State]
    update: Callable[..., tuple[State, Any]]


@options
def make_step(loss: Callable[..., Any], optimizer: Any, *, has_aux: bool = False) -> Step:
    """A compiled step of descent on `loss`, with its buffers donated.

    Args:
        loss: a function `loss(parameters, *args)` whose output is one real number.
        optimizer: a learning rate, a schedule (a function from the step to a rate, as optax makes
            them), or any optax transformation.
        has_aux: whether the loss returns `(value, aux)`.

    Returns:
        A `Step(init, update)`. `init(parameters)` gives a state that holds a copy of the parameters
        and the optimizer's state; `update(state, *args)` gives `(state, value)`, where value is the
        loss before the step, and `(value, aux)` with `has_aux`. `state.parameters` are the
        parameters, of the structure, shapes and dtypes given. A state passed to `update` is used up:
        copy what you want to keep of it first. Complex parameters follow the conjugate of JAX's
        gradient, as in `descent.update`.

    Raises:
        TypeError: a parameter is an integer or boolean (the error names the leaf), the loss is not
            a real scalar, or the optimizer is none of the three.
        ValueError: a learning rate is negative or not finite.

    Cost: about 3 evaluations of the loss a step. Compiled once for arguments of the same shapes and
    dtypes. Memory: one set of parameters and optimizer state, written in place. Method: that of the
    optimizer; a learning rate is `descent.update`.

    Example:
        >>> from jaxcalc import descent
        >>> step = descent.make_step(lambda w: (w - 3.0) ** 2, 0.25)
        >>> state = step.init(1.0)
        >>> for _ in range(2):
        ...     state, value = step.update(state)
        >>> float(state.parameters), float(value)
        (2.5, 1.0)
    """
    api = "jaxcalc.descent.make_step"
    require_callable(api, loss)
    require_booleans(api, has_aux=has_aux)
    chosen = as_optimizer(api, optimizer)
    transformation = chosen.make(*chosen.functions)

    def init(parameters: Any) -> State:
        require_parameters(api, parameters)
        parameters = jax.tree.map(jnp.asarray, parameters)
        state = State(parameters, initial_state(transformation, parameters, chosen.rate))
        return _own(state)

    @partial(jax.jit, donate_argnums=0)
    def update(state: State, *args: Any) -> tuple[State, Any]:
        _require_state(api, state)
        value, aux, ascent = value_and_ascent(api, loss, state.parameters, args, has_aux=has_aux)

        def value_fn(parameters: Any) -> Any:
            output = loss(parameters, *args)
            return output[0] if has_aux else output

        new = State(
            *changed(transformation, ascent, state.optimizer, state.parameters, value, value_fn)
        )
        return jax.tree.map(_like, new, state), (value, aux) if has_aux else value

    return Step(init, update)


def _require_state(api: str, state: Any) -> None:
    """Refuse the bare parameters, which have no optimizer state."""
    if not isinstance(state, State):
        is_array = hasattr(state, "dtype") and hasattr(state, "shape")
        given = (
            f"an array {state.dtype}{list(state.shape)}" if is_array else f"a {type(state).__name__}"
        )
        raise TypeError(
            f"{api}: step.update got {given} in the place of the state; start with state = "
            "step.init(parameters), and go on with state, value = step.update(state, ...)."
        )


@jax.jit
def _own(state: State) -> State:
    """Every leaf as an array in a buffer of its own.

    Some optimizers hold the parameters themselves, and a buffer can be donated only once. Going
    through one compiled call also puts all leaves on the devices of the parameters.
    """
    return jax.tree.map(lambda leaf: jnp.copy(strong(jnp.asarray(leaf))), state)


def _like(new: Any, old: Any) -> Any:
    """A new leaf as strongly typed as the old one: the next call is then the same program."""
    new = jnp.asarray(new)
    return strong(new) if new.dtype == old.dtype else new


def strong(leaf: Any) -> Any:
    """A leaf of its own dtype whatever it meets, even if it came from a Python number."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.extended):  # random keys
        return leaf
    return lax.convert_element_type(leaf, leaf.dtype)
