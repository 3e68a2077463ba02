"""Which derivative a map has: the term, the map in words, the shapes, and errors that use them."""

import jax
import jax.numpy as jnp
import pytest

import jaxcalc


def matrix_map(x):
    return jnp.outer(x, x)


CASES = {
    "derivative": (lambda x: 2 * x**3, (1.0,), {}, "float32 -> float32", "R -> R", [()]),
    "derivative of a curve": (
        lambda t: jnp.stack([t, t**2, t**3]),
        (1.0,),
        {},
        "float32 -> float32[3]",
        "R -> R^3",
        [(3,)],
    ),
    "partial derivative": (lambda x, z: x * z, (1.0, 2.0), {}, "float32 -> float32", "R -> R", [()]),
    "gradient": (jnp.sum, (jnp.ones(3),), {}, "float32[3] -> float32", "R^3 -> R", [(3,)]),
    "gradient with respect to two": (
        lambda x, z: x * z,
        (1.0, 2.0),
        {"argnums": (0, 1)},
        "(float32, float32) -> float32",
        "R x R -> R",
        [(), ()],
    ),
    "gradient with respect to a matrix": (
        jnp.sum,
        (jnp.ones((2, 3)),),
        {},
        "float32[2,3] -> float32",
        "R^(2x3) -> R",
        [(2, 3)],
    ),
    "Jacobian": (
        lambda x: x[:2],
        (jnp.ones(3),),
        {},
        "float32[3] -> float32[2]",
        "R^3 -> R^2",
        [(2, 3)],
    ),
    "Jacobian of a pytree": (
        lambda p: (p["a"], p["b"] * p["a"]),
        ({"a": jnp.ones(2), "b": 1.0},),
        {},
        "(float32[2], float32) -> (float32[2], float32[2])",
        "R^2 x R -> R^2 x R^2",
        [(2, 2), (2,), (2, 2), (2,)],
    ),
    "generalized Jacobian": (
        matrix_map,
        (jnp.ones(3),),
        {},
        "float32[3] -> float32[3,3]",
        "R^3 -> R^(3x3)",
        [(3, 3, 3)],
    ),
    "gradient of a complex argument": (
        lambda z: jnp.sum(jnp.abs(z)),
        (jnp.ones(2, jnp.complex64),),
        {},
        "complex64[2] -> float32",
        "C^2 -> R",
        [(2,)],
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_terms(label):
    f, args, options, typed, spaces, shapes = CASES[label]
    kind = jaxcalc.classify(f, *args, **options)
    term = next(
        t
        for t in ("partial derivative", "derivative", "gradient", "generalized Jacobian", "Jacobian")
        if label.startswith(t)
    )
    assert (kind.name, kind.map, kind.spaces, list(kind.shapes)) == (term, typed, spaces, shapes)
    assert str(kind).startswith(f"{term}: {typed} ({spaces}), shape")
    assert kind.call in str(kind)
    call = getattr(jaxcalc, kind.call.removeprefix("jaxcalc."))
    place = options.get("argnums", 0)
    result = call(f, place)(*args)
    assert [leaf.shape for leaf in jax.tree.leaves(result)] == shapes


def test_by_name_and_by_shape_alone():
    f = lambda x, z: x * z  # noqa: E731
    kind = jaxcalc.classify(f, z=jax.ShapeDtypeStruct((4,), jnp.bfloat16), x=2.0, argnames="z")
    assert (
        str(kind)
        == "Jacobian: bfloat16[4] -> bfloat16[4] (R^4 -> R^4), shape [4,4]: use jaxcalc.jacobian"
    )


def test_nothing_is_evaluated():
    seen = []

    def f(x):
        jax.debug.callback(seen.append, x)
        return x**2

    assert jaxcalc.classify(f, 1.0).name == "derivative"
    assert jaxcalc.classify(f, jnp.ones((1000, 1000))).name == "generalized Jacobian"
    jax.effects_barrier()
    assert seen == []


def test_many_leaves_are_counted():
    tree = [jnp.ones(2)] * 5
    kind = jaxcalc.classify(lambda t: t, tree)
    assert kind.map == "5 leaves -> 5 leaves"
    assert kind.spaces == "R^10 (5 leaves) -> R^10 (5 leaves)"
    assert "(25 blocks)" in str(kind)


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((1,), {}, r"x is int32, .* or choose another argument\.$"),
        (("a",), {}, "x is 'a' of type str"),
        ((1.0,), {"argnums": 1}, "argnums=1 asks for position 1"),
        ((1.0,), {"argnames": "y"}, "f has no argument named 'y'"),
    ],
)
def test_errors(arguments, options, text):
    def f(x):
        return x

    with pytest.raises((TypeError, ValueError), match=rf"^jaxcalc.classify: {text}"):
        jaxcalc.classify(f, *arguments, **options)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            lambda x: x[:2],
            r"f maps float32\[3\] -> float32\[2\] \(R\^3 -> R\^2\): .* Jacobian; use jaxcalc.jac",
        ),
        (
            matrix_map,
            r"matrix_map maps .* its derivative is a generalized Jacobian; use jaxcalc.jacobian",
        ),
        (lambda x: {"a": x.sum()}, "return the number itself, not a container of it"),
        (lambda x: (x.sum(), x.sum()), "its derivative is a Jacobian"),
        (lambda x: None, "it returned nothing to differentiate; return a number"),
    ],
)
def test_a_gradient_of_what_is_no_scalar_names_the_right_term(output, text):
    for transform in (jaxcalc.gradient, jaxcalc.value_and_gradient):
        with pytest.raises(
            TypeError, match=rf"^jaxcalc.{transform.__name__}: a gradient needs .*{text}"
        ):
            transform(output)(jnp.ones(3))
    with pytest.raises(TypeError, match=rf"^jaxcalc.value_gradient_and_hessian: .*{text}"):
        jaxcalc.value_gradient_and_hessian(output)(jnp.ones(3))


def test_a_curve_is_told_about_the_derivative():
    with pytest.raises(
        TypeError, match=r"its derivative with respect to a scalar is a derivative; use jaxcalc.deriv"
    ):
        jaxcalc.gradient(lambda t: jnp.stack([t, t**2]))(1.0)
