"""Functions with a gradient that is exactly zero."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.checking.faults import fault, vector


@fault("warning", "zero gradient", "does not depend on w: it is not used", vector(1.0), vector(2.0))
def unused(w, x):
    """an argument that is not used"""
    return jnp.sum(x**2)


@fault("warning", "zero gradient", "nothing made of it reaches the output", vector(1.0), vector(2.0))
def dropped(w, x):
    """an argument whose products are dropped"""
    prediction = w * x
    del prediction
    return jnp.sum(x**2)


@fault("warning", "zero gradient", "no differentiable path from x: cut at stop_gradient", vector(1.0))
def stopped(x):
    """stop_gradient"""
    y = jax.lax.stop_gradient(x)  # <-
    return jnp.sum(y**2)


@fault(
    "warning",
    "zero gradient",
    "no differentiable path from parameters['w']: cut at argmax, faults_of_zero_gradients.py:",
    {"w": vector(1.0, 2.0), "b": vector(1.0)},
    vector(1.0, 3.0),
)
def accuracy(parameters, x):
    """argmax"""
    scores = parameters["w"] * x
    chosen = jnp.argmax(scores)  # <-
    return chosen.astype(jnp.float32) * 2.0 + jnp.sum(parameters["b"] ** 2)


@fault(
    "warning", "zero gradient", "no differentiable path from x: cut at a cast to integer", vector(1.5)
)
def cast_to_integer(x):
    """a cast to integer"""
    steps = (4.0 * x).astype(jnp.int32)  # <-
    return jnp.sum(steps / 4.0)


@fault("warning", "zero gradient", "cut at a cast to boolean", vector(1.5))
def cast_to_boolean(x):
    """a cast to boolean"""
    return jnp.sum(jax.lax.convert_element_type(x, bool) * 2.0)  # <-


@fault("warning", "zero gradient", "cut at rounding (round)", vector(1.5))
def rounded(x):
    """rounding"""
    return jnp.sum(jnp.round(x) ** 2)  # <-


@fault("warning", "zero gradient", "cut at rounding (floor)", vector(1.5))
def floored(x):
    """floor"""
    return jnp.sum(jnp.floor(8.0 * x) / 8.0)  # <-


@fault("warning", "zero gradient", "cut at sign", vector(1.5))
def signs(x):
    """sign"""
    return jnp.sum(jnp.sign(x) * 3.0)  # <-


@fault("warning", "zero gradient", "cut at a comparison (gt)", vector(1.5, -1.0))
def counted(x):
    """a comparison"""
    return jnp.mean(x > 0)  # <-


@fault("warning", "zero gradient", "cut at a comparison", np.float32(1.5))
def branch_decides(x):
    """a cond of which only the predicate depends on the argument"""
    return jax.lax.cond(x > 1.0, lambda: 2.0, lambda: 3.0)  # <-


@fault("warning", "zero gradient", "cut at the order of a sort", vector(2.0, 1.0))
def ordered(x):
    """argsort"""
    places = jnp.argsort(x)  # <-
    return jnp.sum(places * jnp.array([1.0, 2.0]))


@fault("warning", "zero gradient", "saturated relu", vector(-1.0, -2.0))
def dead_relu(x):
    """a relu that is dead in all elements"""
    return jnp.sum(jax.nn.relu(x) ** 2)  # <-


@fault("warning", "zero gradient", "saturated clip", vector(5.0, -3.0))
def saturated_clip(x):
    """clip outside of its limits"""
    y = jnp.clip(x, -1.0, 1.0)  # <-
    return jnp.sum(y**3)


@fault("warning", "zero gradient", "saturated max", vector(-5.0))
def saturated_maximum(x):
    """maximum with a larger number"""
    return jnp.sum(jnp.maximum(x, -1.0))  # <-


@fault("warning", "zero gradient", "saturated tanh", vector(40.0))
def saturated_tanh(x):
    """tanh of a large number"""
    return jnp.sum(jnp.tanh(x))  # <-


@fault("warning", "zero gradient", "zero at this point: a dead where", vector(-1.0, -2.0))
def dead_where(x):
    """a where that takes the other branch in all elements"""
    return jnp.sum(jnp.where(x > 0, x**2, 1.0))  # <-


@fault(
    "warning", "zero gradient", "a product with zeros", vector(1.0, 2.0), np.zeros((2, 2), np.float32)
)
def zero_weights(w, v):
    """weights behind a layer of zeros"""
    hidden = jnp.tanh(w)
    return jnp.sum(v @ hidden)  # <-


@fault("warning", "zero gradient", "values that are overwritten", vector(1.0, 2.0))
def overwritten(x):
    """an array that is overwritten"""
    return jnp.sum(x.at[:].set(3.0))  # <-


@fault("warning", "zero gradient", "n is int32", np.int32(3))
def integer_argument(n):
    """an integer argument"""
    return n * 2.0


@fault(
    "warning",
    "zero gradient",
    "no differentiable path from x: cut at rounding (floor_divide)",
    vector(5.5),
)
def divided_to_integers(x):
    """floor division"""
    return jnp.sum(x // 2.0)  # <-


@fault("warning", "zero gradient", "cut at searchsorted", vector(1.5, 0.5), vector(1.0, 2.0, 3.0))
def looked_up(x, table):
    """searchsorted"""
    return jnp.sum(jnp.searchsorted(table, x) * 1.0)  # <-


@fault("warning", "zero gradient", "no differentiable path from x: cut at heaviside", vector(0.5))
def step_function(x):
    """a step function"""
    return jnp.sum(jnp.heaviside(x, 0.5))  # <-


@fault("warning", "zero gradient", "is zero at this point: saturated hard_tanh", vector(2.0))
def saturated_hard_tanh(x):
    """hard_tanh outside of its limits"""
    return jnp.sum(jax.nn.hard_tanh(x))  # <-


@fault("warning", "zero gradient", "saturated sigmoid", vector(200.0))
def saturated_sigmoid(x):
    """sigmoid of a large number"""
    return jnp.sum(jax.nn.sigmoid(x))  # <-


@fault("warning", "zero gradient", "a product with several zeros", vector(0.0, 0.0, 3.0))
def product_of_zeros(x):
    """a product of which two factors are 0"""
    return jnp.prod(x)  # <-


@fault(
    "warning",
    "zero gradient",
    "no differentiable path from w: cut at argmax",
    vector(1.0, 3.0, 2.0),
    argnames="w",
    w=vector(1.0, 2.0, 0.5),
)
def index_into_numpy(x, *, w):
    """argmax as the index into an array of numpy, of an argument passed by keyword"""
    place = jnp.argmax(w)  # <-
    return x[place] ** 2


@fault(
    "warning",
    "zero gradient",
    "no differentiable path from x: cut at a comparison (ge)",
    vector(1.0, 2.0),
)
def hard_choice(x):
    """a choice of the largest probability, behind a softmax that shifts by a constant maximum"""
    p = jax.nn.softmax(x)
    return jnp.sum(jnp.where(p >= p.max(), 1.0, 0.0) * jnp.arange(2.0))  # <-


@fault("warning", "zero gradient", "values that are set outside of the array", vector(1.0, 2.0))
def set_out_of_bounds(x):
    """an element that is set outside of the array"""
    return jnp.sum(jnp.zeros(2).at[jnp.array([5])].set(x[0]))  # <-


@fault("warning", "zero gradient", "the custom_vjp rule of total, which gives zero", vector(1.0, 2.0))
def rule_of_zeros(x):
    """a custom_vjp rule that gives zeros"""

    @jax.custom_vjp
    def total(x):
        return jnp.sum(x)

    total.defvjp(lambda x: (total(x), x), lambda x, _: (jnp.zeros_like(x),))
    return total(2.0 * x)  # <-


@fault("warning", "zero gradient", "the custom_jvp rule of steps, which gives zero", vector(1.2, 2.0))
def rule_of_no_change(x):
    """a custom_jvp rule that gives zeros"""

    @jax.custom_jvp
    def steps(x):
        return jnp.round(x)

    steps.defjvp(lambda p, t: (steps(*p), jnp.zeros_like(t[0])))
    return jnp.sum(steps(x))  # <-
