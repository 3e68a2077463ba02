"""What `classify` recommends works, and what errors advise is an option of the function that raises."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import numerical

X = jnp.array([1.0, 2.0])
Z = jnp.array([1 + 2j, 3 - 1j])

MAPS = {
    "number to number": (jnp.sin, 1.0),
    "number to integer": (jnp.int32, 1.0),
    "number to curve and integer": (lambda x: (jnp.stack([x, x]), jnp.int32(x)), 1.0),
    "number to complex": (lambda x: jnp.exp(1j * x), 1.0),
    "complex number to complex": (jnp.exp, 1j),
    "complex number to real": (jnp.abs, 1 + 1j),
    "vector to number": (jnp.sum, X),
    "vector to a container of a number": (lambda x: {"loss": jnp.sum(x)}, X),
    "vector to complex number": (lambda x: jnp.sum(jnp.exp(1j * x)), X),
    "vector to integer": (jnp.argmax, X),
    "vector to vector": (jnp.sin, X),
    "vector to complex vector": (lambda x: jnp.exp(1j * x), X),
    "complex vector to number": (lambda z: jnp.sum(jnp.abs(z)), Z),
    "complex vector to complex number": (jnp.sum, Z),
    "complex vector to vector": (jnp.abs, Z),
    "complex vector to complex vector": (jnp.fft.ifft, Z),
    "matrix to vector": (lambda x: x @ X, jnp.ones((3, 2))),
    "pytree to pytree": (lambda p: {"y": p["a"] * p["b"]}, {"a": X, "b": X}),
    "real and complex to real": (lambda p: jnp.abs(p[0]) * p[1], (Z, X)),
    "pytree with None": (lambda p: p[0] * 2, (X, None)),
    "half precision to single": (lambda x: x.astype("float32") ** 2, X.astype("float16")),
}
UNCALLABLE = {
    "complex to real and complex": (lambda z: (jnp.abs(z), z), Z),
    "real and complex to complex": (lambda p: p[0] * p[1], (Z, X)),
    "complex to integer": (lambda z: jnp.argmax(jnp.abs(z)), Z),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_recommended_call_does_not_raise(name):
    f, x = MAPS[name]
    kind = jaxcalc.classify(f, x)
    function, _, options = kind.call.removeprefix("jaxcalc.").partition("(f")
    keywords = {"holomorphic": True} if options else {}
    assert options in {"", ", holomorphic=True)"}
    getattr(jaxcalc, function)(f, **keywords)(x)


@pytest.mark.parametrize("name", UNCALLABLE)
def test_maps_without_one_number_for_each_pair(name):
    f, x = UNCALLABLE[name]
    assert jaxcalc.classify(f, x).call == "jaxcalc.jacobian of the real and the imaginary parts"
    for holomorphic in (False, True):
        with pytest.raises(TypeError):
            jaxcalc.jacobian(f, holomorphic=holomorphic)(x)


def test_a_partial_derivative_is_recommended_where_it_is_one():
    f = lambda x, y: x * y  # noqa: E731
    kind = jaxcalc.classify(f, 1.0, 2.0)
    assert kind.call == "jaxcalc.partial_derivative"
    assert float(jaxcalc.partial_derivative(f, 0)(1.0, 2.0)) == 2.0


def called(transformation):
    return lambda f, x: transformation(f)(x)


LOOKING = {
    "classify": (jaxcalc.classify, jaxcalc.classify),
    "sparsity": (jaxcalc.sparsity, jaxcalc.sparsity),
    "explain": (jaxcalc.explain, jaxcalc.explain),
    "check": (jaxcalc.check, jaxcalc.check),
    "diagnose": (jaxcalc.diagnose, jaxcalc.diagnose),
    "derivative": (jaxcalc.derivative, called(jaxcalc.derivative)),
    "gradient": (jaxcalc.gradient, called(jaxcalc.gradient)),
    "jacobian": (jaxcalc.jacobian, called(jaxcalc.jacobian)),
    "hessian": (jaxcalc.hessian, called(jaxcalc.hessian)),
    "numerical.gradient": (numerical.gradient, called(numerical.gradient)),
    "numerical.jacobian": (numerical.jacobian, called(numerical.jacobian)),
}


@pytest.mark.parametrize("name", LOOKING)
def test_errors_advise_options_that_there_are(name):
    function, call = LOOKING[name]
    known = {*inspect.signature(function).parameters, "order", "dtype", "axis"}
    messages = []
    for f, x in (
        (lambda x: x * 2.0, np.arange(3)),
        (lambda x: x > 0, X),
        (jnp.sum, jax.random.key(0)),
        (jnp.fft.ifft, Z),
        (lambda z: jnp.sum(jnp.exp(z)), Z),
    ):
        try:
            call(f, x)
        except (TypeError, ValueError) as error:
            messages.append(str(error))
    assert messages
    for message in messages:
        text = re.sub(r"jaxcalc\.\w+\(f, [^)]*\)", "", message)  # a call of another function
        assert set(re.findall(r"\b([a-z_]+)=", text)) <= known, message


@pytest.mark.parametrize("order", [1, 2])
def test_the_pattern_of_a_holomorphic_function(order):
    f = jnp.fft.ifft if order == 1 else (lambda z: jnp.sum(jnp.fft.ifft(z) ** 2))
    pattern = jaxcalc.sparsity(f, Z, order=order, holomorphic=True)
    dense = (jaxcalc.jacobian if order == 1 else jaxcalc.hessian)(f, holomorphic=True)(Z)
    assert (pattern.todense() >= (np.abs(np.asarray(dense)) > 1e-6)).all()
    with pytest.raises(TypeError, match=r"^jaxcalc.sparsity: .*holomorphic=True"):
        jaxcalc.sparsity(f, Z, order=order)


def test_the_pattern_by_a_pytree_with_integers():
    pattern = jaxcalc.sparsity(lambda p: p["x"][p["i"]], {"i": jnp.array([1]), "x": X}, allow_int=True)
    assert pattern.todense().astype(int).tolist() == [[0, 1]]


@pytest.mark.parametrize("given", [None, {"k": None}, "text", [1.0, "text"]])
def test_what_is_no_number_is_named_with_its_argument(given):
    def f(x, y):
        return jnp.sum(x) + 1.0

    for transformation in (jaxcalc.derivative, numerical.derivative):
        api = "numerical.derivative" if transformation is numerical.derivative else "derivative"
        with pytest.raises(TypeError, match=rf"^jaxcalc.{api}: y(\[1\])? is .*(None|text)"):
            transformation(f, 1)(1.0, given)
    if "text" in str(given):
        for call in (
            jaxcalc.gradient(f, 1),
            jaxcalc.jacobian(f, (0, 1)),
            jaxcalc.hessian(f, argnames="y"),
            numerical.jacobian(f, 1),
        ):
            with pytest.raises(TypeError, match=r"^jaxcalc[a-z.]*: y(\[1\])? is 'text' of type str"):
                call(1.0, given)
