"""`jax.export` with a batch of any length: dense derivatives work, counting elements does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxcalc
from tests.in_numpy import in_numpy

W = np.linspace(-1.0, 1.0, 24).reshape(8, 3).astype(np.float32)
CONCRETE = np.linspace(-1.0, 1.0, 40).reshape(5, 8).astype(np.float32)


def network(x):
    return jnp.tanh(x @ W)


def loss(x):
    return jnp.sum(network(x) ** 2)


def exported(f, *shapes):
    """f, exported for a symbolic batch b."""
    symbols = export.symbolic_shape("b, 8")
    batch = jax.ShapeDtypeStruct(symbols, jnp.float32)
    return export.export(jax.jit(f))(*shapes or (batch,))


DENSE = {
    "jacobian": (jaxcalc.jacobian(network), jax.jacfwd(network)),
    "jacobian, forward": (jaxcalc.jacobian(network, mode="forward"), jax.jacfwd(network)),
    "jacobian, reverse": (jaxcalc.jacobian(network, mode="reverse"), jax.jacrev(network)),
    "jacobian to a fixed shape": (
        jaxcalc.jacobian(lambda x: network(x).T @ network(x)),
        jax.jacrev(lambda x: network(x).T @ network(x)),
    ),
    "value and jacobian": (
        jaxcalc.value_and_jacobian(network),
        lambda x: (network(x), jax.jit(jax.jacfwd(network))(x)),
    ),
    "hessian": (jaxcalc.hessian(loss), jax.hessian(loss)),
    "value, gradient, hessian": (
        jaxcalc.value_gradient_and_hessian(loss),
        lambda x: (loss(x), jax.grad(loss)(x), jax.jit(jax.hessian(loss))(x)),
    ),
    "gradient": (jaxcalc.gradient(loss), jax.grad(loss)),
    "value and gradient": (jaxcalc.value_and_gradient(loss), jax.value_and_grad(loss)),
    "derivative of order 2": (
        lambda x: jaxcalc.derivative(lambda t: loss(t * x), order=2)(1.0),
        lambda x: jax.jacfwd(jax.jacfwd(lambda t: loss(t * x)))(1.0),
    ),
    "by parameters, the batch in a closure": (
        lambda x: jaxcalc.jacobian(lambda w: jnp.tanh(jnp.tanh(w) @ x.T) @ x)(jnp.asarray(W.T)),
        lambda x: jax.jacfwd(lambda w: jnp.tanh(jnp.tanh(w) @ x.T) @ x)(jnp.asarray(W.T)),
    ),
    "hessian by parameters, the batch in a closure": (
        lambda x: jaxcalc.hessian(lambda w: jnp.sum(jnp.tanh(x @ w)))(jnp.asarray(W)),
        lambda x: jax.hessian(lambda w: jnp.sum(jnp.tanh(x @ w)))(jnp.asarray(W)),
    ),
}


@pytest.mark.parametrize("name", DENSE)
def test_dense_derivatives_for_any_batch(name):
    ours, theirs = DENSE[name]
    found, reference = exported(ours), exported(theirs)
    assert [str(a) for a in found.out_avals] == [str(a) for a in reference.out_avals]
    for batch in (1, 5):
        got, expected = found.call(CONCRETE[:batch]), in_numpy(theirs)(CONCRETE[:batch])
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


SPARSE = {
    "jacobian": lambda x: jaxcalc.jacobian(network, format="structured")(x).values,
    "value_and_jacobian": lambda x: jaxcalc.value_and_jacobian(network, format="bcoo")(x)[1].data,
    "hessian": lambda x: jaxcalc.hessian(loss, format="structured")(x).values,
    "jacobian in a closure": lambda x: (
        jaxcalc.jacobian(lambda w: jnp.sum(jnp.tanh(x @ w), 0), format="structured")(
            jnp.asarray(W)
        ).values
    ),
    "hessian in a closure": lambda x: (
        jaxcalc.hessian(lambda w: jnp.sum(jnp.tanh(x @ w)), format="structured")(jnp.asarray(W)).values
    ),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_formats_say_what_to_do(name):
    with pytest.raises(TypeError, match=rf"^jaxcalc\.{name.split()[0]}: a shape is symbolic .*fix the"):
        exported(SPARSE[name])


@pytest.mark.parametrize(
    ("option", "value"), [("memory_limit", 10**6), ("rows", [0]), ("columns", [0]), ("diagonal", True)]
)
def test_options_that_count_elements_are_named(option, value):
    with pytest.raises(
        TypeError, match=rf"^jaxcalc.jacobian: {option} counts elements.*[Ll]eave {option}"
    ):
        exported(jaxcalc.jacobian(network, **{option: value}))


def test_what_looks_at_shapes():
    batch = jax.ShapeDtypeStruct(export.symbolic_shape("b, 8"), jnp.float32)
    assert "float32[b,8] -> float32[b,3]" in str(jaxcalc.classify(network, batch))
    for look in (jaxcalc.sparsity, jaxcalc.explain):
        with pytest.raises(TypeError, match=rf"^jaxcalc.{look.__name__}: a shape is symbolic"):
            look(network, batch)
