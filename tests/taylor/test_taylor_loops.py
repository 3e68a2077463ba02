"""Derivatives of any order through scan, while and cond."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from nested_jvp import assert_equals_nested, equation_count

import jaxcalc

FUNCTIONS = {
    "scan": lambda x: lax.scan(lambda c, a: (jnp.sin(c * x) + a, c * x), x, jnp.arange(4.0)),
    "scan over moving inputs": lambda x: lax.scan(
        lambda c, a: (c + a**2, c * a), 1.0, x * jnp.arange(4.0)
    ),
    "scan in reverse, unrolled": lambda x: lax.scan(
        lambda c, a: (c * a + x, c), x, jnp.arange(5.0), reverse=True, unroll=2
    ),
    "carry that starts to move late": lambda x: lax.scan(
        lambda c, _: ((x * c[1], c[2], c[2] + x), c[0]), (1.0, 1.0, 1.0), None, length=4
    ),
    "integer carry": lambda x: lax.fori_loop(0, 5, lambda i, c: c * x + i, 1.0),
    "while": lambda x: lax.while_loop(
        lambda c: c[0] < 6, lambda c: (c[0] + 1, jnp.cos(c[1] + x)), (0, x)
    )[1],
    "while until a moving value is large": lambda x: lax.while_loop(
        lambda c: c < 10, lambda c: c * (1 + x), x
    ),
    "cond": lambda x: lax.cond(x > 0.5, lambda y: y**4, lambda y: 2.0 * y, x),
    "cond with a constant branch": lambda x: lax.cond(x > 5, lambda: x**4, lambda: 2.0) + x**3,
    "switch": lambda x: lax.switch(1, [jnp.sin, lambda y: y**3 + y, jnp.cos], x),
    "cond in scan": lambda x: lax.scan(
        lambda c, i: (lax.cond(i % 2 == 0, lambda: c * x, lambda: c + x**2), None), x, jnp.arange(4)
    )[0],
    "scan in scan": lambda x: lax.scan(
        lambda c, _: (lax.scan(lambda d, _: (jnp.sin(d) * x, None), c, None, length=2)[0], None),
        x,
        None,
        length=2,
    )[0],
    "map": lambda x: lax.map(lambda a: jnp.exp(a * x), jnp.arange(3.0)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.usefixtures("x64")
def test_equals_nested_jvp(name):
    f = FUNCTIONS[name]
    assert_equals_nested(f, 0.7, 2, 3, rtol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_number_of_equations_grows_as_a_polynomial(name):
    small, large = (
        equation_count(jaxcalc.derivative(FUNCTIONS[name], order=order), 0.7) for order in (4, 8)
    )
    assert large <= small * 2**3
    assert large < 3000


def test_closed_form_through_a_loop():
    power = lambda x: lax.fori_loop(0, 6, lambda _, c: c * x, 1.0)  # noqa: E731
    expected = 1.0
    for order in range(1, 9):
        expected *= 7 - order if order <= 6 else 0  # 6 * 5 * 4 ... at x = 1
        assert float(jaxcalc.derivative(power, order=order)(1.0)) == expected


def test_reduced_precision_carries_keep_their_dtype():
    f = lambda x: lax.scan(lambda c, a: (c * x + a, c), x, jnp.ones(3, x.dtype))  # noqa: E731
    for dtype in (jnp.bfloat16, jnp.float16):
        found = jaxcalc.derivative(f, order=2)(jnp.asarray(1, dtype))
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(dtype)}
        assert float(found[0]) == 14.0  # x^4 + x^2 + x + 1 at 1
