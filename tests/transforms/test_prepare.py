"""Derivatives compiled ahead of time: right, frozen, and told when a call does not fit."""

from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from tests.runs import runs_of

X = jnp.linspace(0.1, 1.0, 6)
Y = jnp.linspace(-1.0, 0.5, 6)


def stencil(x, k=3):
    return jnp.sin(x[1:]) * x[:-1] * k


def loss(x, k=3):
    return jnp.sum(stencil(x, k) ** 2)


TRANSFORMED = {
    "jacobian": jaxcalc.jacobian(stencil),
    "structured": jaxcalc.jacobian(stencil, format="structured"),
    "bcoo": jaxcalc.jacobian(stencil, format="bcoo", mode="reverse"),
    "rows": jaxcalc.jacobian(stencil, rows=[2, 0]),
    "diagonal": jaxcalc.jacobian(stencil, diagonal=True),
    "value": jaxcalc.value_and_jacobian(stencil),
    "aux": jaxcalc.jacobian(lambda x: (stencil(x), {"name": "s", "x": 2 * x}), has_aux=True),
    "hessian": jaxcalc.hessian(loss),
    "all": jaxcalc.value_gradient_and_hessian(loss, format="structured"),
    "gradient": jaxcalc.gradient(loss),
    "value_and_gradient": jaxcalc.value_and_gradient(loss),
    "backpropagate": jaxcalc.descent.backpropagate(lambda p, x: jnp.sum(p * x)),
}


def close(found, wanted):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        if isinstance(b, str):
            assert a == b
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMED)
def test_the_derivative_at_other_points(name, compilations):
    transformed = TRANSFORMED[name]
    given = (X, Y) if name == "backpropagate" else (X,)
    prepared = jaxcalc.prepare(transformed, *given)
    other = tuple(3 * x for x in given)
    wanted = transformed(*other)
    del compilations[:]
    found = prepared(*other)
    assert not compilations
    close(found, wanted)
    assert prepared.cost_analysis() is not None
    assert prepared.memory_analysis().output_size_in_bytes > 0
    assert "float32[6]" in repr(prepared)


def test_scalar_arguments():
    f = lambda t, x: jnp.sum(jnp.sin(t * x))  # noqa: E731
    for transformed in (
        jaxcalc.derivative(f),
        jaxcalc.derivative(f, order=3),
        jaxcalc.partial_derivative(f, "t"),
    ):
        prepared = jaxcalc.prepare(transformed, 2.0, X)
        close(prepared(0.5, Y), transformed(0.5, Y))
        close(prepared(jnp.float32(0.5), np.asarray(Y)), transformed(0.5, Y))
        assert prepared.explanation is None


def test_f_runs_once_and_its_explanation_is_of_that_run():
    fresh = lambda x: stencil(2 * x)  # noqa: E731

    def all_of_it():
        prepared = jaxcalc.prepare(jaxcalc.jacobian(fresh, format="structured"), X)
        prepared(Y)
        prepared(X)
        assert prepared.explanation.chosen.name == "structured, forward"
        assert prepared.explanation.pattern.nnz == 10

    assert runs_of(fresh, all_of_it) == 1


@pytest.mark.parametrize(
    ("name", "term", "way"),
    [
        ("gradient", "gradient", "dense, reverse"),
        ("hessian", "Hessian", "dense, forward over reverse"),
        ("bcoo", "Jacobian", "structured, reverse"),
    ],
)
def test_explanations(name, term, way):
    found = jaxcalc.prepare(TRANSFORMED[name], X).explanation
    assert (found.term, found.chosen.name) == (term, way)
    assert jaxcalc.prepare(TRANSFORMED["rows"], X).explanation is None


class Model:
    scale = 2.0

    def __call__(self, x):
        return self.scale * x**2


def test_what_f_reads_is_frozen():
    model = Model()
    transformed = jaxcalc.jacobian(model)
    prepared = jaxcalc.prepare(transformed, X)
    model.scale = 10.0
    np.testing.assert_allclose(prepared(X), np.diag(4 * X), rtol=1e-6)
    np.testing.assert_allclose(transformed(X), np.diag(20 * X), rtol=1e-6)
    np.testing.assert_allclose(jaxcalc.prepare(transformed, X)(X), np.diag(20 * X), rtol=1e-6)


def test_within_transformations():
    prepared = jaxcalc.prepare(jaxcalc.jacobian(stencil), X)
    batch = jnp.stack([X, Y])
    reference = jax.jacfwd(stencil)
    close(jax.jit(jax.vmap(prepared))(batch), jax.vmap(reference)(batch))
    weights = jnp.sin(jnp.arange(30.0)).reshape(5, 6)
    close(
        jax.grad(lambda x: jnp.sum(weights * prepared(x)))(X),
        jax.grad(lambda x: jnp.sum(weights * reference(x)))(X),
    )
    carried = jax.lax.scan(lambda x, _: (x + jnp.sum(prepared(x), 0), x), X, None, length=3)
    expected = jax.lax.scan(lambda x, _: (x + jnp.sum(reference(x), 0), x), X, None, length=3)
    close(carried, expected)


def gathered(x, i, scale=1.0):
    return scale * jnp.sin(x)[i] * x[0]


