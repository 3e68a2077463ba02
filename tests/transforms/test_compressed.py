"""Products with colored vectors: taken where the walk would take longer to compile, and as exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Primitive
from jax.interpreters import ad, mlir

import jaxcalc
from jaxcalc.engine.patterns.coloring import Coloring
from tests.in_numpy import dense, in_numpy

N = 16


def diffused(u, steps=6):
    for _ in range(steps):
        u = u.at[1:-1].add(0.1 * (u[2:] - 2 * u[1:-1] + u[:-2]) * jnp.sin(u[1:-1]))
    return u


def energy(u):
    return jnp.sum(diffused(u, 4) ** 3)


def of_two(tree):
    u = diffused(jnp.concatenate([tree["a"], tree["b"].ravel()]))
    return {"first": u[:5], "rest": u[5:].reshape(-1, 1)}


X = np.linspace(0.1, 0.9, N)
TREE = {"a": X[:6], "b": X[6:].reshape(2, 5)}
HOLOMORPHIC = X + 0.3j


def chosen(f, x, **options):
    return jaxcalc.explain(f, x, **options).chosen.name


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("kind", ["structured", "bcoo"])
def test_jacobians(mode, kind, x64):
    assert chosen(diffused, X, mode=mode) == f"compressed, {mode}"
    found = jaxcalc.jacobian(diffused, format=kind, mode=mode)(X)
    np.testing.assert_allclose(dense(found), in_numpy(jax.jacfwd(diffused))(X), rtol=1e-12, atol=1e-15)


def test_hessians(x64):
    assert chosen(energy, X, order=2) == "compressed, forward over reverse"
    value, gradient, found = jaxcalc.value_gradient_and_hessian(energy, format="structured")(X)
    np.testing.assert_allclose(dense(found), in_numpy(jax.hessian(energy))(X), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(gradient, in_numpy(jax.grad(energy))(X), rtol=1e-12)
    np.testing.assert_allclose(value, energy(jnp.asarray(X)), rtol=1e-12)


def test_pytrees_value_and_aux(x64):
    def f(tree):
        return of_two(tree), jnp.sum(tree["a"])

    (value, aux), J = jaxcalc.value_and_jacobian(f, format="structured", has_aux=True)(TREE)
    blocks = in_numpy(jax.jacfwd(of_two))(TREE)
    rows = [[np.reshape(blocks[k][i], (-1, TREE[i].size)) for i in "ab"] for k in ("first", "rest")]
    np.testing.assert_allclose(dense(J), np.block(rows), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(value["first"], of_two(TREE)["first"], rtol=1e-12)
    assert aux == pytest.approx(X[:6].sum())


def test_holomorphic(x64):
    J = jaxcalc.jacobian(diffused, format="structured", holomorphic=True)
    expected = in_numpy(jax.jacfwd(diffused, holomorphic=True))(HOLOMORPHIC)
    np.testing.assert_allclose(dense(J(HOLOMORPHIC)), expected, rtol=1e-12, atol=1e-15)


def test_under_transformations(x64):
    J = jaxcalc.jacobian(diffused, format="structured")
    values = J(X).values
    batch = jnp.stack([X, 2 * X])

    @jax.jit
    def all_of_them(x, batch):
        slope = jax.grad(lambda x: jnp.sum(J(x).values ** 2))(x)
        return J(x).values, jax.vmap(lambda x: J(x).values)(batch), slope

    once, each, slope = all_of_them(X, batch)
    np.testing.assert_allclose(once, values, rtol=1e-12)
    np.testing.assert_allclose(each[0], values, rtol=1e-12)
    np.testing.assert_allclose(each[1], J(2 * X).values, rtol=1e-12)
    expected = in_numpy(jax.grad(lambda x: jnp.sum(jax.jacfwd(diffused)(x) ** 2)))(X)
    np.testing.assert_allclose(slope, expected, rtol=1e-10)


def test_a_later_call_colors_and_traces_nothing(calls_of, staged):
    colored = calls_of(Coloring, "__init__")
    J = jaxcalc.jacobian(lambda x: diffused(x), format="structured")  # noqa: PLW0108
    x = np.float32(X)
    J(x)
    J(x + 1)
    seen = len(colored), len(staged)
    assert seen[0] >= 1
    J(x + 2)
    assert (len(colored), len(staged)) == seen


def test_few_operations_are_walked():
    stencil = lambda x: x[1:] * jnp.sin(x[:-1])  # noqa: E731
    names = [method.name for method in jaxcalc.explain(stencil, X).methods]
    assert names[0].startswith("structured")
    assert not any(name.startswith("compressed") for name in names)


def test_explain_shows_what_is_compared():
    found = jaxcalc.explain(diffused, X)
    methods = {method.name: method for method in found.methods}
    assert found.chosen.products == 13  # six steps of three points
    assert methods["structured, forward"].is_possible
    assert {"compressed, forward", "compressed, reverse", "structured, reverse"} <= set(methods)
    assert f"{found.chosen.products} products" in str(found)
    assert methods["compressed, reverse"].note in {"", "not compared with it"}
    assert methods["structured, forward"].note in {"", "takes longer to compile"}


def test_entries_beside_an_infinite_coefficient(x64):
    """A zero seed times it is NaN, where plain JAX has a NaN as well; all others are as they were."""

    def f(u):
        return diffused(u, 5) + jnp.sqrt(jnp.abs(u))

    x = X.copy()
    x[4] = 0.0
    assert chosen(f, x, mode="forward") == "compressed, forward"
    found = dense(jaxcalc.jacobian(f, format="structured", mode="forward")(x))
    plain = in_numpy(jax.jacfwd(f))(x)
    assert not np.isfinite(plain).all()
    assert np.isfinite(found[np.isfinite(plain)]).all()
    both = np.isfinite(found) & np.isfinite(plain)
    np.testing.assert_allclose(found[both], plain[both], rtol=1e-12, atol=1e-15)


@jax.custom_vjp
def doubled(x):
    return 2 * x


def _not_linear(_, g):
    return (2 * g + g[0] * g[-1],)


doubled.defvjp(lambda x: (2 * x, None), _not_linear)


def test_a_rule_that_is_not_linear(x64):
    def f(x):
        return doubled(diffused(x))

    assert not chosen(f, X, mode="reverse").startswith("compressed")
    expected = 2 * in_numpy(jax.jacrev(diffused))(X)
    found = jaxcalc.jacobian(f, format="structured", mode="reverse")(X)
    np.testing.assert_allclose(dense(found), expected, rtol=1e-12, atol=1e-15)
    assert chosen(f, X, mode="reverse", memory_limit=7_000) == "compressed, reverse"
    bounded = jaxcalc.jacobian(f, format="structured", mode="reverse", memory_limit=7_000)(X)
    np.testing.assert_allclose(dense(bounded), expected, rtol=1e-12, atol=1e-15)


unbatched = Primitive("unbatched_double")
unbatched.def_impl(lambda x: 2 * x)
unbatched.def_abstract_eval(lambda x: x)
ad.deflinear2(unbatched, lambda g, _: [unbatched.bind(g)])
mlir.register_lowering(unbatched, mlir.lower_fun(lambda x: 2 * x, multiple_results=False))


def test_what_cannot_be_batched_is_walked(x64):
    jaxcalc.engine.register_rule(
        "unbatched_double", lambda eqn, operands: operands[0].map_data(lambda d: d + d)
    )
    f = lambda x: unbatched.bind(diffused(x))  # noqa: E731
    assert chosen(f, X) == "structured, forward"
    found = jaxcalc.jacobian(f, format="structured")(X)
    np.testing.assert_allclose(
        dense(found), 2 * in_numpy(jax.jacfwd(diffused))(X), rtol=1e-12, atol=1e-15
    )
