"""The objectives of ADBench, written in vectorized JAX, on random data.

Srajer, Kukelova and Fitzgibbon, *A benchmark of selected algorithmic differentiation tools for problems
in computer vision and machine learning*, 2018; github.com/microsoft/ADBench.

Parameters are one flat vector, as an optimizer passes them.
"""

from __future__ import annotations

from math import lgamma, log, pi
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import sigmoid

if __package__:
    from benchmarks.problems import Problem, normal
else:
    from problems import Problem, normal


def _cut(flat: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """A flat vector as arrays of these shapes."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(jnp.split(flat, ends[:-1]), shapes, strict=True)]


def _joined(*arrays: Any) -> Any:
    return jnp.concatenate([jnp.ravel(a) for a in arrays])


# ---- bundle adjustment


def bundle(observations: int) -> Problem:
    """Errors of points projected into cameras, and of the observations' weights.

    A camera has 11 parameters: rotation 3, center 3, focal length, principal point 2, radial distortion
    2. There are 500 observations for a camera and 5 for a point. A row of the reprojection error
    depends on one coordinate of the principal point, so on 10 camera parameters, 3 coordinates of the
    point and 1 weight; ADBench counts the other coordinate, whose derivative is zero, as a 15th.
    """
    cameras, points = max(2, observations // 500), max(4, observations // 5)
    generator = np.random.default_rng(3)
    camera = generator.permutation(np.arange(observations) % cameras)
    point = generator.permutation(np.arange(observations) % points)

    def f(flat: Any, features: Any) -> Any:
        each, place, weight = _cut(flat, (cameras, 11), (points, 3), (observations,))
        projected = _project(each[camera], place[point])
        return _joined(weight[:, None] * (projected - features), 1 - weight**2)

    each = jnp.tile(jnp.asarray([0, 0, 0, 0, 0, -6, 1, 0, 0, 0, 0], jnp.float32), (cameras, 1))
    flat = _joined(
        each + normal(cameras, 11, scale=0.1),
        normal(points, 3, scale=0.5, seed=1),
        1 + normal(observations, scale=0.1, seed=2),
    )
    return Problem(f, (flat, normal(observations, 2, scale=0.1, seed=4)))


def _project(camera: Any, place: Any) -> Any:
    rotation, center, focal, principal, radial = jnp.split(camera, (3, 6, 7, 9), axis=-1)
    seen = _rotated(rotation, place - center)
    flat = seen[:, :2] / seen[:, 2:]
    square = jnp.sum(flat**2, axis=-1, keepdims=True)
    return flat * (1 + radial[:, :1] * square + radial[:, 1:] * square**2) * focal + principal


def _rotated(rotation: Any, place: Any) -> Any:
    """Rodrigues' formula; its first-order part where the angle is zero."""
    square = jnp.sum(rotation**2, axis=-1, keepdims=True)
    angle = jnp.sqrt(jnp.where(square > 0, square, 1))
    axis = rotation / angle
    along = jnp.sum(axis * place, axis=-1, keepdims=True) * (1 - jnp.cos(angle))
    turned = place * jnp.cos(angle) + jnp.cross(axis, place) * jnp.sin(angle) + axis * along
    return jnp.where(square > 0, turned, place + jnp.cross(rotation, place))


# ---- Gaussian mixtures

_COMPONENTS, _DIMENSIONS = 5, 10


def mixture(samples: int) -> Problem:
    """The log likelihood of all samples, with a Wishart prior: a scalar."""

    def f(flat: Any, x: Any) -> Any:
        weight, *_ = parameters = _mixture_parameters(flat, _COMPONENTS, _DIMENSIONS)
        whole = jnp.sum(_likelihoods(*parameters, x)) - samples * jax.nn.logsumexp(weight)
        return whole + _prior(parameters[2])

    return Problem(f, _mixture_data(samples, _COMPONENTS, _DIMENSIONS))


def mixture_of_each(samples: int) -> Problem:
    """The log likelihood of each sample, whose Jacobian gives the Fisher information."""

    def f(flat: Any, x: Any) -> Any:
        weight, *_ = parameters = _mixture_parameters(flat, _COMPONENTS, _DIMENSIONS)
        return _likelihoods(*parameters, x) - jax.nn.logsumexp(weight)

    return Problem(f, _mixture_data(samples, _COMPONENTS, _DIMENSIONS))


def mixture_hessian(samples: int) -> Problem:
    """The Hessian of the log likelihood of 3 components in 4 dimensions."""

    def f(flat: Any, x: Any) -> Any:
        weight, *_ = parameters = _mixture_parameters(flat, 3, 4)
        whole = jnp.sum(_likelihoods(*parameters, x)) - samples * jax.nn.logsumexp(weight)
        return whole + _prior(parameters[2])

    return Problem(f, _mixture_data(samples, 3, 4), order=2)


def _mixture_data(samples: int, components: int, dimensions: int) -> tuple[Any, Any]:
    count = components * (1 + dimensions + dimensions * (dimensions + 1) // 2)
    return normal(count, scale=0.5), normal(samples, dimensions, seed=1)


def _mixture_parameters(flat: Any, components: int, dimensions: int) -> list[Any]:
    """Logarithms of weights, means, and factors of the inverse covariances, diagonal first."""
    size = dimensions * (dimensions + 1) // 2
    return _cut(flat, (components,), (components, dimensions), (components, size))


def _likelihoods(weight: Any, mean: Any, factor: Any, x: Any) -> Any:
    dimensions = x.shape[1]
    diagonal, rest = factor[:, :dimensions], factor[:, dimensions:]
    below = np.tril_indices(dimensions, -1)
    lower = jnp.zeros((len(factor), dimensions, dimensions), x.dtype).at[:, *below].set(rest)
    centered = x[:, None] - mean
    scaled = jnp.exp(diagonal) * centered + jnp.einsum("kij,nkj->nki", lower, centered)
    inner = weight + jnp.sum(diagonal, axis=1) - 0.5 * jnp.sum(scaled**2, axis=-1)
    return jax.nn.logsumexp(inner, axis=1) - dimensions * 0.5 * log(2 * pi)


def _prior(factor: Any, gamma: float = 1.0, extra: int = 0) -> Any:
    components, size = factor.shape
    dimensions = int((np.sqrt(8 * size + 1) - 1) / 2)
    degrees = dimensions + extra + 1
    diagonal, rest = factor[:, :dimensions], factor[:, dimensions:]
    squares = jnp.sum(jnp.exp(diagonal) ** 2) + jnp.sum(rest**2)
    constant = degrees * dimensions * log(gamma / 2**0.5) - _log_gamma(0.5 * degrees, dimensions)
    return 0.5 * gamma**2 * squares - extra * jnp.sum(diagonal) - components * constant


def _log_gamma(a: float, p: int) -> float:
    """The logarithm of the multivariate gamma function."""
    return p * (p - 1) / 4 * log(pi) + sum(lgamma(a - j / 2) for j in range(p))


# ---- long short-term memory

_LAYERS, _BITS = 2, 14


def memory_loss(times: int) -> Problem:
    """The loss of predicting the next of a sequence of characters, 14 bits each; a scalar."""

    def f(flat: Any, state: Any, sequence: Any) -> Any:
        main, extra = _cut(flat, (_LAYERS, 2, 4, _BITS), (3, _BITS))

        def step(state: Any, pair: Any) -> tuple[Any, Any]:
            now, following = pair
            guess, state = _predict(main, extra, state, now)
            return state, jnp.sum(following * (guess - jnp.log(jnp.sum(jnp.exp(guess)) + 2)))

        _, terms = lax.scan(step, state, (sequence[:-1], sequence[1:]))
        return -jnp.sum(terms) / (times * _BITS)

    parameters = normal(_LAYERS * 8 * _BITS + 3 * _BITS, scale=0.5)
    sequence = (normal(times + 1, _BITS, seed=2) > 0).astype(jnp.float32)
    return Problem(f, (parameters, normal(_LAYERS, 2, _BITS, scale=0.5, seed=1), sequence))


def _predict(main: Any, extra: Any, state: Any, x: Any) -> tuple[Any, Any]:
    """Layers whose units don't mix: ADBench's weights are vectors."""
    x = x * extra[0]
    after = []
    for (weight, bias), (hidden, cell) in zip(main, state, strict=True):
        forget = sigmoid(x * weight[0] + bias[0])
        into = sigmoid(hidden * weight[1] + bias[1])
        out = sigmoid(x * weight[2] + bias[2])
        cell = cell * forget + into * jnp.tanh(hidden * weight[3] + bias[3])  # noqa: PLW2901
        x = out * jnp.tanh(cell)
        after.append(jnp.stack([x, cell]))
    return x * extra[1] + extra[2], jnp.stack(after)


# ---- hand tracking

_FINGERS, _VERTICES = 5, 500
_BONES = 1 + 4 * _FINGERS
_PARENTS = [-1, *(0 if k % 4 == 0 else k for k in range(_BONES - 1))]
_ANGLES = 6 + 4 * _FINGERS


def hand(points: int) -> Problem:
    """Where a skinned hand's vertices are, against measured points; 26 parameters of the pose."""
    vertex = np.random.default_rng(5).integers(_VERTICES, size=points)

    def f(pose: Any, measured: Any, *model: Any) -> Any:
        return measured - _vertices(pose, *model)[vertex]

    return Problem(f, (normal(_ANGLES, scale=0.3), normal(points, 3, seed=1), *_hand_model()))


def hand_surface(points: int) -> Problem:
    """The same, with 2 more parameters for each point: where on its triangle it is."""
    triangle = np.random.default_rng(5).integers(_VERTICES, size=(points, 3))

    def f(flat: Any, measured: Any, *model: Any) -> Any:
        inside, pose = _cut(flat, (points, 2), (_ANGLES,))
        corner = _vertices(pose, *model)[triangle]
        u, v = inside[:, :1], inside[:, 1:]
        return measured - (u * corner[:, 0] + v * corner[:, 1] + (1 - u - v) * corner[:, 2])

    flat = _joined(0.3 + normal(points, 2, scale=0.1), normal(_ANGLES, scale=0.3, seed=6))
    return Problem(f, (flat, normal(points, 3, seed=1), *_hand_model()))


def _hand_model() -> tuple[Any, ...]:
    """Bones at rest, beside their parents and inverted, vertices, and their shares of the bones."""
    beside = jnp.tile(jnp.eye(4), (_BONES, 1, 1)).at[:, :3, 3].set(normal(_BONES, 3, seed=2))
    inverse = jnp.linalg.inv(_chained(beside))
    vertices = jnp.concatenate([normal(_VERTICES, 3, seed=3), jnp.ones((_VERTICES, 1))], axis=1)
    return beside, inverse, vertices, jax.nn.softmax(normal(_VERTICES, _BONES, scale=2.0, seed=4))


def _vertices(pose: Any, beside: Any, inverse: Any, vertices: Any, share: Any) -> Any:
    turn = jnp.zeros((_BONES, 4, 4), pose.dtype).at[:, 3, 3].set(1)
    turn = turn.at[:, :3, :3].set(_euler(_bone_angles(pose)))
    moved = _chained(beside @ turn) @ inverse
    skinned = jnp.einsum("vb,bij,vj->vi", share, moved, vertices)[:, :3]
    return _rotated(jnp.broadcast_to(pose[:3], skinned.shape), skinned) + pose[3:6]


def _bone_angles(pose: Any) -> Any:
    """Two angles at the first joint of a finger, one at the others, none at its base and the wrist."""
    of_fingers = pose[6:].reshape(_FINGERS, 4)
    bends = jnp.pad(of_fingers[:, (0, 2, 3)], ((0, 0), (1, 0)))
    spreads = jnp.pad(of_fingers[:, 1:2], ((0, 0), (1, 2)))
    angles = jnp.stack([bends, spreads, jnp.zeros_like(bends)], axis=-1).reshape(-1, 3)
    return jnp.pad(angles, ((1, 0), (0, 0)))


def _euler(angles: Any) -> Any:
    """Rotation matrices from angles about x, z and y."""
    x, z, y = angles.T
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)

    def matrix(*entries: Any) -> Any:
        return jnp.stack(entries, axis=-1).reshape(-1, 3, 3)

    about_x = matrix(one, zero, zero, zero, jnp.cos(x), -jnp.sin(x), zero, jnp.sin(x), jnp.cos(x))
    about_y = matrix(jnp.cos(y), zero, -jnp.sin(y), zero, one, zero, jnp.sin(y), zero, jnp.cos(y))
    about_z = matrix(jnp.cos(z), -jnp.sin(z), zero, jnp.sin(z), jnp.cos(z), zero, zero, zero, one)
    return about_z @ about_y @ about_x


def _chained(beside: Any) -> Any:
    """Each bone's transformation times those of its ancestors."""
    absolute: list[Any] = []
    for bone, parent in enumerate(_PARENTS):
        absolute.append(beside[bone] if parent < 0 else absolute[parent] @ beside[bone])
    return jnp.stack(absolute)
