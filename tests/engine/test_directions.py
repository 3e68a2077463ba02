"""Which modes JAX allows, through calls, loops, branches and solvers: against JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcalc.engine.jaxprs.directions import directions_allowed, obstacles

X = jnp.array([0.5, 1.5])
FORWARD, REVERSE, BOTH, NEITHER = {"forward"}, {"reverse"}, {"forward", "reverse"}, set()


@jax.custom_vjp
def reverse_rule(x):
    return jnp.sin(x)


reverse_rule.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x) * g,))


@jax.custom_jvp
def forward_rule(x):
    return while_loop(x)


forward_rule.defjvp(lambda primals, tangents: (forward_rule(*primals), 8 * tangents[0]))


def while_loop(x):
    return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1]), (0, x))[1]


def late(x):
    """The carry that custom_vjp sees starts to depend on x in the second round."""

    def step(carry, _):
        a, b = carry
        return (b, x), reverse_rule(a)

    return lax.scan(step, (jnp.ones(2), jnp.ones(2)), None, length=3)[1]


def counted_by(x):
    """x decides how many rounds there are, nothing else."""
    rounds = lax.while_loop(lambda c: c[0] < x[0] * 4, lambda c: (c[0] + 1.0,), (0.0,))[0]
    return rounds * jnp.ones(2) + x


def rule(push):
    """x**2 by a rule that takes the tangent through `push`."""
    square = jax.custom_jvp(lambda x: x**2)
    square.defjvp(lambda xs, ts: (square(*xs), push(2 * xs[0] * ts[0])))
    return square


def called_out(t):
    return jax.pure_callback(np.asarray, t, t, vmap_method="expand_dims")


CASES = {
    "custom_jvp with a loop": (rule(lambda t: while_loop(t) / 8), FORWARD),
    "custom_jvp with a callback": (rule(called_out), FORWARD),
    "custom_jvp with cg": (rule(lambda t: jax.scipy.sparse.linalg.cg(lambda v: v, t)[0]), FORWARD),
    "custom_jvp with gmres": (
        rule(lambda t: jax.scipy.sparse.linalg.gmres(lambda v: v, t)[0]),
        FORWARD,
    ),
    "custom_jvp that sorts": (rule(jnp.sort), FORWARD),
    "custom_jvp with a loop, in scan": (
        lambda x: lax.scan(lambda c, _: (rule(lambda t: while_loop(t) / 8)(c), None), x, None, 2)[0],
        FORWARD,
    ),
    "custom_jvp with a loop, of a constant": (
        lambda x: x * rule(lambda t: while_loop(t) / 8)(jnp.ones(2)),
        BOTH,
    ),
    "custom_jvp with a solve": (rule(lambda t: jnp.linalg.solve(jnp.eye(2) * 2, t) * 2), BOTH),
    "custom_jvp of JAX": (jax.nn.relu, BOTH),
    "solve without a transpose": (
        lambda x: lax.custom_linear_solve(lambda v: 2 * v, x, lambda _, b: b / 2),
        FORWARD,
    ),
    "plain": (lambda x: jnp.sin(x) * x, BOTH),
    "custom_vjp": (reverse_rule, REVERSE),
    "custom_vjp of a constant": (lambda x: x * reverse_rule(jnp.ones(2)), BOTH),
    "custom_vjp without a gradient": (lambda x: x * reverse_rule(lax.stop_gradient(x)), BOTH),
    "custom_vjp of an integer": (lambda x: x * reverse_rule(jnp.floor(x).astype(int) * 1.0), BOTH),
    "custom_vjp in jit": (jax.jit(lambda x: reverse_rule(x) * 2), REVERSE),
    "custom_vjp in checkpoint": (jax.checkpoint(lambda x: reverse_rule(x) * 2), REVERSE),
    "custom_vjp in scan": (
        lambda x: lax.scan(lambda c, _: (reverse_rule(c), 0), x, None, 2)[0],
        REVERSE,
    ),
    "custom_vjp later in scan": (late, REVERSE),
    "custom_vjp in one branch": (lambda x: lax.cond(x[0] > 0, jnp.sin, reverse_rule, x), REVERSE),
    "jit with a constant custom_vjp": (
        lambda x: jax.jit(lambda y, z: y * reverse_rule(z))(x, jnp.ones(2)),
        BOTH,
    ),
    "custom_jvp around a while": (forward_rule, BOTH),
    "while": (while_loop, FORWARD),
    "while of a constant": (lambda x: x * while_loop(jnp.ones(2)), BOTH),
    "while in cond": (lambda x: lax.cond(x[0] > 0, while_loop, jnp.sin, x), FORWARD),
    "while in the other argument of cond": (
        lambda x: lax.cond(True, lambda a, b: a * while_loop(b), lambda a, b: a, x, jnp.ones(2)),
        BOTH,
    ),
    "while counted by x": (counted_by, BOTH),
    "fori_loop of known length": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * x, x), BOTH),
    "fori_loop of unknown length": (
        jax.jit(lambda x: lax.fori_loop(0, jnp.sum(x).astype(int), lambda i, c: c * x, x)),
        FORWARD,
    ),
    "custom_vjp in while": (
        lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, reverse_rule(c[1])), (0, x))[
            1
        ],
        NEITHER,
    ),
    "solve": (lambda x: jnp.linalg.solve(jnp.outer(x, x) + jnp.eye(2), x), BOTH),
    "solver that loops": (
        lambda x: jax.scipy.sparse.linalg.cg(lambda v: (1 + x**2) * v, x)[0],
        BOTH,
    ),
    "custom_vjp in a matrix product": (
        lambda x: jax.scipy.sparse.linalg.cg(lambda v: (2 + reverse_rule(x)) * v, jnp.ones(2))[0],
        REVERSE,
    ),
    "vmap": (jax.vmap(reverse_rule), REVERSE),
}


@pytest.mark.parametrize("name", CASES)
def test_directions(name):
    f, expected = CASES[name]
    jaxpr = jax.make_jaxpr(f)(X).jaxpr
    assert directions_allowed(jaxpr, jaxpr.invars) == expected
    for mode, transform in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
        if mode in expected:
            assert jax.eval_shape(transform(f), X).shape[-1] == 2
        else:
            with pytest.raises((TypeError, ValueError, NotImplementedError)):
                jax.eval_shape(transform(f), X)


def test_only_the_differentiated_inputs_count():
    f = lambda x, y: jnp.sin(x) * reverse_rule(y) * jnp.sum(while_loop(y))  # noqa: E731
    jaxpr = jax.make_jaxpr(f)(X, X).jaxpr
    x, y = jaxpr.invars
    assert directions_allowed(jaxpr, [x]) == BOTH
    assert directions_allowed(jaxpr, [y]) == NEITHER
    np.testing.assert_allclose(jax.jacfwd(f)(X, X), jax.jacrev(f)(X, X), rtol=1e-6)


def test_what_stands_in_the_way_is_named():
    jaxpr = jax.make_jaxpr(lambda x: lax.while_loop(lambda c: c[0] < 9, lambda c: c * 2, x))(
        jnp.ones(2)
    )
    found = obstacles(jaxpr.jaxpr, jaxpr.jaxpr.invars)
    assert {name: eqn.primitive.name for name, eqn in found.items()} == {"reverse": "while"}
