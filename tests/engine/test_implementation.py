"""Primitives that the table does not list: their `impl` is followed where it is linear JAX code."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

import jaxcalc

X = np.array([-0.7, 0.3, 1.2, -0.1, 0.8])
numbers = itertools.count()


def chosen_from(condition, a, b):
    return jax.lax.select(condition, a * 2, b)


def primitive(impl, lowered=chosen_from, avals=lambda c, a, b: a, *, several=False):
    """A primitive (condition, a, b), linear in a and b, with the derivative that `lowered` has."""
    p = Primitive(f"chosen_{next(numbers)}_for_tests")
    p.multiple_results = several
    p.def_impl(impl if impl is not None else jax.jit(p.bind))
    p.def_abstract_eval(avals)
    mlir.register_lowering(p, mlir.lower_fun(lowered, multiple_results=several))

    def jvp(primals, tangents):
        moved = [ad.instantiate_zeros(t) for t in tangents[1:]]
        return p.bind(*primals), p.bind(primals[0], *moved)

    def batch(operands, axes):
        size = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
        full = [
            jnp.broadcast_to(x, (size, *x.shape)) if a is None else jnp.moveaxis(x, a, 0)
            for x, a in zip(operands, axes, strict=True)
        ]
        return (p.bind(*full), [0] * 2) if several else (p.bind(*full), 0)

    def transpose(cotangent, condition, a, b):
        zero = jnp.zeros_like(cotangent)
        to_a = p.bind(condition, cotangent, zero) if ad.is_undefined_primal(a) else None
        to_b = p.bind(condition, zero, cotangent) if ad.is_undefined_primal(b) else None
        return None, to_a, to_b

    ad.primitive_jvps[p] = jvp
    ad.primitive_transposes[p] = transpose
    batching.primitive_batchers[p] = batch
    return p


def function_of(p):
    return lambda x: p.bind(x > 0, x, jnp.sin(x)) * x


EXPECTED = np.diag(np.where(X > 0, 4 * X, np.sin(X) + X * np.cos(X)))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jax_code_is_followed(mode, x64):
    for impl in (chosen_from, jax.jit(chosen_from)):
        f = function_of(primitive(impl))
        found = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(X)
        assert found.nnz == 5
        np.testing.assert_allclose(found.todense(), EXPECTED, rtol=1e-14)


def test_in_loops_hessians_and_primitives_in_primitives(x64):
    inner = primitive(chosen_from)
    f = function_of(primitive(inner.bind))
    looped = lambda x: jax.lax.fori_loop(0, 300, lambda _, y: 0.1 * f(y) + 0.1 * x, x)  # noqa: E731
    found = jaxcalc.jacobian(looped, format="structured", strict=True)(X)
    assert found.nnz == 5
    by_row = jnp.stack([jax.jvp(jax.jit(looped), (X,), (e,))[1] for e in np.eye(5)], axis=1)
    np.testing.assert_allclose(found.todense(), by_row, rtol=1e-12, atol=1e-14)
    g = lambda x: jnp.sum(f(x))  # noqa: E731
    found = jaxcalc.hessian(g, format="structured", strict=True)(X)
    assert found.nnz == 5
    second = np.where(X > 0, 4, 2 * np.cos(X) - X * np.sin(X))
    np.testing.assert_allclose(found.todense(), np.diag(second), rtol=1e-13)


def in_numpy(condition, a, b):
    return jnp.asarray(np.where(condition, 2 * np.asarray(a), np.asarray(b)))


def printing(condition, a, b):
    jax.debug.print("{}", a)
    return chosen_from(condition, a, b)


REFUSED = {
    "its own": None,
    "numpy": in_numpy,
    "effects": printing,
    "another dtype": lambda c, a, b: chosen_from(c, a, b).astype(jnp.float32),
    "another shape": lambda c, a, b: chosen_from(c, a, b)[None],
    "not linear": lambda c, a, b: jnp.where(c, jnp.abs(a) * a, b),
    "an added number": lambda c, a, b: chosen_from(c, a, b) + 1.0,
    "a comparison": lambda c, a, b: jnp.where(a < 1e300, chosen_from(c, a, b), 0.0),
    "a question in a loop": lambda c, a, b: jax.lax.fori_loop(
        0, 2, lambda _, y: jnp.where(jnp.isfinite(y), y, 0.0), chosen_from(c, a, b)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_dense_and_exact(name, x64):
    f = function_of(primitive(REFUSED[name]))
    found = jaxcalc.jacobian(f, format="structured", mode="forward")(X)
    assert found.nnz == 25
    np.testing.assert_allclose(found.todense(), EXPECTED, rtol=1e-14, atol=1e-15)
    with pytest.raises(NotImplementedError, match="no structure rule"):
        jaxcalc.jacobian(f, format="structured", mode="forward", strict=True)(X)


def test_implementations_that_lead_to_each_other_end(x64):
    first = primitive(chosen_from)
    second = primitive(first.bind)
    first.def_impl(second.bind)
    found = jaxcalc.jacobian(function_of(first), format="structured", mode="forward")(X)
    assert found.nnz == 25
    np.testing.assert_allclose(found.todense(), EXPECTED, rtol=1e-14, atol=1e-15)


def failing(report):
    """An implementation that reports a result, or an operand, that is not finite."""

    def checked(condition, a, b):
        y = chosen_from(condition, a, b)
        code = jnp.where(jnp.isfinite(y).all(), 0, 2)
        code = jnp.where((code == 2) & ~jnp.isfinite(a).all(), 6, code)
        return jax.lax.cond(code != 0, lambda: report(y, code), lambda: y)

    return checked


def as_nan(y, code):
    return jnp.full_like(y, jnp.nan)


def as_error(y, code):
    def fail(code):
        raise ArithmeticError(f"a failure with code {int(code)}")

    return jax.pure_callback(fail, jax.typeof(y), code)


@pytest.mark.parametrize("report", [as_nan, as_error])
def test_what_reports_a_failure_is_linear_where_there_is_none(report, x64):
    impl = failing(report)
    f = function_of(primitive(impl, impl))
    for mode in ("forward", "reverse"):
        found = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(X)
        assert found.nnz == 5
        np.testing.assert_allclose(found.todense(), EXPECTED, rtol=1e-14)
    found = jaxcalc.hessian(lambda x: jnp.sum(f(x)), format="structured", strict=True)(X)
    assert found.nnz == 5
    second = np.where(X > 0, 4, 2 * np.cos(X) - X * np.sin(X))
    np.testing.assert_allclose(found.todense(), np.diag(second), rtol=1e-13)
    looped = lambda x: jax.lax.fori_loop(0, 40, lambda _, y: 0.1 * f(y) + 0.1 * x, x)  # noqa: E731
    found = jax.jit(lambda x: jaxcalc.jacobian(looped, format="structured", strict=True)(x).todense())(
        X
    )
    by_row = jnp.stack([jax.jvp(jax.jit(looped), (X,), (e,))[1] for e in np.eye(5)], axis=1)
    np.testing.assert_allclose(found, by_row, rtol=1e-12, atol=1e-14)


def test_a_failure_is_reported(x64):
    """A derivative that is not finite is what the implementation makes of it: NaN, or an error."""
    scale = np.array([1.0, np.inf, 1.0, 1.0, 1.0])

    def derivative(report):
        impl = failing(report)
        p = primitive(impl, impl)
        f = lambda x, s: p.bind(x > 0, x, jnp.sin(x)) * 3.0 + p.bind(x > 0, x * s, x)  # noqa: E731
        return jaxcalc.jacobian(f, format="structured", strict=True)

    fine = derivative(as_error)(np.abs(X), np.ones(5))
    np.testing.assert_allclose(fine.values, 8.0)
    J = derivative(as_nan)(np.abs(X), scale)
    assert J.nnz == 5
    assert np.isnan(J.values).all()
    with pytest.raises(jax.errors.JaxRuntimeError, match="a failure with code 6"):
        jax.block_until_ready(derivative(as_error)(np.abs(X), scale).values)
