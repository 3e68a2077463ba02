"""Functions with one direction alone, seen late: in a rule, a solve, a branch on values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxcalc
from jaxcalc import descent
from tests.in_numpy import dense
from tests.notes import noted
from tests.thinned import thinned

X = jnp.linspace(0.5, 1.5, 6)
A = jnp.eye(6) * 4 + jnp.diag(jnp.ones(5), 1)  # not symmetric
iterative = jax.scipy.sparse.linalg


@jax.jit  # so that XLA compiles the loop once, and not at each of the many calls by `check`
def loop(v):
    return lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * 2, c[1] + 1), (v, 0))[0]


def squares(push):
    """x**2 by a rule that takes the tangent 2 x t through `push`."""
    f = jax.custom_jvp(lambda x: x**2)
    f.defjvp(lambda xs, ts: (f(*xs), push(2 * xs[0] * ts[0])))
    return f


def called_out(t):
    return jax.pure_callback(np.asarray, t, t, vmap_method="expand_dims")


# each is x**2, forward alone
FORWARD = {
    "gmres": squares(lambda t: iterative.gmres(lambda v: v, t, solve_method="incremental")[0]),
    "cg": squares(lambda t: iterative.cg(lambda v: v, t)[0]),
    "bicgstab": squares(lambda t: iterative.bicgstab(lambda v: v, t)[0]),
    "a loop": squares(lambda t: loop(t) / 8),
    "a callback": squares(called_out),
    "a solve without a transpose": lambda x: lax.custom_linear_solve(
        lambda v: v * 2, 2 * x**2, lambda _, b: b / 2
    ),
    "in scan": lambda x: lax.scan(
        lambda c, _: (squares(lambda t: loop(t) / 8)(c), None), jnp.sqrt(x), None, 2
    )[0],
    "in jit, in cond": jax.jit(
        lambda x: lax.cond(x[0] > 0, squares(lambda t: loop(t) / 8), lambda x: x**3, x)
    ),
    "a loop in a function of its own": squares(lambda t: jax.jit(loop)(t) / 8),
}


@pytest.mark.parametrize("name", thinned(FORWARD, 3))
def test_auto_goes_forward(name):
    f = FORWARD[name]
    total = lambda x: jnp.sum(f(x))  # noqa: E731 (reverse would be far cheaper)
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        jax.grad(total)(X)
    each = {kind: jaxcalc.jacobian(total, format=kind) for kind in ("dense", "structured", "bcoo")}
    both = jaxcalc.value_and_jacobian(lambda x: (f(x), total(x)))
    *compiled, (value, J) = jax.jit(lambda x: [*(t(x) for t in each.values()), both(x)])(X)
    for found in (*compiled, *(transformed(X) for transformed in each.values())):
        np.testing.assert_allclose(np.ravel(dense(found)), 2 * X, rtol=1e-5)
    np.testing.assert_allclose(value[0], X**2, rtol=1e-5)
    np.testing.assert_allclose(J[0], np.diag(2 * X), rtol=1e-5)
    np.testing.assert_allclose(J[1], 2 * X, rtol=1e-5)


@pytest.mark.parametrize("name", ["a loop", "a solve without a transpose"])
def test_what_looks_at_it_goes_forward_too(name):
    f = FORWARD[name]
    total = lambda x: jnp.sum(f(x))  # noqa: E731
    for kind in ("dense", "structured"):
        found = jaxcalc.explain(total, X, format=kind)
        assert "forward" in found.chosen.name
        (refused,) = {w.note for w in found.methods if w.name.endswith("reverse") and not w.is_possible}
        primitive = "custom_linear_solve" if "solve" in name else "custom_jvp_call"
        assert refused.startswith(f"{primitive} (test_other_direction.py:")
        assert refused.endswith("has no reverse mode")
    assert jaxcalc.check(f, X).passed
    np.testing.assert_allclose(jaxcalc.jacobian(f, rows=[1, 0])(X), np.diag(2 * X)[[1, 0]], rtol=1e-5)
    np.testing.assert_allclose(jaxcalc.jacobian(f, diagonal=True)(X), 2 * X, rtol=1e-5)
    curve = jax.jacfwd(jax.jacfwd(total))(X)
    for kind in ("dense", "structured"):
        H = dense(jaxcalc.hessian(total, format=kind)(X))
        np.testing.assert_allclose(H, curve, rtol=1e-5, atol=1e-6)
    assert (
        jaxcalc.explain(total, X, order=2, format="dense").chosen.name == "dense, forward over forward"
    )


def test_a_rule_with_a_transpose_keeps_both():
    f = squares(lambda t: 3 * jnp.linalg.solve(A, A @ t) / 3)
    total = lambda x: jnp.sum(f(x))  # noqa: E731
    assert jaxcalc.explain(total, X, format="structured").chosen.name == "structured, reverse"
    np.testing.assert_allclose(jaxcalc.jacobian(total)(X), 2 * X, rtol=1e-5)


# functions that branch on values, which nothing can be seen of beforehand

doubled = jax.custom_vjp(lambda x: 2 * x)
doubled.defvjp(lambda x: (2 * x, None), lambda _, g: (2 * g,))
BRANCHES = {
    "reverse": lambda x: doubled(x) if x[0] > 0 else x,
    "forward": lambda x: jnp.sum(loop(x) if x[0] > 0 else x),
}
SLOPES = {"reverse": 2 * np.eye(6), "forward": 8 * np.ones(6)}


@pytest.mark.parametrize("name", BRANCHES)
def test_where_values_decide_the_other_direction_is_tried(name):
    f, slope = BRANCHES[name], SLOPES[name]
    refused = "forward" if name == "reverse" else "reverse"
    match = rf"^jaxcalc\.\w+: JAX has no {refused} mode .*; {name} mode was taken instead"
    with noted(match) as lines:
        np.testing.assert_allclose(jaxcalc.jacobian(f)(X), slope)
    assert len(lines) == 1
    assert "test_other_direction.py:" in lines[0]
    with noted(match):
        value, J = jaxcalc.value_and_jacobian(f)(X)
    np.testing.assert_allclose(J, slope)
    np.testing.assert_allclose(value, f(X))
    part = {"columns": [0]} if name == "reverse" else {"rows": [0]}
    with noted(match):
        found = jaxcalc.jacobian(f, **part)(X)
    np.testing.assert_allclose(np.ravel(found), slope[:, 0] if name == "reverse" else slope)
    # no attempt, and no line, where the mode is given
    np.testing.assert_allclose(jaxcalc.jacobian(f, mode=name)(X), slope)
    assert jaxcalc.check(f, X).passed


def test_the_diagonal_where_values_decide():
    with noted("no forward mode"):
        found = jaxcalc.jacobian(BRANCHES["reverse"], diagonal=True)(X)
    np.testing.assert_allclose(found, 2 * np.ones(6))


def test_the_hessian_where_values_decide():
    # the gradient of the first has no custom_vjp left
    f = lambda x: jnp.sum(BRANCHES["reverse"](x) ** 2)  # noqa: E731
    np.testing.assert_allclose(jaxcalc.hessian(f)(X), 8 * np.eye(6))
    with noted(r"no forward over reverse mode .*; forward over f"):
        found = jaxcalc.hessian(lambda x: jnp.sum(loop(x) ** 2 if x[0] > 0 else x))(X)
    np.testing.assert_allclose(found, 128 * np.eye(6))


def test_the_second_order_of_a_check_where_values_decide():
    report = jaxcalc.check(lambda x: jnp.sum(loop(x) ** 2 if x[0] > 0 else x), X[:2], order=2)
    assert report.passed


def test_where_both_fail_the_first_error_is_shown():
    def f(x):
        return doubled(loop(x)) if x[0] > 0 else x

    with pytest.raises(TypeError, match="custom_vjp"):
        jaxcalc.jacobian(f)(X)


def test_an_error_of_f_is_shown_as_it_is():
    calls = []

    def f(x):
        calls.append(x)
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$") as caught:
        jaxcalc.jacobian(lambda x: f(x) if x[0] > 0 else x)(X)
    assert caught.value.__cause__ is None or "mine" not in str(caught.value.__cause__)


@pytest.mark.skipif(not hasattr(jax.config, "jax_custom_vjp3"), reason="this JAX has no custom_vjp3")
def test_a_primitive_that_is_not_known_to_go_in_reverse_alone():
    before = jax.config.jax_custom_vjp3
    jax.config.update("jax_custom_vjp3", True)
    try:
        f = jax.custom_vjp(jnp.sin)
        f.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))
        with noted("no forward mode"):
            found = jaxcalc.jacobian(f)(X)
        np.testing.assert_allclose(found, np.diag(np.cos(X)), rtol=1e-6)
        J = jaxcalc.jacobian(f, format="structured")(X)
        np.testing.assert_allclose(J.todense(), np.diag(np.cos(X)), rtol=1e-6)
    finally:
        jax.config.update("jax_custom_vjp3", before)


def test_a_loss_that_goes_forward_alone_is_minimized():
    loss = lambda p: jnp.sum((FORWARD["a loop"](p) - 1.0) ** 2)  # noqa: E731
    with noted(r"^jaxcalc\.descent\.minimize: JAX has no reverse"):
        found = descent.minimize(loss, X, optimizer=0.05, steps=200)
    np.testing.assert_allclose(found.parameters, 1.0, atol=1e-3)
    step = descent.make_step(loss, 0.05)
    with noted("no reverse mode"):
        state, value = step.update(step.init(X))
    np.testing.assert_allclose(value, jnp.sum((X**2 - 1) ** 2), rtol=1e-6)
    expected = X - 0.05 * 4 * X * (X**2 - 1)
    np.testing.assert_allclose(state.parameters, expected, rtol=1e-5)
