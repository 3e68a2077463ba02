"""Faults in functions of JAX, each with the cause and the line that a diagnosis must name.

The line of a fault is the one with `# <-`; a function without that mark has a fault that no
line makes. `FAULTS` is data: what can be printed as a table comes from `rows`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Fault:
    """A function with a fault, and what has to be found."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    severity: str
    kind: str
    cause: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> int:
        """The number of the marked line; 0 where no line is marked."""
        lines, first = inspect.getsourcelines(self.function)
        marked = [n for n, text in enumerate(lines) if "# <-" in text]
        return first + marked[0] if marked else 0


FAULTS: list[Fault] = []


def fault(severity: str, kind: str, cause: str, *args: Any, **options: Any) -> Callable[[Any], Any]:
    """Add a function to the catalogue; its docstring is the name of the fault."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = inspect.getdoc(function) or function.__name__
        FAULTS.append(Fault(name, function, args, severity, kind, cause, options))
        return function

    return register


def rows() -> list[tuple[str, str, str, bool]]:
    """For each fault: its name, the place and the cause that are found, and whether they are right."""
    from jaxcalc import diagnose

    table = []
    for f in FAULTS:
        found = [x for x in diagnose(f.function, *f.args, **f.options).findings if matches(f, x)]
        first = found[0] if found else None
        table.append(
            (f.name, first.place if first else "", first.cause if first else "not found", bool(found))
        )
    return table


def matches(f: Fault, finding: Any) -> bool:
    """Whether a finding is the one that a fault calls for."""
    told = (finding.severity, finding.kind, finding.line) == (f.severity, f.kind, f.line)
    return told and f.cause in finding.cause and bool(finding.advice)


def vector(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


# The value is NaN or infinite.


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def log_of_zero(x):
    """log of 0"""
    y = 2.0 * x
    return jnp.sum(jnp.log(y))  # <-


@fault("error", "value", "log of -1, below 0, is NaN", vector(-1.0, 1.0))
def log_of_negative(x):
    """log of a negative number"""
    return jnp.sum(jnp.log(x))  # <-


@fault("error", "value", "sqrt of -2, a negative number, is NaN", vector(-2.0, 1.0))
def sqrt_of_negative(x):
    """sqrt of a negative number"""
    y = jnp.sqrt(x)  # <-
    return jnp.sum(y * 3.0)


@fault("error", "value", "division by zero", vector(1.0, 0.0))
def division_by_zero(x):
    """division by zero"""
    y = 1.0 / x  # <-
    return jnp.sum(y)


@fault("error", "value", "0 / 0 is NaN", vector(0.0, 0.0))
def normalise_zero(x):
    """a zero vector normalised"""
    total = jnp.sum(x)
    return jnp.sum((x / total) ** 2)  # <-


@fault("error", "value", "overflow in exp: exp(200)", vector(1.0, 200.0))
def softmax_without_shift(x):
    """a softmax without a shift"""
    e = jnp.exp(x)  # <-
    return jnp.sum(e / jnp.sum(e) * jnp.arange(2.0))


@fault("error", "derivative", "overflow in exp: exp(200)", vector(1.0, 200.0))
def part_of_softmax_without_shift(x):
    """a softmax without a shift, whose finite part alone is used"""
    e = jnp.exp(x)  # <-
    return (e / jnp.sum(e))[0]


@fault("error", "value", "overflow in exp: exp(100)", vector(1.0, 100.0))
def logsumexp_without_shift(x):
    """a logsumexp without a shift"""
    return jnp.log(jnp.sum(jnp.exp(x)))  # <-


@fault("error", "value", "overflow in exp: exp(90)", vector(90.0))
def softplus_without_shift(x):
    """log(1 + exp(x)) of a large x"""
    y = jnp.exp(x)  # <-
    return jnp.sum(jnp.log(1.0 + y))


@fault("error", "value", "overflow in mul", vector(1e30, 1.0))
def product_overflows(x):
    """a product that overflows"""
    y = x * x  # <-
    return jnp.sum(y) - 1.0


@fault("error", "value", "overflow in dot_general", vector(1e30, 1e30))
def dot_overflows(x):
    """an inner product that overflows"""
    return x @ x  # <-


@fault("error", "value", "0 to a negative power is inf", vector(0.0))
def negative_power_of_zero(x):
    """a negative power of 0"""
    return jnp.sum(x**-2)  # <-


@fault("error", "value", "to the power 0.5 is NaN", vector(-4.0))
def power_of_negative(x):
    """a fractional power of a negative number"""
    return jnp.sum(x**0.5)  # <-


@fault("error", "value", "asin of 1.5", vector(1.5))
def arcsin_outside(x):
    """arcsin outside of its domain"""
    return jnp.sum(jnp.arcsin(x))  # <-


@fault("error", "value", "atanh of 1, at the edge", vector(1.0))
def arctanh_at_edge(x):
    """arctanh at the edge of its domain"""
    return jnp.sum(jnp.arctanh(x))  # <-


@fault("error", "value", "not positive definite", -np.eye(3, dtype=np.float32))
def cholesky_of_indefinite(a):
    """cholesky of an indefinite matrix"""
    return jnp.sum(jnp.linalg.cholesky(a))  # <-


@fault("error", "value", "singular matrix", np.ones((3, 3), np.float32))
def singular_solve(a):
    """a linear system with a singular matrix"""
    return jnp.sum(jnp.linalg.solve(a, jnp.ones(3)))  # <-


@fault("error", "value", "inf - inf is NaN", vector(1.0, 2.0))
def row_masked_throughout(x):
    """softmax of a row that is masked throughout"""
    scores = jnp.where(jnp.zeros(2, bool), x, -jnp.inf)
    return jax.nn.softmax(scores)[0]  # <-


@fault("error", "value", "too large for float16", vector(1e6))
def cast_overflows(x):
    """a cast that overflows"""
    half = x.astype(jnp.float16)  # <-
    return jnp.sum(half.astype(jnp.float32))


@fault("error", "value", "the argument x holds NaN", vector(1.0, np.nan))
def nan_argument(x):
    """NaN in an argument"""
    return jnp.sum(x**2)


@fault("error", "value", "division by zero", np.float32(3.0))
def loop_divides_by_zero(x):
    """division by zero at a step of a scan"""

    def step(carry, k):
        return carry + 1.0 / (x - k), None  # <-

    return jax.lax.scan(step, 0.0, jnp.arange(5.0))[0]


@fault("error", "value", "overflow in integer_pow", np.float32(3.0))
def while_overflows(x):
    """overflow at a step of a while loop"""

    def body(state):
        n, y = state
        return n + 1, y**2  # <-

    return jax.lax.while_loop(lambda s: s[0] < 20, body, (0, x))[1]


@fault("error", "value", "log(0) is -inf", np.float32(0.0))
def branch_that_is_taken(x):
    """log of 0 in the branch of a cond that is taken"""
    return jax.lax.cond(
        x < 1.0,
        lambda x: jnp.log(x),  # <-  # noqa: PLW0108
        lambda x: x,
        x,
    )


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def jitted_and_mapped(x):
    """log of 0 under jit and vmap"""

    @jax.jit
    def entropy(p):
        return -p * jnp.log(p)  # <-

    return jnp.sum(jax.vmap(entropy)(x))


@fault("error", "value", "log(0) is -inf", vector(0.0, 1.0))
def inside_of_custom_jvp(x):
    """log of 0 inside of a custom_jvp function"""

    @jax.custom_jvp
    def scaled_log(x):
        return 2.0 * jnp.log(x)  # <-

    scaled_log.defjvp(lambda p, t: (scaled_log(*p), 2.0 * t[0] / p[0]))
    return jnp.sum(scaled_log(x))


# Only the derivative is NaN or infinite.


@fault("error", "derivative", "sqrt has an infinite derivative at 0", vector(0.0, 1.0))
def sqrt_at_zero(x):
    """sqrt at 0"""
    return jnp.sum(jnp.sqrt(x))  # <-


@fault("error", "derivative", "a branch that where", vector(0.0, 1.0))
def untaken_sqrt(x):
    """sqrt at 0 in the branch that where does not take"""
    root = jnp.sqrt(x)  # <-
    return jnp.sum(jnp.where(x > 0, root, 0.0))


@fault("error", "derivative", "a branch that where", vector(0.0, 1.0))
def untaken_division(x):
    """division by zero in the branch that where does not take"""
    quotient = jnp.sin(x) / x  # <-
    return jnp.sum(jnp.where(x == 0, 1.0, quotient))


@fault("error", "derivative", "a branch that where", vector(-1.0, 1.0))
def untaken_log(x):
    """log of a negative number, squared away by where"""
    return jnp.sum(
        jnp.where(
            x > 0,
            jnp.sqrt(jnp.log(jnp.maximum(x, 0.0) + 1.0)),  # <-
            0.0,
        )
    )


@fault("error", "derivative", "a branch that where", vector(1000.0, 1.0))
def untaken_overflow(x):
    """overflow of exp in the branch that where does not take"""
    return jnp.sum(
        jnp.where(
            x > 10,
            x,
            jnp.log(1.0 + jnp.exp(x)),  # <-
        )
    )


@fault("error", "derivative", "norm at 0 has no derivative", vector(0.0, 0.0))
def norm_at_zero(x):
    """norm at 0"""
    return jnp.linalg.norm(x)  # <-


@fault("error", "derivative", "norm at 0 has no derivative", np.ones((3, 2), np.float32))
def pairwise_distances(x):
    """distances between all points, of a point to itself as well"""
    difference = x[:, None, :] - x[None, :, :]
    squares = jnp.sum(difference**2, axis=-1)
    return jnp.sum(jnp.sqrt(squares))  # <-


@fault("error", "derivative", "x**0.5 has an infinite derivative at 0", vector(0.0))
def root_as_power(x):
    """x**0.5 at 0"""
    return jnp.sum(x**0.5)  # <-


@fault("error", "derivative", "x**0.0 at 0", vector(0.0))
def zeroth_power(x):
    """x**0. at 0"""
    return jnp.sum(x**0.0)  # <-


@fault(
    "error",
    "derivative",
    "the derivative by the exponent",
    np.float32(-2.0),
    np.float32(2.0),
    argnums=(0, 1),
)
def exponent_of_negative(x, y):
    """the exponent of a negative number as an argument"""
    return x**y  # <-


@fault("error", "derivative", "asin has an infinite derivative at 1", vector(1.0))
def arcsin_at_edge(x):
    """arcsin at the edge of its domain"""
    return jnp.sum(jnp.arcsin(x))  # <-


@fault("error", "derivative", "acos has an infinite derivative at 1", vector(1.0, 0.0))
def angle_of_parallel_vectors(x):
    """the angle between parallel vectors"""
    cosine = jnp.dot(x, jnp.array([1.0, 0.0]))
    return jnp.arccos(cosine)  # <-


@fault("error", "derivative", "atan2(0, 0) has no derivative", vector(0.0, 0.0))
def angle_at_origin(x):
    """arctan2 at the origin"""
    return jnp.arctan2(x[0], x[1])  # <-


@fault("error", "derivative", "eigh with equal eigenvalues", np.eye(3, dtype=np.float32))
def degenerate_eigh(a):
    """eigenvectors of a matrix with equal eigenvalues"""
    values, vectors = jnp.linalg.eigh(a)  # <-
    return jnp.sum(vectors * jnp.arange(3.0)) + jnp.sum(values)


@fault("error", "derivative", "svd with equal singular values", np.eye(3, dtype=np.float32))
def degenerate_svd(a):
    """singular vectors of a matrix with equal singular values"""
    u, s, _ = jnp.linalg.svd(a)  # <-
    return jnp.sum(u * jnp.arange(3.0)) + jnp.sum(s)


@fault("error", "derivative", "sqrt has an infinite derivative at 0", np.float32(2.0))
def loop_reaches_root(x):
    """sqrt at 0 at a step of a scan"""

    def step(carry, k):
        return carry + jnp.sqrt(x - k), None  # <-

    return jax.lax.scan(step, 0.0, jnp.arange(3.0))[0]


@fault("error", "derivative", "0 / 0 is NaN", vector(0.0, 1.0))
def custom_rule(x):
    """a custom_jvp rule that divides by zero"""

    @jax.custom_jvp
    def smooth(x):
        return jnp.abs(x) ** 1.5

    @smooth.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        slope = 1.5 * x / jnp.sqrt(jnp.abs(x))  # <-
        return smooth(x), slope * t

    return jnp.sum(smooth(x))


# The gradient is exactly zero.


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
    "no differentiable path from parameters['w']: cut at argmax, catalogue.py:",
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


@fault("warning", "zero gradient", "a dead where", vector(-1.0, -2.0))
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


# Scales and precision.


@fault("warning", "scale", "the gradient by h vanishes", vector(0.5, -0.2))
def vanishing(h):
    """a recurrence whose gradient vanishes"""

    def step(h, _):
        return jnp.tanh(0.5 * h), None  # <-

    return jnp.sum(jax.lax.scan(step, h, None, length=60)[0])


@fault("warning", "scale", "the gradient by x explodes", vector(0.3))
def exploding(x):
    """a chaotic recurrence whose gradient explodes"""
    return jnp.sum(jax.lax.fori_loop(0, 60, lambda _, x: 3.9 * x * (1.0 - x), x))  # <-


@fault("warning", "precision", "loss of significance in log", vector(1e-9))
def log_near_one(x):
    """log(1 + x) of a small x"""
    return jnp.sum(jnp.log(1.0 + x))  # <-


@fault("warning", "precision", "loss of significance in sub", vector(1e-4))
def cosine_difference(x):
    """1 - cos(x) of a small x"""
    c = jnp.cos(x)
    return jnp.sum((1.0 - c) / x**2)  # <-


@fault("warning", "precision", "loss of significance in sub", vector(1000.0, 1000.1, 1000.2))
def naive_variance(x):
    """a variance as the difference of two means"""
    squares = jnp.mean(x**2)
    return squares - jnp.mean(x) ** 2  # <-


@fault("note", "precision", "a cast to a smaller dtype: float32 -> bfloat16", vector(1.5, 2.5))
def silent_cast(x):
    """a cast down in the middle"""
    low = x.astype(jnp.bfloat16)  # <-
    return jnp.sum(low.astype(jnp.float32) ** 2)


@fault("note", "precision", "weakly typed", 0.1, np.ones(3, jnp.bfloat16))
def weak_number(scale, x):
    """a Python number that takes a small dtype"""
    return jnp.sum(scale * x)  # <-


@fault("note", "precision", "the argument x is float64", np.ones(3))
def double_argument(x):
    """an argument of 64 bits where JAX has 32"""
    return jnp.sum(x**2)


# Kinks.


@fault(
    "note",
    "kink",
    "abs at 0 has a kink here: the slopes on its two sides are -1 and 1, and JAX takes 1",
    vector(0.0, 1.0),
)
def kink_of_abs(x):
    """abs at 0"""
    return jnp.sum(jnp.abs(x))  # <-


@fault("note", "kink", "slopes on its two sides are 0 and 1, and JAX takes 0", vector(0.0, 1.0))
def kink_of_relu(x):
    """relu at 0"""
    return jnp.sum(jax.nn.relu(x))  # <-


@fault("note", "kink", "slopes on its two sides are 0 and 1, and JAX takes 0.5", vector(0.0, 1.0))
def kink_of_maximum(x):
    """maximum(x, 0) at 0"""
    return jnp.sum(jnp.maximum(x, 0.0))  # <-


@fault(
    "note",
    "kink",
    "max with ties has a kink here at 2 elements: the slopes on its two sides are 0 and 1, and JAX takes "
    "0.5",
    vector(1.0, 1.0, 0.0),
)
def kink_of_ties(x):
    """the largest of two equal numbers"""
    return jnp.max(x) * 1.0  # <-


@fault(
    "note",
    "kink",
    "clip has a kink here: the slopes on its two sides are 1 and 0, and JAX takes 0.5",
    vector(1.0, 0.5),
)
def kink_of_clip(x):
    """clip at its limit"""
    return jnp.sum(jnp.clip(x, 0.0, 1.0))  # <-


@fault("note", "kink", "sort with ties has a kink here", vector(1.0, 1.0, 3.0))
def kink_of_sort(x):
    """the median of tied numbers"""
    return jnp.sort(x)[1]  # <-


@fault(
    "note",
    "kink",
    "where has a kink here: the slopes on its two sides are 0.01 and 1, and JAX takes 1",
    vector(0.0, 1.0),
)
def kink_of_where(x):
    """leaky_relu at 0"""
    return jnp.sum(jax.nn.leaky_relu(x))  # <-


def healthy() -> dict[str, tuple[Any, ...]]:
    """Functions without a fault, by name, each with its arguments: nothing must be found."""
    x = vector(0.3, -1.2, 2.1)
    positive = vector(0.5, 1.5, 2.5)
    a = np.array([[2.0, 0.3, 0.1], [0.3, 3.0, 0.2], [0.1, 0.2, 4.0]], np.float32)
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype(np.float32)
    kernel = np.random.default_rng(1).normal(size=(3, 3, 2, 2)).astype(np.float32)
    layers = {"w": 0.4 * a, "b": 0.1 * x}

    def network(p, x):
        return jnp.sum(jnp.tanh(p["w"] @ x + p["b"]) ** 2)

    def cross_entropy(w, x):
        return -jax.nn.log_softmax(w * x)[1]

    def safe_root(x):
        safe = jnp.where(x > 0, x, 1.0)
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(safe), 0.0) + x)

    def attention(q):
        mask = jnp.tril(jnp.ones((3, 3), bool))
        scores = jnp.where(mask, jnp.outer(q, q), -jnp.inf)
        return jnp.sum(jax.nn.softmax(scores, axis=-1) @ q * jnp.arange(1.0, 4.0))

    def recurrence(h, xs):
        return jax.lax.scan(lambda h, x: (jnp.tanh(h + x), h * x), h, xs)[0]

    def newton(a):
        def body(state):
            n, y = state
            return n + 1, 0.5 * (y + a / y)

        return jax.lax.while_loop(lambda s: s[0] < 4, body, (0, a))[1]

    def layer_norm(x):
        centred = x - jnp.mean(x)
        return jnp.sum(centred / jnp.sqrt(jnp.var(x) + 1e-5) * jnp.arange(3.0))

    @jax.custom_jvp
    def softsign(x):
        return x / (1 + jnp.abs(x))

    softsign.defjvp(lambda p, t: (softsign(*p), t[0] / (1 + jnp.abs(p[0])) ** 2))

    @jax.custom_vjp
    def clipped(x):
        return jnp.sum(x**2)

    clipped.defvjp(lambda x: (clipped(x), x), lambda x, c: (jnp.clip(2 * c * x, -1.0, 1.0),))

    return {
        "sin": (lambda x: jnp.sum(jnp.sin(x)), x),
        "a scalar": (jnp.cos, np.float32(0.4)),
        "polynomial": (lambda x: jnp.sum(x**3 - 2 * x**2 + 1), x),
        "vector output": (lambda x: jnp.stack([x[0] * x[1], x[2] ** 2]), x),
        "pytree output": (lambda x: {"a": jnp.sin(x), "b": (x[0],)}, x),
        "softmax itself": (jax.nn.softmax, x),
        "softmax of large numbers": (lambda x: jax.nn.softmax(x)[0], vector(99.0, 100.0)),
        "logsumexp": (lambda x: jax.scipy.special.logsumexp(100 * x), vector(0.99, 1.0)),
        "softplus of a large number": (lambda x: jnp.sum(jax.nn.softplus(x)), vector(90.0, 1.0)),
        "log": (lambda x: jnp.sum(jnp.log(x)), positive),
        "sqrt": (lambda x: jnp.sum(jnp.sqrt(x)), positive),
        "norm": (jnp.linalg.norm, x),
        "squared norm at 0 and a line": (lambda x: jnp.sum(x**2) + jnp.sum(x), vector(0.0, 0.0)),
        "double where": (safe_root, vector(-1.0, 2.0)),
        "double where at its limit": (safe_root, vector(0.0, 2.0)),
        "masked attention": (attention, x),
        "NaN that is dropped": (lambda x: jnp.sum(jnp.where(jnp.isnan(jnp.log(-x)), x, x)), positive),
        "infinity of a constant in a mask": (lambda x: jnp.max(jnp.where(x > 0, x, -jnp.inf)), x),
        "relu away from 0": (lambda x: jnp.sum(jax.nn.relu(x)), x),
        "some dead units": (lambda x: jnp.sum(jax.nn.relu(x) ** 2) + jnp.max(x), x),
        "elu at 0": (lambda x: jnp.sum(jax.nn.elu(x)), vector(0.0, 1.0)),
        "gelu and silu": (lambda x: jnp.sum(jax.nn.gelu(x) + jax.nn.silu(x)), x),
        "abs away from 0": (lambda x: jnp.sum(jnp.abs(x)), x),
        "sum of sorted ties": (lambda x: jnp.sum(jnp.sort(x)), vector(1.0, 1.0)),
        "median": (jnp.median, x),
        "clip inside": (lambda x: jnp.sum(jnp.clip(x, -5.0, 5.0)), x),
        "network": (network, layers, x),
        "cross entropy": (cross_entropy, x, x),
        "scan": (recurrence, np.float32(0.2), x),
        "while loop": (newton, np.float32(2.0)),
        "fori_loop": (lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * (1 + i) + 1.0, x).sum(), x),
        "cond": (lambda x: jax.lax.cond(x[0] > 0, jnp.sum, lambda x: jnp.sum(x**2), x), x),
        "bad branch that is not taken": (
            lambda x: jax.lax.cond(x == 0, lambda x: x, lambda x: jnp.sin(x) / x, x),
            np.float32(0.0),
        ),
        "bad branch under vmap": (
            jax.vmap(lambda t: jax.lax.cond(t == 0, lambda t: t, lambda t: jnp.sin(t) / t, t)),
            vector(0.0, 1.0),
        ),
        "vmap of grad": (lambda x: jnp.sum(jax.vmap(jax.grad(jnp.sin))(x)), x),
        "remat and jit": (jax.jit(jax.checkpoint(lambda x: jnp.sum(jnp.exp(jnp.sin(x))))), x),
        "custom_jvp": (lambda x: jnp.sum(softsign(x)), x),
        "custom_vjp": (clipped, x),
        "layer norm": (layer_norm, x),
        "cholesky": (lambda a: jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(a)))), a),
        "solve": (lambda a: jnp.sum(jnp.linalg.solve(a, jnp.arange(3.0))), a),
        "eigenvalues": (lambda a: jnp.sum(jnp.linalg.eigvalsh(a) ** 2), a),
        "eigenvalues that are equal": (
            lambda a: jnp.sum(jnp.linalg.eigvalsh(a)),
            np.eye(3, dtype=np.float32),
        ),
        "eigenvectors": (lambda a: jnp.linalg.eigh(a)[1][0, 0], a),
        "svd": (lambda a: jnp.sum(jnp.linalg.svd(a, compute_uv=False) ** 3), a),
        "determinant": (lambda a: jnp.linalg.slogdet(a)[1], a),
        "convolution": (
            lambda k, x: jnp.sum(
                jax.lax.conv_general_dilated(
                    x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                ** 2
            ),
            kernel,
            image,
        ),
        "gather and scatter": (lambda x: jnp.sum(x[jnp.array([2, 0])] * 2.0) + x.at[0].add(1.0)[1], x),
        "fft": (lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2), x),
        "complex": (
            lambda z: jnp.real(jnp.sum(z * jnp.conj(z))),
            np.array([1 + 2j, 0.5], np.complex64),
        ),
        "variance": (jnp.var, vector(1000.0, 1000.1, 1000.2)),
        "log1p and expm1": (lambda x: jnp.sum(jnp.log1p(x) + jnp.expm1(x)), vector(1e-9, 1e-3)),
        "xlogy at 0": (lambda x: jnp.sum(jax.scipy.special.xlogy(2.0, x)), positive),
        "straight through": (lambda x: jnp.sum(x + jax.lax.stop_gradient(jnp.round(x) - x)), x),
        "dropout": (
            lambda x: jnp.sum(jnp.where(jax.random.bernoulli(jax.random.key(0), 0.9, x.shape), x, 0.0)),
            x,
        ),
        "bfloat16": (lambda x: jnp.sum(x * x), np.ones(3, jnp.bfloat16)),
        "float16": (lambda x: jnp.sum(jnp.sin(x)), np.array([0.3, 0.5], np.float16)),
        "empty": (lambda x: jnp.sum(x**2), np.zeros(0, np.float32)),
        "a small gradient": (lambda x: 1e-9 * jnp.sum(x**2), x),
        "a large gradient": (lambda x: 1e12 * jnp.sum(jnp.sin(x)), x),
    }
