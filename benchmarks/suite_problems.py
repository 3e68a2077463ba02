"""Linear algebra, loops, particles and structured functions for the planner's suite."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

if __package__:
    from benchmarks.problems import Problem, normal, weights
else:
    from problems import Problem, normal, weights


# ---- linear algebra


def solve(n: int) -> Problem:
    """A linear system by its diagonal."""

    def f(x: Any, a: Any, b: Any) -> Any:
        return jnp.linalg.solve(a + jnp.diag(x), b)

    return Problem(f, (5 + normal(n), *weights((n, n)), normal(n, seed=3)))


def inverse(n: int) -> Problem:
    return Problem(jnp.linalg.inv, (5 * jnp.eye(n) + normal(n, n, scale=0.3),))


def cholesky(n: int) -> Problem:
    """The factor of a covariance by the places of n points on a line."""

    def f(x: Any) -> Any:
        return jnp.linalg.cholesky(jnp.exp(-((x[:, None] - x) ** 2)) + 0.1 * jnp.eye(n))

    return Problem(f, (normal(n),))


def eigenvalues(n: int) -> Problem:
    def f(x: Any, a: Any) -> Any:
        return jnp.linalg.eigvalsh(a + a.T + jnp.diag(x))

    return Problem(f, (normal(n), *weights((n, n))))


def matrix_square(n: int) -> Problem:
    return Problem(lambda a: a @ a, (normal(n, n),))


def power_spectrum(n: int) -> Problem:
    return Problem(lambda x: jnp.abs(jnp.fft.rfft(x)) ** 2, (normal(n),))


# ---- loops


def recurrent(steps: int) -> Problem:
    """A recurrent network over one sequence, all states returned: block lower triangular."""

    def f(inputs: Any, a: Any, b: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            state = jnp.tanh(state @ a + x @ b)
            return state, state

        return lax.scan(step, jnp.zeros(16), inputs)[1]

    return Problem(f, (normal(steps, 4), *weights((16, 16), (4, 16))))


def neural_ode(width: int) -> Problem:
    """50 Euler steps along a dense network."""

    def f(x: Any, a: Any, b: Any) -> Any:
        return lax.fori_loop(0, 50, lambda _, y: y + 0.02 * jnp.tanh(y @ a) @ b, x)

    return Problem(f, (normal(width), *weights((width, width), (width, width))))


def lorenz_63(steps: int) -> Problem:
    """Three numbers, many steps."""

    def f(x: Any) -> Any:
        def step(y: Any, _: Any) -> Any:
            x, y, z = y
            slope = jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
            return jnp.stack([x, y, z]) + 0.005 * slope, None

        return lax.scan(step, x, length=steps)[0]

    return Problem(f, (normal(3),))


def logistic_maps(n: int) -> Problem:
    """Numbers that do not mix, 300 steps each."""

    def f(x: Any) -> Any:
        return lax.fori_loop(0, 300, lambda _, y: 3.5 * y * (1 - y), x)

    return Problem(f, (0.2 + 0.05 * jnp.tanh(normal(n)),))


def newton_roots(n: int) -> Problem:
    """Newton's method until all have converged; a while loop, so forward mode only."""

    def f(a: Any) -> Any:
        def go_on(carry: Any) -> Any:
            y, k = carry
            return (jnp.max(jnp.abs(y * y * y - a)) > 1e-3) & (k < 50)

        def step(carry: Any) -> Any:
            y, k = carry
            return y - (y * y * y - a) / (3 * y * y), k + 1

        return lax.while_loop(go_on, step, (1 + 0 * a, 0))[0]

    return Problem(f, (1 + normal(n) ** 2,))


def diffusion_steps(n: int) -> Problem:
    """Ten steps of diffusion in a loop: a band of ten to each side."""

    def f(x: Any) -> Any:
        def step(_: Any, y: Any) -> Any:
            p = jnp.pad(y, 1)
            return y + 0.1 * (1 + y**2) * (p[2:] + p[:-2] - 2 * y)

        return lax.fori_loop(0, 10, step, x)

    return Problem(f, (normal(n, scale=0.3),))


def sinkhorn(n: int) -> Problem:
    """An entropic transport plan by its cost matrix, 20 rounds."""

    def f(costs: Any) -> Any:
        kernel = jnp.exp(-costs)

        def step(carry: Any, _: Any) -> Any:
            _, v = carry
            u = 1 / (kernel @ v)
            return (u, 1 / (kernel.T @ u)), None

        (u, v), _ = lax.scan(step, (jnp.ones(n), jnp.ones(n)), length=20)
        return u[:, None] * kernel * v

    return Problem(f, (normal(n, n) ** 2,))


def kalman(steps: int) -> Problem:
    """The filtered means of a Kalman filter by the observations."""

    def f(observed: Any, a: Any, c: Any) -> Any:
        def step(carry: Any, y: Any) -> Any:
            mean, covariance = carry
            mean, covariance = a @ mean, a @ covariance @ a.T + 0.1 * jnp.eye(4)
            gain = jnp.linalg.solve(c @ covariance @ c.T + 0.1 * jnp.eye(2), c @ covariance).T
            mean = mean + gain @ (y - c @ mean)
            return (mean, covariance - gain @ c @ covariance), mean

        return lax.scan(step, (jnp.zeros(4), jnp.eye(4)), observed)[1]

    return Problem(f, (normal(steps, 2), *weights((4, 4), (2, 4))))


