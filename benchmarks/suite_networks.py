"""Networks, small functions and pytrees for the planner's suite: mostly dense derivatives."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

if __package__:
    from benchmarks.problems import Problem, normal, weights
else:
    from problems import Problem, normal, weights


def layers(*widths: int) -> Problem:
    """tanh of dense layers of these widths, of one vector."""

    def f(x: Any, *matrices: Any) -> Any:
        for matrix in matrices:
            x = jnp.tanh(x @ matrix)
        return x

    return Problem(f, (normal(widths[0]), *weights(*pairwise(widths))))


def residual(width: int, depth: int) -> Problem:
    """Residual blocks, each a dense layer there and back."""

    def f(x: Any, *matrices: Any) -> Any:
        for into, out in zip(matrices[::2], matrices[1::2], strict=True):
            x = x + jax.nn.gelu(x @ into) @ out
        return x

    return Problem(f, (normal(width), *weights(*[(width, width)] * (2 * depth))))


def by_parameters(batch: int) -> Problem:
    """A network's outputs by its parameters, a dict: the matrix of a neural tangent kernel."""

    def f(parameters: Any, x: Any) -> Any:
        hidden = jnp.tanh(x @ parameters["a"] + parameters["b"])
        return (hidden @ parameters["c"]).reshape(-1)

    a, c = weights((8, 32), (32, 1))
    return Problem(f, ({"a": a, "b": normal(32), "c": c}, normal(batch, 8)))


def two_heads(batch: int) -> Problem:
    """A dict of two inputs to a dict of a vector and a number."""

    def f(inputs: Any, a: Any, b: Any) -> Any:
        hidden = jnp.tanh(inputs["left"] @ a + inputs["right"] @ b)
        return {"hidden": hidden, "energy": jnp.sum(hidden**2)}

    inputs = {"left": normal(batch, 16), "right": normal(batch, 16, seed=1)}
    return Problem(f, (inputs, *weights((16, 16), (16, 16))))


# ---- small ones


def tiny() -> Problem:
    def f(x: Any) -> Any:
        return jnp.stack([x[0] * x[1], jnp.sin(x[2]), x[0] * x[2] + x[1]])

    return Problem(f, (normal(3),))


def curve(points: int) -> Problem:
    """A curve: one number to many."""

    def f(t: Any, frequencies: Any) -> Any:
        return jnp.sin(frequencies * t) * jnp.exp(-t)

    return Problem(f, (jnp.float32(0.3), normal(points)))


def number(inputs: int) -> Problem:
    """Many to one number."""
    return Problem(lambda x, w: jnp.tanh(jnp.sum(w * x**2))[None], (normal(inputs), normal(inputs)))


def arm(joints: int) -> Problem:
    """The places of the joints of an arm in space, by the angles."""

    def f(angles: Any) -> Any:
        rotation, place, places = jnp.eye(3), jnp.zeros(3), []
        for k in range(joints):
            c, s = jnp.cos(angles[k]), jnp.sin(angles[k])
            turn = jnp.stack([c, -s, 0 * c, s, c, 0 * c, 0 * c, 0 * c, 1 + 0 * c]).reshape(3, 3)
            rotation = rotation @ (turn if k % 2 else turn[::-1, ::-1])
            place = place + rotation @ jnp.array([1.0, 0.0, 0.5])
            places.append(place)
        return jnp.concatenate(places)

    return Problem(f, (normal(joints),))


def quaternions(batch: int) -> Problem:
    """Quaternions to the turned vector, a batch that does not mix."""

    def f(q: Any, v: Any) -> Any:
        q = q / jnp.sqrt(jnp.sum(q**2, axis=-1, keepdims=True))
        w, u = q[:, :1], q[:, 1:]
        return v + 2 * jnp.cross(u, jnp.cross(u, v) + w * v)

    return Problem(f, (normal(batch, 4), normal(batch, 3, seed=1)))


