"""Solves keep the structure of a batch, and can be differentiated again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from tests.dense_reference import Case, check, check_hessian, normal

MATRIX = np.random.default_rng(5).normal(size=(3, 3)) + 4 * np.eye(3)


def by_matrix(x):
    """Solutions of a batch of systems, by their matrices `[batch, n, n]`."""
    one = lambda a: jnp.linalg.solve(a + a.T + 9 * jnp.eye(a.shape[-1]), jnp.ones(a.shape[-1]))  # noqa: E731
    return jax.vmap(one)(x)


CASES = {
    "by the right side": Case(lambda b: jnp.linalg.solve(jnp.asarray(MATRIX), b), (3,), 9),
    "by several right sides": Case(lambda b: jnp.linalg.solve(jnp.asarray(MATRIX), b), (3, 2), 18),
    "by the right sides of a batch": Case(
        jax.vmap(lambda b: jnp.linalg.solve(jnp.asarray(MATRIX), b)), (4, 3), 36
    ),
    "by the matrices of a batch": Case(by_matrix, (4, 3, 3), 4 * 3 * 9),
    "the inverses of a batch": Case(lambda a: jnp.linalg.inv(a + 9 * jnp.eye(2)), (4, 2, 2), 4 * 16),
    "a solver of the user's": Case(
        lambda b: lax.custom_linear_solve(
            lambda x: 2 * x, b, lambda _, y: y / 2, lambda _, y: y / 2, symmetric=True
        ),
        (5,),
        5,
    ),
    "in a loop": Case(
        lambda b: lax.fori_loop(0, 50, lambda _, y: jnp.linalg.solve(jnp.asarray(MATRIX), y), b),
        (3,),
        9,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_exact_with_these_entries(name, x64):
    check(CASES[name])


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_derivative_has_a_derivative(mode, x64):
    """A solver may hide how its factors depend on the matrix; the solve as a whole does not."""
    x = normal(3, 2, 2)

    def norm(jacobian):
        return jax.grad(lambda x: jnp.sum(jnp.sin(100 * jacobian(x))))(x)

    structured = jaxcalc.jacobian(by_matrix, format="structured", mode=mode)
    both = jax.jit(lambda: (norm(lambda x: structured(x).todense()), norm(jax.jacrev(by_matrix))))
    np.testing.assert_allclose(*both(), rtol=1e-9, atol=1e-12)


def test_hessians(x64):
    check_hessian(lambda x: jnp.sum(by_matrix(x) ** 2), normal(3, 2, 2), 3 * 16)
    looped = lambda x: jnp.sum(  # noqa: E731
        lax.while_loop(
            lambda c: c[0] < 1,
            lambda c: (c[0] + 1, jnp.sin(c[1])),
            (0, jnp.linalg.inv(x + 5 * jnp.eye(2))),
        )[1]
    )
    x = normal(2, 2)
    found = jaxcalc.hessian(looped, format="structured")(x)
    np.testing.assert_allclose(found.todense(), jax.jacfwd(jax.jacfwd(looped))(x), rtol=1e-10)
