"""f as a map of leaves, its derivatives as pytrees, and outputs that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import dtypes

from jaxcalc.call.arguments import choose
from jaxcalc.call.flatten import FlatMap, require_differentiable_output, require_real_side, split_aux

TREE = {"a": jnp.arange(2.0), "n": jnp.arange(3), "s": 2.0}


def flat_map(f, *args, has_aux=False, argnums=0):
    return FlatMap(choose("jaxcalc.jacobian", f, argnums, None, args, {}), has_aux)


def test_integer_leaves_are_held_constant():
    flat = flat_map(lambda p: (p["a"] * p["s"] + p["n"][1], p["s"]), TREE)
    assert flat.shapes == [(2,), ()]
    output, aux = flat([jnp.ones(2), 3.0])
    np.testing.assert_array_equal(output[0], [4.0, 4.0])
    assert (output[1], aux) == (3.0, None)
    assert flat.value(["y", "z"]) == ("y", "z")


def test_blocks_nest_as_output_of_input():
    flat = flat_map(lambda p: {"y": p["a"]}, TREE)
    flat(flat.leaves)
    packed = flat.jacobian([["by a", "by s"]], [(2,)])
    assert (packed["y"]["a"], packed["y"]["s"]) == ("by a", "by s")
    zeros = packed["y"]["n"]
    assert (zeros.dtype, zeros.shape) == (dtypes.float0, (2, 3))


def test_second_order_blocks_nest_twice_with_float0_where_an_integer_is():
    flat = flat_map(lambda p: p["s"], TREE)
    flat(flat.leaves)
    packed = flat.hessian([[["aa", "as"], ["sa", "ss"]]], [()])
    assert (packed["a"]["s"], packed["s"]["a"], packed["s"]["s"]) == ("as", "sa", "ss")
    for outer, inner, shape in (
        ("a", "n", (2, 3)),
        ("n", "a", (3, 2)),
        ("n", "n", (3, 3)),
        ("s", "n", (3,)),
    ):
        zeros = packed[outer][inner]
        assert (zeros.dtype, zeros.shape) == (dtypes.float0, shape)


def test_aux_is_split_off():
    flat = flat_map(lambda x: (x, {"anything": "text"}), 1.0, has_aux=True)
    assert flat([2.0]) == ([2.0], {"anything": "text"})


@pytest.mark.parametrize(
    ("result", "described"),
    [
        (jnp.ones(2), r"an array float32\[2\]"),
        ((1, 2, 3), "a tuple"),
        ([1, 2], "a list"),
        (None, "a NoneType"),
    ],
)
def test_without_a_pair_there_is_no_aux(result, described):
    # jax.grad raises a TypeError, jax.jacfwd a ValueError: the error is both
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match=rf"^api: with has_aux=True .* but it returned {described}"):
            split_aux("api", result, has_aux=True)


def test_outputs_that_are_no_arrays_are_named():
    with pytest.raises(
        TypeError, match=r"^api: the function returned 'text' of type str in output\['a'\]"
    ):
        split_aux("api", {"a": "text"}, has_aux=False)


@pytest.mark.parametrize(
    ("output", "holomorphic", "text"),
    [
        ({"a": jnp.arange(2)}, False, r"output\['a'\] is int32, which has no derivative"),
        (True, False, "output is bool, which has no derivative"),
        ([1.0, 2j], True, r"holomorphic=True requires complex outputs, but output\[0\] is float32"),
    ],
)
def test_outputs_without_a_derivative(output, holomorphic, text):
    leaves, treedef = jax.tree.flatten(output)
    with pytest.raises(TypeError, match=rf"^api: {text}"):
        require_differentiable_output("api", leaves, treedef, holomorphic=holomorphic)


def test_complex_on_both_sides_needs_holomorphic():
    chosen = choose("api", lambda z: z, 0, None, ({"z": 1j, "x": 1.0},), {})
    leaves, treedef = jax.tree.flatten((1.0, {"y": 2j}))
    with pytest.raises(
        TypeError, match=r"^api: z\['z'\] is complex64 and output\[1\]\['y'\] is complex64"
    ):
        require_real_side(chosen, leaves, treedef)
    require_real_side(chosen, [1.0], jax.tree.structure(0))
    real = choose("api", lambda z: z, 0, None, (1.0,), {})
    require_real_side(real, leaves, treedef)