# ---- structure


def elementwise(n: int) -> Problem:
    return Problem(lambda x: jnp.sin(x) * x, (normal(n),))


def cumulative(n: int) -> Problem:
    return Problem(lambda x: jnp.cumsum(jnp.exp(x)), (normal(n),))


def sorted_values(n: int) -> Problem:
    return Problem(lambda x: jnp.sort(x) ** 2, (normal(n),))


def arrow(n: int) -> Problem:
    """Values of their own, and one sum of all."""
    return Problem(lambda x: jnp.concatenate([jnp.sum(x**2)[None], x[1:] * x[0]]), (normal(n),))


def normalized(n: int) -> Problem:
    """A diagonal and a matrix of rank one."""
    return Problem(lambda x: x / jnp.sqrt(jnp.sum(x**2)), (normal(n),))


def wide_gather(n: int) -> Problem:
    """A few of many inputs (jax issue 719)."""
    chosen = np.arange(0, n, n // 50)
    return Problem(lambda x: x[chosen] ** 2, (normal(n),))


def polynomials(batch: int) -> Problem:
    """Three coefficients to values at two places, for each sample."""

    def f(c: Any) -> Any:
        places = jnp.array([0.5, 2.0])
        return c[:, :1] + c[:, 1:2] * places + jnp.exp(c[:, 2:]) * places**2

    return Problem(f, (normal(batch, 3),))


def interpolated(n: int) -> Problem:
    """Values between grid points, at places that are not known beforehand."""

    def f(places: Any, grid: Any) -> Any:
        cell = jnp.clip(jnp.floor(places).astype(int), 0, grid.shape[0] - 2)
        part = places - cell
        return grid[cell] * (1 - part) + grid[cell + 1] * part

    return Problem(f, (jnp.abs(normal(n, scale=10.0)), normal(64)))


def bodies(n: int) -> Problem:
    """Accelerations of n bodies in space by their places."""

    def f(places: Any, masses: Any) -> Any:
        away = places[None] - places[:, None]
        distance = jnp.sqrt(jnp.sum(away**2, -1) + 0.1)
        return jnp.sum(masses[None, :, None] * away / distance[..., None] ** 3, 1)

    return Problem(f, (normal(n, 3), 1 + normal(n, seed=1) ** 2))


# ---- scalar functions, for the Hessian


def lennard_jones(n: int) -> Problem:
    def f(places: Any) -> Any:
        i, j = np.triu_indices(n, 1)
        inverse = 1 / (jnp.sum((places[i] - places[j]) ** 2, -1) + 0.1)
        return jnp.sum(inverse**6 - inverse**3)

    return Problem(f, (normal(n, 3),), order=2)


def mixture(clusters: int) -> Problem:
    """The negative log likelihood of a mixture of normal distributions by the means."""

    def f(means: Any, samples: Any) -> Any:
        distance = jnp.sum((samples[:, None] - means) ** 2, -1)
        return -jnp.sum(jax.nn.logsumexp(-distance / 2, axis=1))

    return Problem(f, (normal(clusters, 3), normal(300, 3, seed=1)), order=2)


def separable(n: int) -> Problem:
    return Problem(lambda x: jnp.sum(jnp.cosh(x) * x), (normal(n),), order=2)


def log_determinant(n: int) -> Problem:
    def f(x: Any, a: Any) -> Any:
        return jnp.linalg.slogdet(a @ a.T + jnp.diag(x**2))[1]

    return Problem(f, (1 + normal(n) ** 2, *weights((n, n))), order=2)


def field(n: int) -> Problem:
    """The action of a scalar field on an n x n lattice."""

    def f(u: Any) -> Any:
        steps = (u - jnp.roll(u, 1, axis) for axis in (0, 1))
        return sum(jnp.sum(d**2) for d in steps) + jnp.sum(u**4 - u**2)

    return Problem(f, (normal(n, n),), order=2)


def trajectory(states: int) -> Problem:
    """The energy after 50 steps by the state at the start: a loop in a scalar function."""

    def f(x: Any, a: Any) -> Any:
        def step(y: Any, _: Any) -> Any:
            y = y + 0.05 * jnp.tanh(a @ y)
            return y, jnp.sum(y**2)

        return jnp.sum(lax.scan(step, x, length=50)[1])

    return Problem(f, (normal(states), *weights((states, states))), order=2)


def portfolio(n: int) -> Problem:
    """A quadratic form with costs of their own, of a pytree of two vectors."""

    def f(holdings: Any, a: Any) -> Any:
        both = jnp.concatenate([holdings["long"], -holdings["short"]])
        return both @ a @ both + jnp.sum(jnp.exp(holdings["long"]))

    holdings = {"long": normal(n), "short": normal(n, seed=1)}
    return Problem(f, (holdings, *weights((2 * n, 2 * n))), order=2)
