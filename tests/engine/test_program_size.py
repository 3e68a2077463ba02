"""How many operations a structured derivative takes: about as many as f, whatever the sizes."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from jaxcalc.engine.jaxprs import equations
from jaxcalc.heuristics import tuned
from tests.in_numpy import dense, in_numpy


def chain(x, steps=20):
    for _ in range(steps):
        x = jnp.sin(x) * x + x / (1 + x)
    return x


def masked_sum(parameters, n=20):
    a = jnp.linspace(0.0, 1.0, n * n).reshape(n, n)
    return jnp.sum(jnp.tril(jnp.exp(parameters[0] * a)) * parameters[1])


def log_determinant(parameters, n=6):
    a = jnp.eye(n) + jnp.exp(-parameters[0] * jnp.abs(jnp.arange(n) - jnp.arange(n)[:, None])) * 0.1
    return jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(a * parameters[1]))))


def trajectory(controls):
    def step(state, u):
        state = jnp.tanh(jnp.array([[1.0, 0.1], [-0.1, 0.9]]) @ state + jnp.array([0.0, 0.1]) * u)
        return state, state

    return lax.scan(step, jnp.ones(2), controls)[1]


def program_of(f, x):
    """The program of a structured Jacobian, which follows the structure whatever that takes."""
    with tuned(fewest_walked_operations=sys.maxsize):
        return jax.make_jaxpr(lambda x: jaxcalc.jacobian(f, format="structured")(x).values)(x).jaxpr


def size(f, x):
    return equations.count(program_of(f, x))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (chain, np.linspace(0.1, 0.9, 5)),
        (masked_sum, np.array([0.1, -2.0])),
        (log_determinant, np.array([0.3, 2.0])),
        (trajectory, np.linspace(0, 1, 40)),  # more steps than groups are kept apart
    ],
)
def test_against_dense_jax(f, x, x64):
    found = jaxcalc.jacobian(f, format="structured")(x)
    np.testing.assert_allclose(dense(found), in_numpy(jax.jacfwd(f))(x).reshape(-1, x.size), rtol=1e-10)


def test_a_lane_goes_through_a_chain_without_its_axis():
    """A reshape between each two operations would keep XLA from fusing them."""
    program = jax.make_jaxpr(lambda x: jaxcalc.jacobian(chain, format="structured")(x).values)(
        jnp.ones(5)
    )
    shapes = {
        eqn.outvars[0].aval.shape
        for eqn in all_equations(program.jaxpr)
        if eqn.primitive.name in {"mul", "add", "div", "sub", "sin", "cos"}
    }
    assert shapes == {(5,)}


def all_equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in equations.programs(eqn):
            yield from all_equations(inner)


def test_a_sum_takes_as_many_operations_for_few_addends_as_for_many():
    few, many = (size(lambda p, n=n: masked_sum(p, n), jnp.array([0.1, -2.0])) for n in (20, 40))
    assert few == many < 60


def test_a_recurrence_takes_a_number_of_operations_for_each_step():
    half, whole = (size(trajectory, jnp.linspace(0, 1, steps)) for steps in (20, 40))
    assert whole < 2.5 * half


def test_a_chain_takes_a_number_of_operations_for_each_of_its_own():
    of_f = equations.count(jax.make_jaxpr(chain)(jnp.ones(5)).jaxpr)
    assert size(chain, jnp.ones(5)) < 12 * of_f
