"""What looks at a function, beside what differentiates it, takes the same options."""

import jax
import jax.numpy as jnp
import pytest

import jaxcalc
from jaxcalc.checking import assert_derivatives


def products(x):
    return x[1:] * x[:-1]


def products_and_more(x):
    return products(x), {"total": jnp.sum(x), "name": "not an array"}


X = jnp.arange(1.0, 7.0)


def test_aux_is_left_out_of_what_is_said() -> None:
    assert str(jaxcalc.classify(products_and_more, X, has_aux=True)) == str(
        jaxcalc.classify(products, X)
    )
    pattern = jaxcalc.sparsity(products_and_more, X, has_aux=True)
    assert (pattern.shape, pattern.nnz) == ((5, 6), 10)
    report = jaxcalc.check(products_and_more, X, has_aux=True)
    assert report.passed
    assert report.map == jaxcalc.check(products, X).map


@pytest.mark.parametrize("kind", ["dense", "bcoo", "structured"])
def test_explain_takes_a_function_with_aux(kind) -> None:
    found = jaxcalc.explain(products_and_more, X, has_aux=True, format=kind, analyze=True)
    plain = jaxcalc.explain(products, X, format=kind)
    assert (found.term, found.map, found.pattern) == (plain.term, plain.map, plain.pattern)
    assert found.chosen.name == plain.chosen.name
    assert found.measured is not None


def test_what_is_not_a_pair_is_refused_by_name() -> None:
    for name in ("classify", "sparsity", "explain", "check"):
        with pytest.raises(
            TypeError, match=rf"^jaxcalc\.{name}: with has_aux=True .* must return a pair"
        ):
            getattr(jaxcalc, name)(products, X, has_aux=True)


def test_check_finds_a_wrong_rule_beside_aux() -> None:
    @jax.custom_jvp
    def square(x):
        return x**2

    square.defjvp(lambda x, t: (square(*x), 3 * x[0] * t[0]))
    with pytest.raises(AssertionError, match="wrong derivative"):
        assert_derivatives(lambda x: (square(x), "aux"), X, has_aux=True)


@pytest.mark.parametrize("order", [1, 2])
def test_check_of_a_second_derivative_leaves_aux_out(order) -> None:
    assert_derivatives(lambda x: (jnp.sum(jnp.sin(x) ** 2), x), X, has_aux=True, order=order)


@pytest.mark.parametrize("kind", ["dense", "structured"])
def test_explain_knows_that_f_is_holomorphic(kind) -> None:
    z = X + 1j
    found = jaxcalc.explain(lambda z: z**2, z, holomorphic=True, format=kind)
    assert found.chosen.name == f"{kind}, forward"
    assert all(way.is_possible for way in found.methods)
    dense = next(way for way in found.methods if way.name == "dense, forward")
    assert dense.products == 6  # not twice as many, as for a function of real and imaginary parts


def test_explain_passes_on_integers_and_strictness() -> None:
    n = jnp.arange(3)
    found = jaxcalc.explain(lambda n, x: x * n, n, X[:3], argnums=(0, 1), allow_int=True)
    assert found.map == "(int32[3], float32[3]) -> float32[3]"
    with pytest.raises(TypeError, match=r"^jaxcalc\.explain: .*allow_int=True"):
        jaxcalc.explain(lambda n, x: x * n, n, X[:3], argnums=(0, 1))

    @jax.custom_vjp
    def clipped(x):
        return x * 1.0

    clipped.defvjp(lambda x: (clipped(x), None), lambda _, c: (jnp.clip(c, -0.5, 0.5),))
    assert jaxcalc.explain(clipped, X, mode="forward").fallbacks
    with pytest.raises(NotImplementedError, match=r"^jaxcalc\.explain: .*strict=True"):
        jaxcalc.explain(clipped, X, mode="forward", strict=True)