# ---- convolution and attention


def signal(length: int) -> Problem:
    """Two convolutions over one signal with circular ends."""

    def f(x: Any, a: Any, b: Any) -> Any:
        hidden = jnp.tanh(_line(jnp.pad(x[None, :, None], ((0, 0), (2, 2), (0, 0)), "wrap"), a))
        return _line(hidden, b)[0, :, 0]

    return Problem(f, (normal(length), *weights((3, 1, 8), (3, 8, 1))))


def _line(x: Any, kernel: Any) -> Any:
    return lax.conv_general_dilated(x, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))


def classifier(size: int) -> Problem:
    """An image to ten numbers: convolution, pooling, a dense layer."""

    def f(image: Any, kernel: Any, matrix: Any) -> Any:
        dimensions = ("NHWC", "HWIO", "NHWC")
        hidden = lax.conv_general_dilated(
            image[None, :, :, None], kernel, (1, 1), "SAME", dimension_numbers=dimensions
        )
        window = (1, 2, 2, 1)
        pooled = lax.reduce_window(jax.nn.relu(hidden), -jnp.inf, lax.max, window, window, "VALID")
        return jax.nn.log_softmax(pooled.reshape(-1) @ matrix)

    features = (size // 2) ** 2 * 8
    return Problem(f, (normal(size, size), *weights((3, 3, 1, 8), (features, 10))))


def transformer(tokens: int, width: int) -> Problem:
    """One block over one sequence: norm, attention with two heads, norm, a dense network."""

    def norm(x: Any) -> Any:
        centered = x - jnp.mean(x, -1, keepdims=True)
        return centered * lax.rsqrt(jnp.mean(centered**2, -1, keepdims=True) + 1e-5)

    def f(x: Any, q: Any, k: Any, v: Any, a: Any, b: Any) -> Any:
        def heads(m: Any) -> Any:
            return (norm(x) @ m).reshape(tokens, 2, width // 2)

        scores = jnp.einsum("thd,shd->hts", heads(q), heads(k)) / jnp.sqrt(width / 2)
        mixed = jnp.einsum("hts,shd->thd", jax.nn.softmax(scores), heads(v))
        x = x + mixed.reshape(tokens, width)
        return x + jax.nn.gelu(norm(x) @ a) @ b

    square = (width, width)
    shapes = (square, square, square, (width, 2 * width), (2 * width, width))
    return Problem(f, (normal(tokens, width), *weights(*shapes)))


# ---- scalar functions, for the Hessian


def loss_by_parameters(width: int) -> Problem:
    def f(parameters: Any, x: Any, y: Any) -> Any:
        hidden = jnp.tanh(x @ parameters["a"] + parameters["b"])
        return jnp.mean((hidden @ parameters["c"] - y) ** 2)

    a, c = weights((4, width), (width, 1))
    parameters = {"a": a, "b": normal(width), "c": c}
    return Problem(f, (parameters, normal(64, 4), normal(64, 1, seed=1)), order=2)


def logistic(features: int) -> Problem:
    """Logistic regression over 500 samples."""

    def f(w: Any, x: Any, y: Any) -> Any:
        return jnp.mean(jax.nn.softplus(-y * (x @ w))) + 0.01 * jnp.sum(w**2)

    samples = normal(500, features, seed=1)
    return Problem(f, (normal(features), samples, jnp.sign(normal(500, seed=2))), order=2)


def network_energy(width: int) -> Problem:
    """A deep scalar network by its input, as a learned potential."""

    def f(x: Any, *matrices: Any) -> Any:
        for matrix in matrices:
            x = jax.nn.softplus(x @ matrix)
        return jnp.sum(x)

    return Problem(f, (normal(width), *weights(*[(width, width)] * 3)), order=2)


def tiny_scalar() -> Problem:
    return Problem(lambda x: x[0] ** 2 * x[1] + jnp.sin(x[2]), (normal(3),), order=2)
