"""Batches of solves by diffrax and optimistix, and loops of equinox, keep one block for each sample."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from tests.ecosystem.packages import package

diffrax = package("diffrax")
equinox = package("equinox")
optimistix = package("optimistix")

STARTS = np.random.default_rng(0).normal(size=(3, 2))


def pendulum(t, y, args):
    return jnp.stack([y[1], -jnp.sin(y[0]) - 0.1 * y[1]])


def solution(solver, adjoint):
    """The state of one sample at time one, as a function of its start."""

    def solved(start):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(pendulum), getattr(diffrax, solver)(), 0.0, 1.0, 0.1, start,
            adjoint=getattr(diffrax, adjoint)(), max_steps=16,
            stepsize_controller=diffrax.PIDController(rtol=1e-2, atol=1e-3),
        ).ys[-1]  # fmt: skip

    return solved


@cache
def by_jax(solver):
    """The blocks, from JAX, one sample after the other; those of all adjoints are the same."""
    block = jax.jit(jax.jacfwd(solution(solver, "ForwardMode")))
    return jax.scipy.linalg.block_diag(*map(block, STARTS))


BLOCKS = [
    ("Tsit5", "ForwardMode", "forward"),
    ("Heun", "DirectAdjoint", "reverse"),
    ("Kvaerno3", "RecursiveCheckpointAdjoint", "reverse"),
    ("Kvaerno3", "RecursiveCheckpointAdjoint", "forward"),
    ("Kvaerno3", "DirectAdjoint", "forward"),
    ("Kvaerno3", "DirectAdjoint", "reverse"),
    ("Kvaerno3", "ForwardMode", "forward"),
]


@pytest.mark.parametrize(("solver", "adjoint", "mode"), BLOCKS)
def test_diffrax(solver, adjoint, mode):
    batch = jax.vmap(solution(solver, adjoint))
    jacobian = jaxcalc.jacobian(batch, format="structured", mode=mode)
    try:
        found = jacobian(STARTS)
    except ValueError as error:
        if "generic_batching" not in str(error):
            raise
        pytest.skip(f"this JAX does not batch the backward rules of equinox' loops: {error}")
    assert found.nnz == 3 * 2 * 2
    np.testing.assert_allclose(found.todense().reshape(6, 6), by_jax(solver), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_roots(mode):
    """Each p has the root of u + u³ = p."""

    def root(p):
        solver = optimistix.Newton(rtol=1e-12, atol=1e-12)
        return optimistix.root_find(lambda u, p: u + u**3 - p, solver, p, args=p).value

    p = np.array([0.5, 2.0, 10.0])  # 2 = 1 + 1³, 10 = 2 + 2³
    found = jaxcalc.jacobian(jax.vmap(root), format="structured", mode=mode)(p)
    assert found.nnz == 3
    np.testing.assert_allclose(np.asarray(found.values)[1:], [1 / 4, 1 / 13], rtol=1e-10)


def test_a_while_loop_of_equinox():
    def f(x):
        step = lambda y: 0.5 * jnp.sin(y) + y  # noqa: E731
        return equinox.internal.while_loop(
            lambda y: jnp.sum(y) < 50.0, step, x, max_steps=8, kind="checkpointed"
        )

    x = np.array([0.3, 0.7, 1.1])
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    assert found.nnz == 3
    np.testing.assert_allclose(found.todense(), jax.jit(jax.jacrev(f))(x), rtol=1e-12)
