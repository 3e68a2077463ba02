"""Numerical derivatives as contenders: jaxcalc.numerical, numdifftools, scipy.differentiate.

All are called with their defaults, in float64. The functions are written for numpy and JAX alike, and
for points along further axes, which is how `scipy.differentiate` calls them: with a function of one
point it would return a transposed matrix.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc import numerical

if __package__:
    from benchmarks.peers import Ready
else:
    from peers import Ready


@dataclass(frozen=True)
class Point:
    """A function and where to differentiate it.

    Attributes:
        f: given numpy or `jax.numpy`, and x: a number, or a vector along the first axis.
        x: the point.
    """

    f: Callable[[Any, Any], Any]
    x: np.ndarray

    def in_jax(self, x: Any) -> Any:
        """f for JAX."""
        return self.f(jnp, x)

    def in_numpy(self, x: Any) -> Any:
        """f for numpy."""
        return self.f(np, x)

    def exact(self) -> np.ndarray:
        """The derivative from `jax.jacfwd`, in float64."""
        with jax.enable_x64(True):
            return np.asarray(jax.jacfwd(self.in_jax)(jnp.asarray(self.x)))


def evaluation(problem: Point) -> Ready:
    return Ready(lambda: problem.in_numpy(problem.x))


def exactly(problem: Point) -> Ready:
    derivative = jaxcalc.jacobian(problem.in_jax)
    x = jnp.asarray(problem.x)
    return Ready(lambda: derivative(x), dense=np.asarray)


def jaxcalc_numerical(problem: Point) -> Ready:
    derivative = numerical.jacobian(problem.in_jax)
    x = jnp.asarray(problem.x)
    return Ready(lambda: derivative(x), dense=lambda found: np.asarray(found.value))


def jaxcalc_of_numpy(problem: Point) -> Ready:
    """The same of a function that JAX cannot trace."""
    derivative = numerical.jacobian(problem.in_numpy)
    return Ready(lambda: derivative(problem.x), dense=lambda found: np.asarray(found.value))


def numdifftools(problem: Point) -> Ready:
    library = importlib.import_module("numdifftools")
    derive = library.Jacobian if problem.x.ndim else library.Derivative
    derivative = derive(problem.in_numpy)
    return Ready(lambda: derivative(problem.x), dense=np.asarray)


def scipy_differentiate(problem: Point) -> Ready:
    library = importlib.import_module("scipy.differentiate")
    derive = library.jacobian if problem.x.ndim else library.derivative
    return Ready(lambda: derive(problem.in_numpy, problem.x), dense=lambda found: np.asarray(found.df))


CONTENDERS = {
    "f": evaluation,
    "jaxcalc.numerical": jaxcalc_numerical,
    "jaxcalc.numerical, f in numpy": jaxcalc_of_numpy,
    "numdifftools": numdifftools,
    "scipy.differentiate": scipy_differentiate,
    "jaxcalc, exact": exactly,
}


def error(problem: Point, ready: Ready, result: Any) -> float:
    """The largest difference from the exact derivative, relative to its largest entry."""
    assert ready.dense is not None
    expected = problem.exact()
    off = np.abs(ready.dense(result).reshape(expected.shape) - expected)
    return float(np.max(off) / np.max(np.abs(expected)))


def vector(n: int) -> Point:
    """A vector function in which each output depends on two inputs."""
    x = np.random.default_rng(0).uniform(0.2, 1.0, n)
    return Point(lambda xp, v: xp.sin(v) * xp.exp(v[0]) + v**2, x)


FUNCTIONS: Mapping[str, tuple[Callable[[Any, Any], Any], float]] = {
    "exp(x) at 1": (lambda xp, x: xp.exp(x), 1.0),
    "sin(x) at 1000": (lambda xp, x: xp.sin(x), 1000.0),
    "x^9 at 0.01": (lambda _, x: x**9, 0.01),
    "tanh(50 x) at 0.01": (lambda xp, x: xp.tanh(50 * x), 0.01),
    "1 / (0.0001 + x^2) at 0.01": (lambda _, x: 1 / (1e-4 + x**2), 0.01),
    "sqrt(x) at 0.001": (lambda xp, x: xp.sqrt(xp.abs(x)), 0.001),
    "x + sin(200 x) at 0.3": (lambda xp, x: x + xp.sin(200 * x), 0.3),
}


def scalar(label: str) -> Point:
    """One of `FUNCTIONS`, of a number."""
    f, x = FUNCTIONS[label]
    return Point(f, np.asarray(x))
