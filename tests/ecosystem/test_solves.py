"""Batches of explicit solves by diffrax, and loops of equinox, keep one block for each sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc

diffrax = pytest.importorskip("diffrax")
equinox = pytest.importorskip("equinox")

STARTS = np.random.default_rng(0).normal(size=(3, 2))


def pendulum(t, y, args):
    return jnp.stack([y[1], -jnp.sin(y[0]) - 0.1 * y[1]])


def solved(solver, adjoint):
    """The state of each sample at time one."""

    def one(start):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(pendulum),
            solver,
            0.0,
            1.0,
            0.1,
            start,
            adjoint=adjoint,
            stepsize_controller=diffrax.PIDController(rtol=1e-2, atol=1e-3),
            max_steps=64,
        ).ys[-1]

    return jax.vmap(one)


BLOCKS = [
    ("Tsit5", "RecursiveCheckpointAdjoint", "reverse"),
    ("Tsit5", "RecursiveCheckpointAdjoint", "forward"),
    ("Heun", "DirectAdjoint", "forward"),
    ("Heun", "DirectAdjoint", "reverse"),
    ("Tsit5", "ForwardMode", "forward"),
]


@pytest.mark.parametrize(("solver", "adjoint", "mode"), BLOCKS)
def test_diffrax(solver, adjoint, mode, x64):
    f = solved(getattr(diffrax, solver)(), getattr(diffrax, adjoint)())
    dense = (jax.jacfwd if adjoint == "ForwardMode" else jax.jacrev)(f)(STARTS)
    found = jaxcalc.jacobian(f, format="structured", mode=mode)(STARTS)
    assert found.nnz == 3 * 2 * 2
    np.testing.assert_allclose(found.todense(), dense, rtol=1e-10, atol=1e-13)


def test_a_while_loop_of_equinox(x64):
    def f(x):
        step = lambda y: 0.5 * jnp.sin(y) + y  # noqa: E731
        return equinox.internal.while_loop(
            lambda y: jnp.sum(y) < 50.0, step, x, max_steps=8, kind="checkpointed"
        )

    x = np.array([0.3, 0.7, 1.1])
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(x)
    assert found.nnz == 3
    np.testing.assert_allclose(found.todense(), jax.jacrev(f)(x), rtol=1e-12)
