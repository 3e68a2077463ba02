"""What public functions say of calls that miss their signature, by the text of the error."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import descent, numerical, visual
from jaxcalc.call.front_door import public_name
from tests import public_functions

X = jnp.array([1.0, 2.0, 3.0])
TRANSFORMATIONS = [
    *public_functions.TRANSFORMATIONS,
    numerical.derivative,
    numerical.gradient,
    numerical.jacobian,
    numerical.hessian,
]
EXAMINATIONS = [
    *public_functions.LOOKING,
    visual.shapes,
]


def f(x):
    return jnp.sum(x**2)


def refused(call, *args, **kwargs):
    with pytest.raises(TypeError) as raised:
        call(*args, **kwargs)
    return str(raised.value)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS, ids=public_name)
def test_the_second_pair_of_parentheses(transformation):
    name = public_name(transformation)
    hint = f"did you mean {transformation.__name__}(f)(x)?"
    for point, shown in (
        (X, "float32[3]"),
        (np.ones((2, 3)), "float64[2,3]"),
        (2.0, "2.0"),
        (1j, "1j"),
        (np.float32(2), "float32[]"),
        ({"w": 1.0}, "{'w': 1.0}"),
        ([1.0, 2.0], "[1.0, 2.0]"),
        (jnp.arange(3), "int32[3]"),
        (jax.ShapeDtypeStruct((4,), "float32"), "float32[4]"),
    ):
        assert refused(transformation, f, point) == f"{name}: got {shown} beside the function; {hint}"
    assert hint in refused(transformation, f, 0, X)
    assert hint in refused(transformation, f, *[0] * 9)
    assert refused(transformation, f, x=X) == f"{name}: x is an argument of the function; {hint}"
    jax.eval_shape(lambda x: jnp.zeros(len(refused(transformation, f, x))), X)  # a tracer too


def test_what_stands_in_the_two_pairs():
    assert refused(jaxcalc.partial_derivative, f, "x", 2.0) == (
        "jaxcalc.partial_derivative: got 2.0 beside the function; "
        "did you mean partial_derivative(f, wrt)(x)?"
    )
    assert refused(descent.backpropagate, f, X, X).endswith(
        "did you mean backpropagate(loss)(parameters, inputs)?"
    )


def test_positions_are_no_points():
    for argnums in (0, np.int64(0), (0,), [0], np.array([0]), jnp.int32(0)):
        found = jaxcalc.gradient(f, argnums)(X)
        np.testing.assert_array_equal(jax.tree.leaves(found)[0], 2 * X)
    value, aux = jaxcalc.gradient(lambda x: (f(x), "aux"), 0, True)(X)
    np.testing.assert_array_equal(value, 2 * X)
    assert aux == "aux"


def test_what_is_no_function_is_told_as_that():
    assert "expected a function to differentiate" in refused(jaxcalc.gradient, X, f)
    assert "expected a function to differentiate" in refused(jaxcalc.gradient, f(X), X)


@pytest.mark.parametrize("examine", EXAMINATIONS, ids=public_name)
def test_the_arguments_of_f(examine):
    name = examine.__name__
    expected = f"{public_name(examine)}: {name} takes the arguments of f too: {name}(f, x)."
    assert refused(examine, f) == expected
    assert refused(examine, f, argnums=0) == expected
    if "argnames" in inspect.signature(examine).parameters:
        examine(lambda x=1.0: x**2, argnames="x")


@pytest.mark.parametrize(
    ("call", "keyword", "meant"),
    [
        (jaxcalc.jacobian, "sparse", "format='bcoo' or format='structured'"),
        (jaxcalc.hessian, "structured", "format='bcoo' or format='structured'"),
        (jaxcalc.gradient, "wrt", "argnums or argnames"),
        (jaxcalc.gradient, "argnum", "argnums"),
        (jaxcalc.value_and_gradient, "argname", "argnames"),
        (jaxcalc.jacobian, "fwd", "mode='forward'"),
        (jaxcalc.jacobian, "rev", "mode='reverse'"),
        (jaxcalc.jacobian, "chunk_size", "memory_limit"),
        (jaxcalc.jacobian, "diag", "diagonal"),
        (jaxcalc.jacobian, "aux", "has_aux"),
        (jaxcalc.hessian, "formt", "format"),
        (jaxcalc.derivative, "n", "order"),
        (numerical.gradient, "eps", "step"),
        (descent.backpropagate, "hasaux", "has_aux"),
        (jaxcalc.partial_derivative, "holomorphic", ""),
        (jaxcalc.check, "tol", "tolerance"),
        (jaxcalc.check, "wrt", "argnums or argnames"),
        (jaxcalc.check, "throw", "raises"),
        (jaxcalc.explain, "sparse", "format='bcoo' or format='structured'"),
        (jaxcalc.classify, "argnum", "argnums"),
        (jaxcalc.diagnose, "argnun", "argnums"),
        (jaxcalc.sparsity, "hessian", None),
        (visual.shapes, "wrt", "argnums or argnames"),
        (descent.minimize, "lr", "optimizer"),
        (descent.minimize, "tol", "tolerance"),
        (descent.minimize, "max_steps", "steps"),
        (descent.minimize, "batch_size", "batches"),
        (descent.make_step, "learning_rate", "optimizer"),
        (descent.update, "lr", "learning_rate"),
        (numerical.difference_quotients, "h", "steps"),
        (visual.spy, "axes", "ax"),
    ],
)
def test_keywords_that_people_type(call, keyword, meant):
    found = refused(call, f, X, **{keyword: 1.0}) if call in EXAMINATIONS else None
    if found is None:
        found = refused(call, f, **{keyword: 1.0})
    if meant is None:  # nothing is like it: f says itself that it does not take it
        assert "got an unexpected keyword argument 'hessian'" in found
        return
    start = f"{public_name(call)}: unknown keyword {keyword}; "
    assert found.startswith(start)
    assert found.startswith(f"{start}did you mean {meant}?" if meant else f"{start}it takes f, ")


@pytest.mark.parametrize(
    ("call", "keyword", "where"),
    [
        (jaxcalc.hessian, "diagonal", r"jacobian\(jaxcalc.gradient\(f\), diagonal=...\)\.$"),
        (jaxcalc.gradient, "mode", r"an option of jaxcalc.jacobian\.$"),
        (jaxcalc.jacobian, "order", "the second one of many variables is jaxcalc.hessian"),
    ],
)
def test_options_of_other_functions(call, keyword, where):
    text = refused(call, f, **{keyword: True})
    assert re.match(rf"^{public_name(call)}: unknown keyword {keyword}; it is .*{where}", text), text


def test_positions_and_names_in_one_call():
    both = "got both argnums=0 and argnames='x'; give one of them."
    for function in [*TRANSFORMATIONS, *EXAMINATIONS, jaxcalc.partial_derivative]:
        given = (f, X) if function in EXAMINATIONS else (f,)
        with pytest.raises(ValueError, match=rf"^{public_name(function)}: {both}"):
            function(*given, argnums=0, argnames="x")
    with pytest.raises(ValueError, match=both):
        jaxcalc.gradient(f, 0, argnames="x")


def test_numerical_derivatives_take_every_spelling():
    for choice in ({"argnum": 1}, {"argnums": 1}, {"argnames": "z"}):
        found = numerical.derivative(lambda x, z: x * z**2, **choice)(3.0, 2.0)
        assert abs(found.value - 12) <= found.error
    with pytest.raises(ValueError, match=r"^jaxcalc.numerical.derivative: got argnum=0 and argnums=1"):
        numerical.derivative(lambda x, z: x, 0, argnums=1)


def test_keywords_of_the_function_itself():
    kind = jaxcalc.classify(lambda x, tol, **rest: x * tol * rest["lr"], 1.0, tol=2.0, lr=3.0)
    assert kind.name == "partial derivative"


def test_every_public_function_has_a_front_door():
    modules = [jaxcalc, descent, numerical, visual]
    functions = {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in modules
        for name in module.__all__
        if inspect.isfunction(getattr(module, name))
    }
    assert len(functions) > 25
    for name, function in functions.items():
        assert public_name(function) == name
        options = [p.name for p in inspect.signature(function).parameters.values()]
        slip = max((o for o in options if o not in {"kwargs", "args"}), key=len) + "s_"
        given = (f, X) if function in EXAMINATIONS else (f,)
        text = refused(function, *given, **{slip: 1})
        assert re.match(rf"^{re.escape(name)}: unknown keyword {slip}; did you mean", text), text
