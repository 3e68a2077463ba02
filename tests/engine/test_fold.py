"""What depends on shapes and constants alone is worked out before the run, exactly as XLA would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

import jaxcalc
from jaxcalc.engine.jaxprs import fold
from jaxcalc.engine.walk import program
from jaxcalc.engine.walk.program import Program

BINARY = [lax.add, lax.sub, lax.mul, lax.div, lax.rem, lax.max, lax.min]
COMPARISONS = [lax.eq, lax.ne, lax.lt, lax.le, lax.gt, lax.ge]
BITS = [lax.bitwise_and, lax.bitwise_or, lax.bitwise_xor]


def folded(f, *arrays):
    """The outputs of f, equation by equation, through `static.outputs`."""
    closed = jax.make_jaxpr(f)(*arrays)
    known = [fold.constant(v.aval, a) for v, a in zip(closed.jaxpr.invars, arrays, strict=True)]
    nothing = Program([], [])
    outputs = program._inline(nothing, closed, known)
    assert not nothing.primal
    return [output.array for output in outputs]


def assert_folds(f, *arrays):
    (found,) = folded(f, *arrays)
    wanted = np.asarray(f(*map(jnp.asarray, arrays)))
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(flushed(found), flushed(wanted))


def flushed(a):
    """With zeros for subnormal results, which XLA gives or not, by the processor and the version."""
    if a.dtype != np.float32:
        return a
    return np.where(np.abs(a) < np.finfo(np.float32).tiny, np.float32(0), a)


numbers = st.integers(-128, 127)
integer_types = st.sampled_from([np.int8, np.int32, np.uint8])


@pytest.mark.parametrize("f", BINARY + COMPARISONS + BITS)
@settings(max_examples=10, deadline=None)
@given(pairs=st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3), dtype=integer_types)
def test_integers_fold_as_xla_computes_them(f, pairs, dtype):
    a, b = (np.array(column).astype(dtype) for column in zip(*pairs, strict=True))
    assert_folds(f, a, b)


floats = st.floats(width=32, allow_subnormal=False)


@pytest.mark.parametrize("f", BINARY + COMPARISONS)
@settings(max_examples=10, deadline=None)
@given(pairs=st.lists(st.tuples(floats, floats), min_size=3, max_size=3))
def test_floats_fold_as_xla_computes_them(f, pairs):
    a, b = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    assert_folds(f, a, b)


A = np.arange(12, dtype=np.int32).reshape(3, 4) - 5


def test_division_rounds_toward_zero():
    a = np.array([7, -7, 7, -7, 0, 6], np.int32)
    assert_folds(lax.div, a, np.array([2, 2, -2, -2, 3, 3], np.int32))
    assert_folds(lax.rem, a, np.array([4, 4, -4, -4, 3, 3], np.int32))
    assert_folds(lax.div, a, np.zeros(6, np.int32))


MOVES = {
    "transpose": lambda a: a.T,
    "reshape": lambda a: a.reshape(2, 6),
    "slice": lambda a: a[1:, ::2],
    "reverse": lambda a: lax.rev(a, (0,)),
    "broadcast": lambda a: lax.broadcast_in_dim(a, (2, 3, 4), (1, 2)),
    "concatenate": lambda a: lax.concatenate([a, a[:1]], 0),
    "squeeze": lambda a: lax.squeeze(a[:1], (0,)),
    "expand": lambda a: lax.expand_dims(a, (1,)),
    "select": lambda a: lax.select(a > 0, a, -a),
    "select of three": lambda a: lax.select_n(lax.rem(lax.abs(a), np.int32(3)), a, -a, 2 * a),
    "sign": lax.sign,
    "not": lambda a: ~(a > 0),
    "to floats": lambda a: a.astype(jnp.float32),
    "to bytes": lambda a: (100 * a).astype(jnp.int8),
    "to truth": lambda a: a.astype(bool),
    "floats to integers": lambda a: (a.astype(jnp.float32) * 1e9).astype(jnp.int32),
    "floats to bfloat16": lambda a: (a.astype(jnp.float32) / 3).astype(jnp.bfloat16),
    "counting": lambda a: lax.broadcasted_iota(np.int32, (3, 4), 1) + a,
    "sort": lambda a: lax.sort(a, dimension=1),
    "cumulative": lambda a: lax.cumsum(a, 1),
    "gather": lambda a: a[jnp.array([2, 0])],
    "complex": lambda a: lax.complex(a.astype(jnp.float32), a.astype(jnp.float32)) * 2,
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_and_conversions(name):
    assert_folds(MOVES[name], A)


def test_nothing_is_evaluated_before_it_is_read():
    closed = jax.make_jaxpr(lambda a: a + 1)(A)
    (eqn,) = closed.jaxpr.eqns

    def fail():
        raise AssertionError("evaluated")

    inputs = [fold.Static(v.aval, fail) for v in eqn.invars]
    (output,) = fold.outputs(eqn, inputs)
    with pytest.raises(AssertionError, match="evaluated"):
        output.array  # noqa: B018


def test_an_output_is_evaluated_once():
    calls = []
    value = fold.Static(None, lambda: calls.append(1) or A)
    assert value.array is value.array
    assert calls == [1]


def test_one_repeated_number_stays_a_view_of_it():
    (found,) = folded(lambda a: (lax.broadcast(a, (50, 60)) * 2 + 1).T, np.float32(3))
    assert found.shape == (60, 50)
    assert fold.is_repeated(found)
    assert found[0, 0] == 7


N = 12
FOLDED = {
    "mask of places": (lambda x: jnp.where(jnp.arange(N) % 3 == 0, x * x, jnp.roll(x, 1)), N),
    "permutation": (lambda x: x[jnp.arange(N)[::-1] * 5 % N], N),
    "sorted keys": (lambda x: x[jnp.argsort(jnp.array([3, 1, 2]))], 3),
    "diagonal matrix": (lambda x: jnp.diag(jnp.arange(1.0, N + 1)) @ x, N),
    "triangular mask": (lambda x: jnp.where(jnp.tri(N, dtype=bool), x, 0.0), N * (N + 1) // 2),
    "identity": (lambda x: jnp.eye(N) * x, N),
    "segments": (lambda x: jax.ops.segment_sum(x**2, jnp.arange(N) // 4, 3), N),
    "nonzero places": (lambda x: x[jnp.nonzero(np.arange(N) % 2, size=6)[0]], 6),
    "one-hot": (lambda x: jax.nn.one_hot(jnp.arange(N)[::2], N) @ x, 6),
    "random permutation": (lambda x: x[jax.random.permutation(jax.random.key(0), N)], N),
    "starts": (lambda x: lax.dynamic_slice(x, (jnp.sum(jnp.arange(3)),), (4,)), 4),
    "a branch": (lambda x: lax.cond(jnp.sum(jnp.arange(3)) > 2, jnp.flip, lambda x: x.sum() * x, x), N),
}


@pytest.mark.parametrize("name", FOLDED)
def test_structure_made_of_shapes_is_found(name):
    f, entries = FOLDED[name]
    x = np.linspace(0.5, 2.0, N, dtype=np.float32)
    direct = jaxcalc.jacobian(f, format="structured", strict=True)

    def everything(x):
        return (
            direct(x),
            jaxcalc.jacobian(jax.jit(f), format="structured", strict=True)(x),
            jax.jacfwd(f)(x),
        )

    *found, wanted = jax.jit(everything)(x)
    for each in (direct(x), *found):
        assert each.nnz == entries
        np.testing.assert_allclose(each.toarray().reshape(wanted.shape), wanted, atol=1e-5)


def test_the_result_has_no_trace_of_what_was_folded():
    f = FOLDED["mask of places"][0]
    jaxpr = jax.make_jaxpr(lambda x: jaxcalc.jacobian(f, format="structured")(x).values)(jnp.ones(N))
    assert "iota" not in str(jaxpr)
    assert "rem" not in str(jaxpr)


def test_a_literal_may_be_a_python_boolean():
    # jnp.select traces with one, where other literals are numpy's
    def f(x):
        return jnp.select([x > 0.4, x > -0.4], [jnp.sin(x), x * x], 0.1)

    x = jnp.array([-1.0, 0.0, 0.2, 1.0])
    found = jaxcalc.jacobian(f, format="structured")(x)
    np.testing.assert_allclose(found.matrix(), jax.jit(jax.jacfwd(f))(x), rtol=1e-6)
    assert found.nnz == 4
