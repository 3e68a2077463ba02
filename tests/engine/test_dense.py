"""Dense blocks through JAX's transformations, and the cheaper direction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.call.concretization import PERHAPS_UNTRACEABLE, UNTRACEABLE
from jaxcalc.methods.dense_blocks import cheaper_direction, hessian_blocks, jacobian_blocks

A, B = jnp.array([1.0, 2.0]), jnp.float32(3.0)


def call(leaves):
    a, b = leaves
    return [a * b, jnp.sum(a**2)], {"text": "aux", "a": a}


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_blocks_by_output_and_input(direction):
    blocks, output, aux = jacobian_blocks(call, [A, B], direction, holomorphic=False)
    np.testing.assert_array_equal(blocks[0][0], 3 * np.eye(2))
    np.testing.assert_array_equal(blocks[0][1], [1.0, 2.0])
    np.testing.assert_array_equal(blocks[1][0], [2.0, 4.0])
    assert float(blocks[1][1]) == 0.0
    np.testing.assert_array_equal(output[0], [3.0, 6.0])
    assert float(output[1]) == 5.0
    assert aux["text"] == "aux"
    np.testing.assert_array_equal(aux["a"], A)


@pytest.mark.parametrize("outer", ["forward", "reverse"])
@pytest.mark.parametrize("inner", ["forward", "reverse"])
def test_second_blocks(outer, inner):
    second, first, output, aux = hessian_blocks(call, [A, B], (outer, inner), holomorphic=False)
    np.testing.assert_array_equal(second[1][0][0], 2 * np.eye(2))
    np.testing.assert_array_equal(second[0][0][1], np.eye(2))
    np.testing.assert_array_equal(second[0][1][0], np.eye(2))
    np.testing.assert_array_equal(second[0][0][0], np.zeros((2, 2, 2)))
    np.testing.assert_array_equal(first[1][0], [2.0, 4.0])
    assert float(output[1]) == 5.0
    assert aux["text"] == "aux"


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_no_inputs_and_no_outputs(direction):
    assert jacobian_blocks(lambda _: ([A], 1), [], direction, holomorphic=False)[0] == [[]]
    assert jacobian_blocks(lambda _: ([], 1), [A], direction, holomorphic=False)[::2] == ([], 1)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_real_to_complex_blocks(direction):
    f = lambda leaves: ([jnp.exp(1j * leaves[0]), leaves[0]], None)  # noqa: E731
    blocks, _, _ = jacobian_blocks(f, [A], direction, holomorphic=False)
    np.testing.assert_allclose(blocks[0][0], np.diag(1j * np.exp(1j * np.asarray(A))), atol=1e-6)
    np.testing.assert_array_equal(blocks[1][0], np.eye(2))


def test_cheaper_direction():
    scalar, short, long = jnp.float32(1), jnp.ones(3), jnp.ones((4, 5))
    assert cheaper_direction([short], [scalar]) == "reverse"
    assert cheaper_direction([short], [short]) == "forward"
    assert cheaper_direction([short, scalar], [long]) == "forward"
    assert cheaper_direction([long], [short, scalar]) == "reverse"
    assert cheaper_direction([long], []) == "forward"
    # only reverse mode takes complex inputs of a real function
    assert cheaper_direction([scalar * 1j], [long]) == "reverse"
    assert cheaper_direction([scalar * 1j], [long * 1j]) == "forward"


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x > 0 else -x,
        lambda x: jnp.ones(int(x)),
        lambda x: np.asarray(x) * x,
        lambda x: jnp.arange(3.0)[jnp.arange(3) > x],
        lambda x: [1.0, 2.0][x.astype(int)],
    ],
)
def test_what_tracing_raises_when_a_value_is_needed(f):
    with pytest.raises(UNTRACEABLE):
        jax.make_jaxpr(f)(1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x > 0 else -x,
        lambda x: jnp.ones(3)[: x.astype(int)],
        lambda x: jnp.ones(3).reshape(x.astype(int), -1),
    ],
)
def test_what_tracing_may_raise_for_other_reasons_too(f):
    with pytest.raises(PERHAPS_UNTRACEABLE):
        jax.make_jaxpr(f)(1.0)
