"""What no series follows: nested `jax.jvp` does. Mutable arrays, rules with values of their own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from nested_jvp import assert_equals_nested, equation_count

import jaxcalc

X = 1.3
MATRIX = np.array([[2.0, 1.0], [0.0, 3.0]])


def derivatives(f, x=X):
    """The second and third derivative of a function."""
    return jax.jit(lambda x: [jaxcalc.derivative(f, order=n)(x) for n in (2, 3)])(x)


def assert_closed(f, second, third):
    for found, expected in zip(derivatives(f), (second, third), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def written(x):
    ref = jax.new_ref(jnp.zeros(2))
    ref[0] = x**2
    ref[1] = jnp.sin(x)
    return ref[...]


def added(x):
    ref = jax.new_ref(x)
    jax.ref.addupdate(ref, ..., x**3)
    return jax.ref.freeze(ref)


def swapped(x):
    ref = jax.new_ref(x**3)
    return jax.ref.swap(ref, ..., 0.0)


def written_in_scan(x):
    ref = jax.new_ref(jnp.zeros(()))

    def step(c, _):
        ref[...] = ref[...] + c * x**2
        return c + 1.0, None

    lax.scan(step, 1.0, None, length=3)
    return ref[...]  # 6 x^2


def written_in_while(x):
    ref = jax.new_ref(x)

    def step(i):
        ref[...] = ref[...] * x
        return i + 1

    lax.while_loop(lambda i: i < 2, step, 0)
    return ref[...]


def written_in_cond(x):
    ref = jax.new_ref(0.0 * x)

    def write():
        ref[...] = x**3

    lax.cond(x > 0, write, lambda: None)
    return ref[...]


CUBIC = (6 * X, 6.0)
REFS = {
    "set and get": (written, [2.0, -math.sin(X)], [0.0, -math.cos(X)]),
    "in a jit": (jax.jit(written), [2.0, -math.sin(X)], [0.0, -math.cos(X)]),
    "addupdate and freeze": (added, *CUBIC),
    "swap": (swapped, *CUBIC),
    "in a scan": (written_in_scan, 12.0, 0.0),
    "in a while loop": (written_in_while, *CUBIC),
    "in a cond": (written_in_cond, *CUBIC),
}


@pytest.mark.parametrize("name", REFS)
@pytest.mark.usefixtures("x64")
def test_mutable_arrays_are_differentiated(name):
    assert_closed(*REFS[name])


@pytest.mark.usefixtures("x64")
def test_mixed_partial_derivatives_through_a_mutable_array():
    def f(x, y):
        ref = jax.new_ref(x**2)
        ref[...] = ref[...] * y**3
        return ref[...]

    found = jaxcalc.partial_derivative(f, ("x", "x", "y", "y"))(1.5, 2.0)
    np.testing.assert_allclose(found, 2 * 6 * 2.0)


def test_effects_beside_a_mutable_array_happen_once():
    seen = []

    def f(x):
        jax.debug.callback(lambda y: seen.append(float(y)), x)
        ref = jax.new_ref(x)
        ref[...] = ref[...] ** 3
        return ref[...]

    assert float(jaxcalc.derivative(f, order=2)(2.0)) == 12.0
    jax.effects_barrier()
    assert seen == [2.0]


@jax.custom_jvp
def rounded(x):
    return jnp.round(x)


rounded.defjvp(lambda p, t: (jnp.round(p[0]), t[0]))  # straight through


@jax.custom_jvp
def shifted(x):
    return x


shifted.defjvp(lambda p, t: (p[0] ** 2 + 5.0, 3.0 * p[0] * t[0]))  # a value that is not the function's


@jax.custom_jvp
def held(x):
    return x**3


held.defjvp(lambda p, t: (held(p[0]), 2.0 * lax.stop_gradient(t[0])))


OWN_VALUES = {
    "straight through": lambda x: rounded(x) ** 2,
    "straight through, times x": lambda x: rounded(x) * x**3,
    "in a scan": lambda x: lax.scan(lambda c, _: (rounded(c * x) ** 2, None), x, None, length=2)[0],
    "in a cond": lambda x: lax.cond(x > 0, lambda y: rounded(y) ** 2, lambda y: y, x),
    "another value": lambda x: shifted(x) ** 2 * x,
    "a tangent that is cut off": lambda x: held(x) ** 2,
}


@pytest.mark.parametrize("name", OWN_VALUES)
@pytest.mark.usefixtures("x64")
def test_rules_with_a_value_of_their_own_equal_nested_jvp(name):
    for order in (2, 3):
        assert_equals_nested(OWN_VALUES[name], X, order, rtol=1e-12)


def test_a_straight_through_estimator_by_hand():
    # d/dx round(x)^2 is 2 round(x), where round is no estimator any more: nothing moves there
    assert float(jaxcalc.derivative(OWN_VALUES["straight through"], order=1)(X)) == 2.0
    assert float(jaxcalc.derivative(OWN_VALUES["straight through"], order=2)(X)) == 0.0


def test_two_functions_that_look_alike_have_their_own_rules():
    # outer's value is inner, which has the same body and a rule of another slope
    @jax.custom_jvp
    def inner(x):
        return x**2

    inner.defjvp(lambda p, t: (inner(p[0]), 7.0 * t[0]))

    @jax.custom_jvp
    def outer(x):
        return x**2

    outer.defjvp(lambda p, t: (inner(p[0]), 2.0 * t[0]))
    f = lambda x: outer(x) ** 2  # noqa: E731
    # value y with y' = 2, and 7 in the next direction: (y^2)'' = 2 * 2 * 7
    assert float(jaxcalc.derivative(f, order=2)(1.0)) == 28.0


def test_the_callback_of_a_custom_function_is_called_once():
    seen = []

    @jax.custom_jvp
    def f(x):
        jax.debug.callback(lambda y: seen.append(float(y)), x)
        return x**3

    f.defjvp(lambda p, t: (f(p[0]), 3.0 * p[0] ** 2 * t[0]))
    for order in (2, 3):
        seen.clear()
        assert float(jaxcalc.derivative(f, order=order)(2.0)) == (12.0 if order == 2 else 6.0)
        jax.effects_barrier()
        assert seen == [2.0]


@pytest.mark.usefixtures("x64")
def test_custom_functions_whose_rules_call_them_are_followed():
    # nesting would multiply the equations by 16 from order 4 to 8
    for f in (jnp.sinc, jax.nn.softplus, jax.nn.relu):
        small, large = (equation_count(jaxcalc.derivative(f, order=n), 0.7) for n in (3, 6))
        assert large <= small * 2**2.5
    assert_equals_nested(jnp.sinc, 0.7, 3, rtol=1e-9)


def on_one_device(f):
    mesh = Mesh(np.array(jax.devices()[:1]), ("i",))
    spec = PartitionSpec("i")
    return jax.shard_map(f, mesh=mesh, in_specs=spec, out_specs=spec)


@pytest.mark.usefixtures("x64")
def test_programs_on_devices():
    def pair(x):
        return jnp.stack([x, x**2])

    smooth = lambda x: on_one_device(lambda v: v**3 * lax.psum(v, "i"))(pair(x))  # noqa: E731
    ruled = lambda x: on_one_device(lambda v: rounded(v) ** 2)(pair(x)) ** 2  # noqa: E731
    assert_closed(smooth, [12 * X**2, 56 * X**6], [24 * X, 336 * X**5])
    assert_equals_nested(ruled, X, 2, rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_numbers_filled_in_from_outside_do_not_move():
    def f(x):
        return jnp.stack([x**3, x]).at[jnp.array([5, 0])].get(mode="fill", fill_value=7.0)

    assert_closed(f, [0.0, 6 * X], [0.0, 6.0])
    assert_closed(lambda x: jnp.stack([x, x])[jnp.array([4])] + x**3, [6 * X], [6.0])


@pytest.mark.usefixtures("x64")
def test_a_linear_solve_with_aux():
    def f(x):
        matrix = jnp.asarray(MATRIX) * x

        def solve(_, b):
            return jnp.linalg.solve(matrix, b), jnp.sum(b)

        return lax.custom_linear_solve(
            lambda v: matrix @ v, jnp.array([1.0, 2.0]), solve, solve, has_aux=True
        )[0]

    inverse = np.linalg.solve(MATRIX, [1.0, 2.0])  # divided by x
    assert_closed(f, 2 * inverse / X**3, -6 * inverse / X**4)


def test_what_jax_cannot_differentiate_raises():
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    for f, error in (
        (lambda x: jax.pure_callback(np.sin, shape, x), ValueError),
        (lambda x: jax.experimental.io_callback(np.sin, shape, x), ValueError),
    ):
        for order in (2, 3):
            with pytest.raises(error):
                jaxcalc.derivative(f, order=order)(X)


@pytest.mark.usefixtures("x64")
def test_the_next_number_moves_as_the_number_does():
    f = lambda x: jnp.nextafter(x**3, 10.0)  # noqa: E731
    try:
        jax.jvp(f, (X,), (1.0,))
    except NotImplementedError:  # older JAX has no rule
        with pytest.raises(NotImplementedError):
            derivatives(f)
    else:
        assert_closed(f, *CUBIC)
