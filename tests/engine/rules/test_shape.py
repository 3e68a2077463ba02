"""Positional rules: the same move for coefficients and for indices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal
from jax import lax

from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")
W = np.random.default_rng(5).normal(size=(3, 4))


def mixed(x):
    """A value whose last axis is dense and whose other axes keep apart."""
    return jnp.tanh(x @ W)


PAD = [(1, 2, 0), (0, 1, 2)]
CASES = {
    "transpose": Case(lambda x: jnp.transpose(x, (2, 0, 1)), (2, 3, 4), 24),
    "transpose of lanes": Case(lambda x: mixed(x).T, (2, 3), 24),
    "broadcast": Case(lambda x: jnp.broadcast_to(x[:, None], (2, 4, 3)), (2, 3), 24),
    "broadcast a number": Case(lambda x: jnp.full((2, 3), x), (), 6),
    "broadcast of lanes": Case(lambda x: jnp.broadcast_to(mixed(x)[None], (2, 2, 4)), (2, 3), 48),
    "squeeze": Case(lambda x: jnp.squeeze(x[:, None] * 2, 1), (3,), 3),
    "reshape": Case(lambda x: x.reshape(3, 8), (2, 3, 4), 24),
    "reshape of lanes": Case(lambda x: mixed(x).reshape(-1), (2, 3), 24),
    "reshape splits an axis": Case(lambda x: mixed(x).reshape(2, 2, 2), (2, 3), 24),
    "reshape across lanes": Case(lambda x: mixed(x).reshape(4, 2) * jnp.arange(1.0, 3), (2, 3), 24),
    "reshape in Fortran's order": Case(lambda x: jnp.reshape(x, (6,), order="F"), (2, 3), 6),
    "reshape to a number": Case(lambda x: x.reshape(()), (1, 1), 1),
    "reshape nothing": Case(lambda x: x.reshape(3, 0), (0, 4), 0),
    "slice": Case(lambda x: x[1:3, ::2], (4, 5), 6),
    "slice of nothing": Case(lambda x: x[2:2], (4,), 0),
    "slice of lanes": Case(lambda x: mixed(x)[1:, ::3], (3, 3), 12),
    "reverse": Case(lambda x: x[::-1, ::-1], (2, 3), 6),
    "reverse of lanes": Case(lambda x: mixed(x)[::-1, ::-1], (2, 3), 24),
    "split": Case(lambda x: jnp.split(x, [1, 3])[1] * jnp.split(x, 2)[0], (4,), 3 + 1),
    "split into nothing": Case(lambda x: jnp.split(x, [0, 2])[1], (4,), 2),
    "unstack": Case(lambda x: sum(i * a for i, a in enumerate(jnp.unstack(x, axis=1))), (2, 3), 4),
    "pad": Case(lambda x: lax.pad(x, 1.5, PAD), (2, 3), 6),
    "pad with the input": Case(lambda x: lax.pad(x, x[0, 0], PAD), (2, 3), 5 * 8, ("forward",)),
    # JAX takes the sum inside from the whole sum: entries that cancel are kept
    "pad with the input, back": Case(lambda x: lax.pad(x, x[0, 0], PAD), (2, 3), 45, ("reverse",)),
    "pad, cropping": Case(lambda x: lax.pad(x, 0.0, [(-1, 2, 1), (1, -2, 0)]), (3, 4), 4),
    "pad cropped to nothing but filler": Case(lambda x: lax.pad(x, 0.0, [(-3, 2, 0)]), (3,), 0),
    "pad of lanes": Case(lambda x: lax.pad(mixed(x), 0.0, PAD), (2, 3), 24),
    "pad nothing": Case(lambda x: lax.pad(x, 0.0, [(1, 1, 0)]), (0,), 0),
    "pad edge": Case(lambda x: jnp.pad(x, 2, mode="edge"), (3,), 7),
    "pad wrap": Case(lambda x: jnp.pad(x, 2, mode="wrap"), (3,), 7),
    "concatenate": Case(lambda x: jnp.concatenate([x[:2], 2 * x[3:], jnp.zeros(2), x]), (5,), 9),
    "concatenate lanes and entries": Case(
        lambda x: jnp.concatenate([mixed(x), x, jnp.ones((2, 1)), x[::-1]], 1), (2, 3), 24 + 12
    ),
    "concatenate along lanes": Case(lambda x: jnp.concatenate([mixed(x), mixed(2 * x)], 0), (2, 3), 48),
    "concatenate nothing": Case(lambda x: jnp.concatenate([x, x[:0], x]), (2,), 4),
    "stack": Case(lambda x: jnp.stack([x, x * x, jnp.roll(x, 1)], 1), (5,), 15),
    "stack with constants": Case(lambda x: jnp.stack([jnp.ones(3), x, mixed(x)[:3]], 0), (3,), 12),
    "tile": Case(lambda x: jnp.tile(x, (2, 1, 3)), (2, 3), 36),
    "tile lanes": Case(lambda x: jnp.tile(mixed(x)[:, :1], (2, 3)), (2, 3), 36),
    "repeat": Case(lambda x: jnp.repeat(x, np.array([1, 2, 0]), total_repeat_length=3), (3,), 3),
    "roll": Case(lambda x: jnp.roll(x, (1, -1), (0, 1)), (3, 4), 12),
    "diff": Case(lambda x: jnp.diff(x, n=2), (6,), 12),
    "triangle": Case(jnp.tril, (3, 3), 6),
    "diagonal of": Case(jnp.diag, (3, 3), 3),
    "diagonal to": Case(jnp.diag, (3,), 3),
    "rot90": Case(jnp.rot90, (2, 3), 6),
    "meshgrid": Case(lambda x: jnp.stack(jnp.meshgrid(x, 2 * x)), (3,), 18),
    "block diagonal": Case(lambda x: jax.scipy.linalg.block_diag(x, x[:1]), (2, 2), 6),
    "toeplitz": Case(jax.scipy.linalg.toeplitz, (4,), 16),
    "kron": Case(lambda x: jnp.kron(x, x[:1]), (2, 2), None),
}


@pytest.mark.parametrize("name", thinned(CASES, 3))
def test_against_dense(name):
    check(CASES[name])


def test_hessian_of_a_cut_and_joined_value():
    f = lambda x: jnp.sum(jnp.concatenate([x[2:], x[:2]]) ** 2 * x)  # noqa: E731
    check_hessian(f, normal(5), 15)


def test_constant_tiles_reach_the_tangent_pass():
    # jnp.tile of a tangent goes through the primitive of that name where JAX has it
    check(Case(lambda x: jnp.tile(x[None], (3, 2)) * jnp.arange(1.0, 7), (3,), 18))
