"""Programs that compute the same have equal signatures, and no others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcalc.engine.jaxprs.signatures import IncomparableError, signature, signature_of

X = jnp.arange(1.0, 5.0)
W = jnp.ones((4, 4))
LARGE = np.arange(5000.0, dtype=np.float32)


def changed(array, place):
    other = array.copy()
    other[place] = -1
    return other


def program(f):
    """The program of f and its derivative, traced anew."""
    return jax.make_jaxpr(lambda x, t: jax.jvp(f, (x,), (t,)))(X, X)


def through_ffi(weights):
    result = jax.ShapeDtypeStruct((4,), np.float32)
    return lambda x: x * jax.ffi.ffi_call("no_such_target", result)(W[0], weights=weights)


def jitted(weights):
    return jax.jit(lambda x: x * (jnp.asarray(weights) * x[0]).sum())


def with_rule(factor):
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda p, t: (f(p[0]), factor * t[0]))
    return f


SAME = {
    "elementwise": lambda x: jnp.sin(x) * np.arange(4),
    "custom rules": lambda x: jax.nn.relu(x) * jax.nn.silu(W[0]),
    "jit": lambda x: jax.nn.softmax(W @ x),
    "scan": lambda x: lax.scan(lambda c, _: (jnp.sin(c), c), x, None, length=3),
    "while": lambda x: lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * 2, c[1] + 1), (x, 0)),
    "cond": lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    "solve": lambda x: jnp.linalg.solve(W + jnp.eye(4), x),
    "gather": lambda x: x[np.array([0, 2])],
    "scatter": lambda x: x.at[1:].add(x[:-1]),
    "convolution": lambda x: jnp.convolve(x, x),
    "window": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID"),
    "random key": lambda x: x * jax.random.normal(jax.random.key(0), (4,)),
    "checkpoint": jax.checkpoint(jnp.sin, policy=jax.checkpoint_policies.everything_saveable),
    "interpolation": lambda x: jnp.interp(x, x, x),
    "not a number": lambda x: x * np.float32(np.nan),
    "print": lambda x: (jax.debug.print("x"), x)[1],
}
DIFFERENT = {
    "a constant": (lambda x: x * np.arange(4.0), lambda x: x * np.array([0.0, 1, 2, 5])),
    "the sign of zero": (lambda x: x + np.float32(0.0), lambda x: x + np.float32(-0.0)),
    "wiring": (lambda x: jnp.sin(x) - jnp.cos(x), lambda x: jnp.cos(x) - jnp.sin(x)),
    "a parameter": (jnp.cumsum, lambda x: lax.cumsum(x, reverse=True)),
    # what the text of a jaxpr leaves out or abbreviates
    "a constant of a nested program": (jitted(LARGE), jitted(changed(LARGE, 2500))),
    "an attribute": (through_ffi(LARGE), through_ffi(changed(LARGE, 2500))),
    "a body": (
        lambda x: lax.fori_loop(0, 3, lambda _, c: c * 2, x),
        lambda x: lax.fori_loop(0, 3, lambda _, c: c * 3, x),
    ),
    "a rule": (with_rule(2.0), with_rule(3.0)),
    "a dtype": (lambda x: x * np.ones(4, np.float16), lambda x: x * np.ones(4, np.float32)),
}


@pytest.mark.parametrize("name", SAME)
def test_two_traces_of_one_function(name):
    first, second = (signature(program(SAME[name])) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize("name", DIFFERENT)
def test_programs_that_differ(name):
    first, second = (signature(program(f)) for f in DIFFERENT[name])
    assert first != second


def test_an_array_that_is_changed_in_place_is_another():
    weights = LARGE.copy()
    before = signature(program(jitted(weights)))
    weights[2500] = -1
    assert signature(program(jitted(weights))) != before


def test_values():
    assert signature_of(1) != signature_of(True)
    assert signature_of(1.0) != signature_of(1)
    assert signature_of({"a": [np.arange(3)]}) == signature_of({"a": [np.arange(3)]})
    assert signature_of(jax.random.key(1)) == signature_of(jax.random.key(1))
    assert signature_of(jax.random.key(1)) != signature_of(jax.random.key(2))
    with pytest.raises(IncomparableError):
        signature_of(np.array([object()]))


def test_a_callback_with_a_state_cannot_be_compared():
    state = [2.0]

    def host(_):
        return np.float32(state[0])

    f = lambda x: x * jax.pure_callback(host, jax.ShapeDtypeStruct((), np.float32), W[0])  # noqa: E731
    with pytest.raises(IncomparableError):
        signature(program(f))
