"""Loops of known length whose band has not filled the grid: more steps would add entries."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from jaxcalc.engine.tangents.lanes import Group, Lanes
from jaxcalc.engine.walk.carry import Loop, Pattern
from jaxcalc.engine.walk.operands import Run
from tests.dense_reference import Case, assert_same, check, check_hessian, normal
from tests.thinned import thinned

STEPS, POINTS = 16, 40


def periodic(u):
    return jnp.roll(u, 1) - 2 * u + jnp.roll(u, -1)


def between_walls(u):
    wide = jnp.pad(u, 1)
    return wide[:-2] - 2 * u + wide[2:]


def euler(slope, u):
    return u + 0.1 * slope(u)


def midpoint(slope, u):
    return u + 0.1 * slope(u + 0.05 * slope(u))


def runge_kutta_4(slope, u):
    a = slope(u)
    b = slope(u + 0.05 * a)
    c = slope(u + 0.05 * b)
    return u + 0.1 / 6 * (a + 2 * b + 2 * c + slope(u + 0.1 * c))


def rolled_out(step, u, steps=STEPS):
    return lax.fori_loop(0, steps, lambda _, u: step(u), u)


def with_outputs(step, u):
    """The state after all steps, and one point of it before each."""
    final, points = lax.scan(lambda u, _: (step(u), u[0]), u, length=STEPS)
    return jnp.concatenate([final, points])


def counted(step, u):
    return lax.while_loop(lambda c: c[0] < STEPS, lambda c: (c[0] + 1, step(c[1])), (0, u))[1]


def open_band(u):
    """Too many equations to be followed step by step, all steps together."""
    many = lambda u: euler(between_walls, u) + 0.0 * sum(jnp.sin(u) for _ in range(40))  # noqa: E731
    return rolled_out(many, u)


heat = partial(euler, periodic)
wave = partial(euler, lambda u: periodic(jnp.sin(u)))
periodic_band = POINTS * (2 * STEPS + 1)
band = periodic_band - STEPS * (STEPS + 1)  # what falls beyond the walls

CASES = {
    "Euler, periodic, not linear": Case(partial(rolled_out, wave), (POINTS,), periodic_band),
    "Euler, walls": Case(partial(rolled_out, partial(euler, between_walls)), (POINTS,), band),
    "Euler, walls, not followed": Case(open_band, (POINTS,), band),
    "midpoint, periodic": Case(
        partial(rolled_out, partial(midpoint, periodic), steps=8), (POINTS,), POINTS * (4 * 8 + 1)
    ),
    "Runge and Kutta's, walls": Case(
        partial(rolled_out, partial(runge_kutta_4, between_walls), steps=4),
        (POINTS,),
        POINTS * (8 * 4 + 1) - 4 * 4 * (4 * 4 + 1),
    ),
    "a state for each sample": Case(
        partial(rolled_out, jax.vmap(heat)), (2, POINTS), 2 * periodic_band
    ),
    "with outputs": Case(partial(with_outputs, heat), (POINTS,), periodic_band + STEPS**2),
    "counted by a while loop": Case(partial(counted, heat), (POINTS,), periodic_band, ("forward",)),
}


@pytest.mark.parametrize("name", thinned(CASES, 3))
def test_it_is_exact_with_these_entries(name, x64):
    check(CASES[name])


def test_a_whole_path(x64):
    """The states before each step: that before step k has a band of k."""

    def path(u):
        return lax.scan(lambda u, _: (wave(u), u), u, length=STEPS)[1]

    u = normal(POINTS)
    found = jaxcalc.jacobian(path, format="structured")(u)
    assert_same(found, np.asarray(jax.jit(jax.jacfwd(path))(u)), found.nnz, "path")
    assert found.nnz <= STEPS * periodic_band


def test_the_hessian_of_a_loss_of_a_rollout(x64):
    """A state after 3 steps of 4 stages depends on 25, so that two of up to 24 apart meet."""
    step = partial(runge_kutta_4, lambda u: periodic(jnp.sin(u)))
    check_hessian(lambda u: jnp.sum(rolled_out(step, u, steps=3) ** 2), normal(60), 60 * 49)


def test_sparsity_dense_and_check(x64):
    f, u = partial(rolled_out, heat), normal(POINTS)
    assert jaxcalc.sparsity(f, u).nnz == periodic_band
    dense = jax.jit(jaxcalc.jacobian(f))(u)
    np.testing.assert_allclose(dense, jax.jit(jax.jacfwd(f))(u), rtol=0, atol=1e-14)
    assert jaxcalc.check(f, u).passed


def shifting(indices):
    """A loop whose step shifts three elements by one, and a pattern that it may carry."""

    def walk(_, operands):
        (carry,) = operands
        groups = [
            Group(g.data, np.where(g.index < 0, -1, (g.index + 1) % 3).astype(np.int32))
            for g in carry.groups
        ]
        return [carry.with_groups(groups)]

    body = jax.make_jaxpr(lambda u: jnp.roll(u, 1))(jnp.ones(3))
    start = Lanes((3,), np.dtype(np.float32)).with_groups(
        [Group(np.ones((1, 3), np.float32), np.arange(3, dtype=np.int32)[None])]
    )
    return Loop(Run(walk, is_trusted=True), body, [], [start], [True]), start


@pytest.mark.parametrize("indices", [[np.arange(3, dtype=np.int32)[None]], [None]])
def test_a_pattern_that_lacks_entries_is_refused_unless_it_holds_all_steps(indices):
    loop, start = shifting(indices)
    after, _ = loop.step([start])
    with pytest.raises(AssertionError, match=r"pattern that it is|holds no entry"):
        loop.split(Pattern(indices), after)
    kept = loop.split(Pattern(indices, is_closed=False), after)
    assert all(not np.any(x) for x in kept), "what a later step would add is left out"
