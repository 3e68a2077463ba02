"""Pooling over windows: sums, and the largest or smallest element in both directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import BOTH, Case, check, check_hessian, normal
from jax import lax

import jaxcalc
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")


def pool(operation, initial, sizes, strides, padding="VALID", **dilation):
    def f(x):
        return lax.reduce_window(
            x, np.asarray(initial, x.dtype), operation, sizes, strides, padding, **dilation
        )

    return f


KINDS = {"sum": (lax.add, 0.0), "max": (lax.max, -np.inf), "min": (lax.min, np.inf)}
# shape, window, strides, padding, dilations, and the entries: pairs of a window and an element in it
WINDOWS = {
    "side by side": ((2, 4, 6), (1, 2, 2), (1, 2, 2), "VALID", {}, 48),
    "overlapping": ((2, 4, 6), (1, 2, 3), (1, 1, 2), "VALID", {}, 72),
    "same": ((2, 5, 6), (1, 2, 3), (1, 2, 2), "SAME", {}, 80),
    "padded": ((2, 5, 6), (1, 2, 3), (1, 2, 1), ((0, 0), (2, 1), (1, 3)), {}, 170),
    "gaps": ((2, 7, 8), (1, 2, 2), (1, 3, 3), "VALID", {}, 48),
    "whole": ((2, 4, 6), (1, 4, 6), (1, 1, 1), "VALID", {}, 48),
    "first axis": ((4, 6), (1, 2), (2, 1), "VALID", {}, 20),
    "one axis": ((7,), (3,), (1,), "SAME", {}, 19),
    "one element": ((1,), (1,), (1,), "VALID", {}, 1),
    "empty": ((0, 4), (1, 2), (1, 2), "VALID", {}, 0),
}
DILATED = {
    "window dilation": ((2, 5, 6), (1, 2, 2), (1, 1, 2), "VALID", {"window_dilation": (1, 2, 2)}, 48),
    "base dilation": ((2, 4, 4), (1, 2, 2), (1, 1, 2), "VALID", {"base_dilation": (1, 2, 3)}, 48),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", thinned(WINDOWS, 3))
def test_windows(kind, name):
    shape, sizes, strides, padding, dilation, entries = WINDOWS[name]
    check(Case(pool(*KINDS[kind], sizes, strides, padding, **dilation), shape, entries))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DILATED)
def test_dilated_windows(kind, name):
    shape, sizes, strides, padding, dilation, entries = DILATED[name]
    ways = BOTH if kind == "sum" else ("forward",)  # JAX has no reverse mode for the others
    check(Case(pool(*KINDS[kind], sizes, strides, padding, **dilation), shape, entries, ways))


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("values", [(0.0,), (-np.inf, 0.0), (1.0, 2.0)])
def test_of_equal_elements_the_same_one_is_picked_as_in_jax(kind, values):
    f = pool(*KINDS[kind], (1, 2, 3), (1, 1, 2))
    x = jnp.asarray(np.random.default_rng(3).choice(values, size=(2, 4, 6)))
    for way, transform in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
        found = jaxcalc.jacobian(f, format="structured", mode=way, strict=True)(x)
        np.testing.assert_array_equal(found.todense(), transform(f)(x))


W = np.random.default_rng(5).normal(size=(6, 24))


@pytest.mark.parametrize("kind", KINDS)
def test_after_and_before_a_dense_layer(kind):
    f = pool(*KINDS[kind], (1, 2, 3), (1, 1, 2))
    check(Case(lambda x: f(jnp.tanh(x @ W).reshape(2, 4, 6)), (2, 6), 2 * 6 * 6))
    # the windows reach five of the six columns
    entries = 2 * 4 * 5 * 24
    check(Case(lambda x: f(x).reshape(2, 6) @ W, (2, 4, 6), entries))


def test_hessian_of_pooled_squares():
    f = pool(*KINDS["sum"], (1, 2, 2), (1, 2, 2))
    check_hessian(lambda x: jnp.sum(f(x) ** 3), normal(2, 4, 4), 8 * 16)


def test_hessian_through_a_maximum():
    f = pool(*KINDS["max"], (1, 2, 2), (1, 2, 2))
    check_hessian(lambda x: jnp.sum(f(x * x) ** 2), normal(2, 4, 4), 8 * 16)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_windows_longer_than_the_type_can_count(dtype):
    x = jnp.asarray(np.random.default_rng(4).normal(size=(1, 1200)), dtype)
    f = pool(*KINDS["max"], (1, 600), (1, 600))
    check(Case(f, (), 1200), x)


# windows of more places than are copied one by one
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("window", "strides", "padding", "entries"),
    [((1, 14, 12), (1, 14, 12), "VALID", 24 * 28), ((1, 12, 13), (1, 5, 6), "SAME", None)],
)
def test_large_windows(kind, window, strides, padding, entries):
    check(Case(pool(*KINDS[kind], window, strides, padding), (1, 28, 24), entries))


@pytest.mark.parametrize(
    ("f", "reverse"),
    [
        (jnp.cumprod, False),
        (lax.cummax, True),
        (lax.cumlogsumexp, False),
        *(
            pytest.param(f, reverse, marks=pytest.mark.slow)
            for f, reverse in [
                (jnp.cumprod, True),
                (lax.cummax, False),
                (lax.cummin, False),
                (lax.cummin, True),
                (lax.cumlogsumexp, True),
            ]
        ),
    ],
)
def test_running_products_and_maxima_are_triangles(f, reverse):
    n = 7
    run = (lambda x: jnp.flip(f(jnp.flip(x)))) if reverse else f
    check(Case(run, (n,), n * (n + 1) // 2))
