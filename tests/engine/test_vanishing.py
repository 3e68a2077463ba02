"""Where a program alone tells that reverse mode is finite and forward mode may not be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc.engine.jaxprs.vanishing import is_finite_in_reverse_alone

X = jnp.array([1.0, 0.5, 2.0])
MASK = jnp.array([True, False, True])

IN_REVERSE = {
    "padding": lambda x: jnp.sqrt(jnp.pad(x**2, 1)),
    "joined zeros": lambda x: jnp.cbrt(jnp.concatenate([x, jnp.zeros(2)])),
    "written zeros": lambda x: jnp.sqrt(jnp.zeros(4).at[:3].set(x)),
    "masked operand": lambda x: jnp.sqrt(jnp.where(MASK, x, 0.0)),
    "masked rows": lambda x: jnp.linalg.norm(jnp.where(MASK[:, None], jnp.outer(x, x), 0.0), axis=1),
    "power": lambda x: jnp.sin(jnp.pad(x, 1) ** 0.5),
    "empty segment": lambda x: jnp.sqrt(jax.ops.segment_sum(x, jnp.array([0, 0, 2]), 3)),
    "no elements": lambda x: x + jnp.sqrt(jnp.sum(x[3:] ** 2)),
    "angle": lambda x: jnp.arctan2(jnp.pad(x, 1), jnp.pad(x**2, 1)),
}
UNDECIDED = {
    "masked result": lambda x: jnp.where(x > 1, jnp.sqrt(x - 0.5), 0.0),
    "both masked": lambda x: jnp.where(MASK, jnp.sqrt(jnp.where(MASK, x, 0.0)), 0.0),
    "away from zero": lambda x: jnp.sqrt(jnp.pad(x, 1) + 1e-6),
    "padding by ones": lambda x: jnp.sqrt(jnp.pad(x, 1, constant_values=1.0)),
    "no root": lambda x: jnp.exp(jnp.pad(x, 1)),
    "a root alone": jnp.sqrt,
    "constants": lambda x: jnp.sqrt(jnp.pad(jnp.ones(3), 1))[:3] * x,
}


@pytest.mark.parametrize("name", IN_REVERSE)
def test_auto_takes_the_finite_direction_where_both_cost_alike(name: str) -> None:
    f = IN_REVERSE[name]
    program = jax.make_jaxpr(f)(X).jaxpr
    assert is_finite_in_reverse_alone(program, program.invars)
    assert not np.isfinite(jax.jit(jax.jacfwd(f))(X)).all()
    found = jaxcalc.jacobian(f)(X)
    np.testing.assert_allclose(found, jax.jit(jax.jacrev(f))(X), rtol=1e-6)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", UNDECIDED)
def test_other_functions_go_the_cheaper_way(name: str) -> None:
    f = UNDECIDED[name]
    program = jax.make_jaxpr(f)(X).jaxpr
    assert not is_finite_in_reverse_alone(program, program.invars)
    assert np.isfinite(jaxcalc.jacobian(f)(X)).all()


def test_forward_mode_stays_where_it_is_far_cheaper() -> None:
    f = lambda x: jnp.sqrt(jnp.pad(x, 9))  # noqa: E731
    assert not np.isfinite(jaxcalc.jacobian(f)(X)).all()
    assert np.isfinite(jaxcalc.jacobian(f, mode="reverse")(X)).all()


def test_explain_tells_the_same_direction() -> None:
    f = IN_REVERSE["padding"]
    chosen = [way.name for way in jaxcalc.explain(f, X, format="dense").methods if way.is_chosen]
    assert chosen == ["dense, reverse"]