def test_integers_are_part_of_the_structure_unless_their_shape_is_given():
    transformed = jaxcalc.jacobian(gathered, format="structured")
    i, j = np.array([1, 3]), np.array([2, 5])
    known = jaxcalc.prepare(transformed, X, i)
    close(known(Y, i.copy()).todense(), jax.jacfwd(gathered)(Y, i))
    assert known(Y, i).nnz == 4
    with pytest.raises(ValueError, match=r"^jaxcalc.prepare: argument 1 is int64\[2\], .* its values"):
        known(X, j)
    i[:] = j  # in its place: it is the array that was given before
    with pytest.raises(ValueError, match=r"argument 1 is int64\[2\]"):
        known(X, i)
    i = np.array([1, 3])
    any_values = jaxcalc.prepare(transformed, X, jax.ShapeDtypeStruct((2,), jnp.int32))
    for k in (i, j):
        close(any_values(Y, jnp.asarray(k)).todense(), jax.jacfwd(gathered)(Y, k))


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "match"),
    [
        ((X[:3], 1), {}, TypeError, r"argument 0 is float32\[3\], but this was made for float32\[6\]"),
        ((X.astype(jnp.float16), 1), {}, TypeError, r"argument 0 is float16\[6\]"),
        (([1.0] * 6, 1), {}, TypeError, "of the structure"),
        ((2.0, 1), {}, TypeError, "argument 0 is 2.0, but"),
        ((X, 2), {}, ValueError, "argument 1 is 2, but the structure was found for 1"),
        ((X, 1), {"scale": 2.0}, TypeError, "of the structure"),
        ((X,), {}, TypeError, "of the structure"),
    ],
)
def test_calls_that_do_not_fit(args, kwargs, error, match):
    prepared = jaxcalc.prepare(jaxcalc.jacobian(gathered), X, 1)
    with pytest.raises(error, match=f"^jaxcalc.prepare: .*{match}"):
        prepared(*args, **kwargs)


def test_pytrees_name_the_leaf_and_keywords():
    f = lambda p, *, scale: p["a"] * scale  # noqa: E731
    prepared = jaxcalc.prepare(jaxcalc.jacobian(f), {"a": X}, scale=X)
    close(prepared({"a": Y}, scale=X), jax.jacfwd(f)({"a": Y}, scale=X))
    with pytest.raises(TypeError, match=r"argument 0\['a'\] is float32\[2\]"):
        prepared({"a": Y[:2]}, scale=X)
    with pytest.raises(TypeError, match=r"'scale' is float32\[2\]"):
        prepared({"a": Y}, scale=X[:2])


@pytest.mark.parametrize("x", [jnp.zeros(0), jnp.ones(1), jnp.ones((1, 1)), 2.0, 1 + 2j])
def test_sizes_and_numbers(x):
    transformed = jaxcalc.jacobian(lambda x: x * x, holomorphic=isinstance(x, complex))
    close(jaxcalc.prepare(transformed, x)(x), transformed(x))


def test_dtypes_and_float0(x64):
    f = lambda p: p["x"] * p["n"]  # noqa: E731
    p = {"x": jnp.arange(3.0), "n": jnp.arange(3)}
    transformed = jaxcalc.jacobian(f, allow_int=True)
    found, wanted = jaxcalc.prepare(transformed, p)(p), transformed(p)
    assert found["n"].dtype == wanted["n"].dtype == jax.dtypes.float0
    assert found["x"].dtype == jnp.float64
    close(found["x"], wanted["x"])


class Unhashable:
    __hash__ = None


def test_what_cannot_be_prepared():
    with pytest.raises(TypeError, match=r"^jaxcalc\.prepare: expected a function that jaxcalc"):
        jaxcalc.prepare(stencil, X)
    transformed = jaxcalc.jacobian(stencil)

    @wraps(transformed)
    def twice(x):
        return 2 * transformed(x)

    for other in (
        twice,
        jax.jit(transformed),
        partial(transformed),
        jaxcalc.numerical.jacobian(stencil),
    ):
        with pytest.raises(TypeError, match="expected a function that jaxcalc has transformed"):
            jaxcalc.prepare(other, X)
    with pytest.raises(TypeError, match=r"f needs a concrete value .* or call the derivative as it is"):
        jaxcalc.prepare(jaxcalc.jacobian(lambda x: x if x[0] > 0 else -x), X)
    with pytest.raises(TypeError, match="outer transformation"):
        jax.jit(lambda x: jaxcalc.prepare(transformed, x)(x))(X)
    with pytest.raises(TypeError, match="outer transformation"):
        jax.jit(lambda w: jaxcalc.prepare(jaxcalc.jacobian(lambda x: w * x), X)(X))(2.0)
    with pytest.raises(TypeError, match="takes the arguments of f too"):
        jaxcalc.prepare(transformed)
    with pytest.raises(TypeError, match=r"the value of .*\bUnhashable\b.* cannot be compared"):
        jaxcalc.prepare(jaxcalc.jacobian(lambda x, _: x), X, Unhashable())


def test_a_transformed_function_is_freed_with_what_it_is_made_of():
    import weakref

    def f(x):
        return x**2

    transformed = jaxcalc.jacobian(f)
    prepared = jaxcalc.prepare(transformed, X)
    watched = weakref.ref(transformed)
    del transformed
    assert watched() is None, "no circle holds it"
    close(prepared(X), np.diag(2 * X))
