"""Elementwise rules: the structure stays, the coefficients are scaled, selected or converted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal
from jax import lax

import jaxcalc
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")
MASK = np.array([True, False, True, False, True])
C = np.array([2.0, 0.0, -1.0, 3.0, 0.5])

POLYNOMIALS = {  # a primitive of JAX 0.12
    "polynomial": Case(lambda x: lax.polynomial(x, [1.0, 2.0, 3.0]), (5,)),
    "polynomial in its coefficients": Case(
        lambda c: lax.polynomial(C, [c, 2 * c, jnp.roll(c, 1)]), (5,), 9
    ),
    "polynomial in coefficients that are numbers": Case(
        lambda c: lax.polynomial(C, [c[0], c[1], c[2]]), (3,), 13
    ),
    "polynomial in both": Case(lambda x: lax.polynomial(x, [x, 2.0, jnp.roll(x, 1)]), (5,), 10),
}

CASES = {
    **(POLYNOMIALS if hasattr(lax, "polynomial") else {}),
    "polyval": Case(lambda c: jnp.polyval(c, C), (3,), None),
    "mul": Case(lambda x: x * jnp.sin(x), (5,)),
    "mul by a number": Case(lambda x: 3.0 * x, (2, 3)),
    "mul by a known array with zeros": Case(lambda x: C * x, (5,), 4),
    "mul by a row": Case(lambda x: x * jnp.arange(1.0, 4), (2, 3), 6),
    "mul by zero": Case(lambda x: 0.0 * x, (4,), 0),
    "mul of a number by an array": Case(lambda x: x * C, (), 4),
    "div": Case(lambda x: x / (2 + jnp.cos(x)), (5,)),
    "div by a known array": Case(lambda x: x / np.array([1.0, 2, 4]), (3,)),
    "div of a known array": Case(lambda x: np.array([1.0, 2, 4]) / x, (3,)),
    "neg": Case(lambda x: -x, (0, 3)),
    "add shifted": Case(lambda x: x + jnp.roll(x, 1), (5,), 10),
    "sub of equal terms": Case(lambda x: x * x - x, (5,)),
    "sub": Case(lambda x: x[:-1] - x[1:], (5,), 8),
    "sub from a constant": Case(lambda x: 1.0 - x, (3,)),
    "broadcast add": Case(lambda x: x[:, None] + x[None], (3,), 15),
    "tridiagonal": Case(
        lambda x: jnp.pad(x, 1)[:-2] - 2 * x + jnp.pad(x, 1)[2:] + jnp.sin(x), (9,), 3 * 9 - 2
    ),
    "convert there and back": Case(lambda x: x.astype(jnp.float32).astype(jnp.float64), (3,)),
    "to an integer": Case(lambda x: x.astype(jnp.int32).astype(jnp.float64), (3,), 0),
    "reduce precision": Case(lambda x: lax.reduce_precision(x, 11, 52), (3,)),
    "select, known": Case(lambda x: jnp.where(MASK, x * x, jnp.roll(x, 1)), (5,), 5),
    "select, traced": Case(lambda x: jnp.where(x > 0, x * x, -x), (5,), 5),
    "select between shifted": Case(lambda x: jnp.where(x > 0, x, jnp.roll(x, 1)), (5,), 10),
    "select by one number": Case(lambda x: jnp.where(x[0] > 0, x, 2 * x), (5,), 5),
    "select a constant": Case(lambda x: jnp.where(x > 0, 1.0, x), (5,), 5),
    "select of three, known": Case(
        lambda x: lax.select_n(np.array([0, 1, 2, 0, 1], np.int32), x, jnp.roll(x, 1), x * x), (5,), 5
    ),
    "select of three, traced": Case(
        lambda x: lax.select_n((x > 0).astype(jnp.int32) + 1, x, jnp.roll(x, 1), x * x), (5,), 10
    ),
    "clip": Case(lambda x: jnp.clip(x, -0.5, 0.5), (5,), 5),
    "relu": Case(jax.nn.relu, (5,), 5),
    "abs, max, min": Case(
        lambda x: jnp.abs(x) + jnp.maximum(x, 0.1) + jnp.minimum(x, x[0]), (5,), None
    ),
    "powers": Case(lambda x: x**3 + x**2.5, (3,), None),
    "stop gradient": Case(lambda x: lax.stop_gradient(x) * x, (3,), 3),
    "barrier": Case(lambda x: lax.optimization_barrier((x, 2 * x))[1], (3,)),
    "complex parts": Case(lambda x: jnp.real(lax.complex(x, x * x) * (1 + 2j)), (3,)),
    "magnitude": Case(lambda x: jnp.abs(jnp.exp(1j * x) + x), (3,), 3),
    "conj, imag": Case(lambda x: jnp.imag(jnp.conj(lax.complex(x, x * x) ** 2)), (3,)),
    "no dependence": Case(lambda x: jnp.ones(3), (2,), 0),
    "only a part": Case(lambda x: x[0] * jnp.ones(3), (2,), 3),
}


@pytest.mark.parametrize("name", thinned(CASES, 3))
def test_against_dense(name):
    x = jnp.abs(normal(*CASES[name].shape)) + 0.1 if name == "powers" else None
    check(CASES[name], x)


def test_hessians():
    check_hessian(lambda x: jnp.sum(x**3), normal(6), 6)
    check_hessian(lambda x: jnp.sum(jnp.sin(x[1:] * x[:-1])), normal(6), 16)
    check_hessian(lambda x: jnp.sum(jnp.where(x > 0, x**3, x * x)), normal(6), 6)
    check_hessian(lambda x: 3.0 * jnp.sum(x), normal(6), 0)
    check_hessian(lambda x: x * x * x, jnp.asarray(2.0), 1)


@pytest.mark.parametrize("known", [True, False])
def test_nan_in_the_branch_not_taken_stays_out(known):
    x = jnp.array([4.0, -1.0, 9.0])

    def f(x):
        taken = np.array([True, False, True]) if known else x > 0
        root = jnp.sqrt(x)  # its coefficient is NaN at -1
        return jnp.cumsum(jnp.where(taken, root, 0.0))

    for way in ("forward", "reverse"):
        found = jaxcalc.jacobian(f, format="structured", mode=way, strict=True)(x)
        matrix = found.todense()
        # JAX itself multiplies the cotangent 0 by NaN in reverse mode: a known mask is safe in both
        rows = [[0.25, 0, 0], [0.25, 0, 0], [0.25, 0, 1 / 6]]
        if known or way == "forward":
            np.testing.assert_allclose(matrix, rows, atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_narrow_types(dtype):
    check(Case(lambda x: x * jnp.roll(x, 1) + x / 2, (), None), normal(6, dtype=dtype))
    check(Case(lambda x: x.astype(jnp.float32) * 3, (), 4, ("forward",)), normal(4, dtype=dtype))


def test_holomorphic():
    z = normal(4, dtype=np.complex64)
    f = lambda z: z * jnp.roll(z, 1) + jnp.exp(z)  # noqa: E731
    for way in ("forward", "reverse"):
        found = jaxcalc.jacobian(f, format="structured", holomorphic=True, mode=way, strict=True)(z)
        np.testing.assert_allclose(
            found.todense(), jax.jit(jax.jacfwd(f, holomorphic=True))(z), atol=1e-5
        )
        assert found.nnz == 8
        assert found.values.dtype == np.complex64


def test_complex_output_of_a_real_input():
    x = normal(4)
    f = lambda x: lax.complex(jnp.sin(x), x * jnp.roll(x, 1))  # noqa: E731
    found = jaxcalc.jacobian(f, format="structured", mode="forward", strict=True)(x)
    np.testing.assert_allclose(found.todense(), jax.jit(jax.jacfwd(f))(x), atol=1e-12)
    assert found.nnz == 8
