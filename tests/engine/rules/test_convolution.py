"""Convolutions: stencils, grouped and dilated ones, by the input and by the kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_reference import Case, check, check_hessian, normal
from jax import lax

import jaxcalc
from tests.in_numpy import in_numpy
from tests.thinned import thinned

pytestmark = pytest.mark.usefixtures("x64")
NHWC = ("NHWC", "HWIO", "NHWC")


def conv(kernel, strides=(1, 1), padding="SAME", numbers=NHWC, **options):
    return lambda x: lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=numbers, **options
    )


def by_kernel(x, **options):
    return lambda kernel: conv(kernel, **options)(x)


def kernel(*shape):
    return np.random.default_rng(5).normal(size=shape)


HOLES = {"lhs_dilation": (2, 2), "padding": ((2, 1), (1, 2))}

BY_INPUT = {
    "same": Case(conv(kernel(3, 3, 2, 3)), (2, 4, 5, 2)),
    "one channel": Case(conv(kernel(3, 3, 1, 1)), (2, 5, 5, 1)),
    "strides": Case(conv(kernel(3, 3, 2, 3), (2, 1)), (2, 5, 5, 2)),
    "strides with gaps": Case(conv(kernel(2, 2, 2, 3), (3, 3), "VALID"), (1, 7, 8, 2)),
    "kernel dilation": Case(
        conv(kernel(2, 3, 2, 3), padding="VALID", rhs_dilation=(2, 1)), (2, 5, 5, 2)
    ),
    "input dilation": Case(conv(kernel(3, 3, 2, 3), **HOLES), (2, 3, 4, 2)),
    "negative padding": Case(conv(kernel(3, 3, 2, 3), padding=((-1, 1), (1, -2))), (2, 6, 7, 2)),
    "feature groups": Case(conv(kernel(3, 3, 2, 6), feature_group_count=3), (2, 4, 5, 6)),
    "depthwise": Case(conv(kernel(3, 3, 1, 6), feature_group_count=3), (2, 4, 5, 3)),
    "batch groups": Case(conv(kernel(3, 3, 2, 6), batch_group_count=3), (6, 3, 4, 2)),
    "NCHW": Case(conv(kernel(3, 2, 3, 3), numbers=("NCHW", "OIHW", "NCHW")), (2, 2, 4, 5)),
    "CHWN": Case(conv(kernel(2, 3, 3, 3), numbers=("CHWN", "IHWO", "HWNC")), (2, 4, 5, 2)),
    "1 x 1": Case(conv(kernel(1, 1, 2, 3)), (2, 2, 3, 2)),
    "image of one row": Case(conv(kernel(3, 3, 2, 3)), (2, 1, 4, 2)),
    "kernel as wide as the image": Case(conv(kernel(3, 2, 2, 3), padding="VALID"), (2, 3, 2, 2)),
    "empty batch": Case(conv(kernel(3, 3, 2, 3)), (0, 4, 5, 2)),
    "one axis": Case(lambda x: lax.conv_general_dilated(x, kernel(2, 1, 3), (1,), "SAME"), (2, 1, 7)),
    "three axes": Case(
        lambda x: lax.conv_general_dilated(x, kernel(1, 1, 2, 2, 2), (1, 1, 1), "VALID"),
        (1, 1, 3, 3, 3),
    ),
    "no axis": Case(lambda x: lax.conv_general_dilated(x, kernel(3, 2), (), []), (2, 2)),
    "convolve": Case(lambda x: jnp.convolve(x, kernel(3)), (6,)),
    "convolve with itself": Case(lambda x: jnp.convolve(x, x), (5,)),
    "patches": Case(
        lambda x: lax.conv_general_dilated_patches(x, (2, 2), (1, 1), "VALID"), (2, 2, 3, 4)
    ),
}


@pytest.mark.parametrize("name", thinned(BY_INPUT, 3))
def test_by_input(name):
    check(BY_INPUT[name])


X = np.random.default_rng(7).normal(size=(2, 4, 5, 2))
BY_KERNEL = {
    "same": Case(by_kernel(X), (3, 3, 2, 3)),
    "strides": Case(by_kernel(X, strides=(2, 1), rhs_dilation=(1, 2)), (2, 2, 2, 3)),
    "input dilation": Case(by_kernel(X, **HOLES), (3, 3, 2, 3)),
    "feature groups": Case(by_kernel(X, feature_group_count=2), (3, 3, 1, 4)),
    "batch groups": Case(by_kernel(X, batch_group_count=2), (3, 3, 2, 4)),
    "image of one row": Case(by_kernel(X[:, :1]), (3, 3, 2, 3)),
}


@pytest.mark.parametrize("name", BY_KERNEL)
def test_by_kernel(name):
    check(BY_KERNEL[name])


def test_entries_of_a_same_convolution_are_those_inside_the_image():
    h, w, batch, channels, features = 6, 5, 3, 2, 4
    x = normal(batch, h, w, channels)
    f = conv(kernel(3, 3, channels, features))
    inside = (3 * h - 2) * (3 * w - 2) * batch * channels * features
    assert jaxcalc.jacobian(f, format="structured")(x).nnz == inside
    assert jaxcalc.sparsity(f, x).nnz == inside


def test_places_known_to_weigh_nothing_are_no_entries():
    laplace = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0.0]])[:, :, None, None]
    check(Case(conv(laplace), (1, 6, 6, 1), 5 * 36 - 4 * 6))


def test_both_operands_depend_on_the_input():
    check(Case(lambda x: conv(jnp.transpose(x, (1, 2, 3, 0))[:3, :3])(x), (2, 4, 5, 2)))


def test_large_kernels():
    k = kernel(12, 13, 1, 2)
    check(Case(conv(k), (1, 14, 14, 1)))
    check(Case(conv(k, (2, 3)), (1, 20, 20, 1)))
    check(Case(by_kernel(normal(2, 14, 14, 1), padding="VALID"), (12, 13, 1, 2)))


W = kernel(12, 4)
NETS = {
    "two layers": Case(
        lambda x: conv(kernel(3, 3, 3, 2))(jnp.tanh(conv(kernel(3, 3, 2, 3))(x))), (2, 6, 5, 2)
    ),
    "strided, to a dense layer": Case(
        lambda x: (
            jnp.tanh(conv(kernel(3, 3, 3, 2), (2, 2))(jnp.tanh(conv(kernel(3, 3, 2, 3))(x)))).reshape(
                2, -1
            )
            @ W
        ),
        (2, 6, 4, 2),
    ),
    "gaps, to a dense layer": Case(
        lambda x: jnp.tanh(conv(kernel(2, 2, 1, 3), (3, 3), "VALID")(x)).reshape(2, -1) @ W,
        (2, 6, 6, 1),
    ),
    "after a dense layer": Case(
        lambda x: conv(kernel(3, 3, 3, 2))(jnp.tanh(x @ kernel(4, 27)).reshape(2, 3, 3, 3)), (2, 4)
    ),
    "depthwise after a dense layer": Case(
        lambda x: conv(kernel(3, 3, 1, 6), feature_group_count=3)(
            jnp.tanh(x @ kernel(4, 27)).reshape(2, 3, 3, 3)
        ),
        (2, 4),
    ),
    "an image of one color": Case(
        lambda x: conv(kernel(3, 3, 1, 6), feature_group_count=3)(
            jnp.broadcast_to(x[:, None, None], (2, 4, 4, 3))
        ),
        (2, 3),
    ),
}


@pytest.mark.parametrize("name", thinned(NETS))
def test_nets_keep_samples_and_windows_apart(name):
    check(NETS[name])


def test_hessian_by_the_image_is_a_wider_stencil():
    # two pixels meet where a 3 x 3 window holds both: a window of 5 x 5, all channels
    h, w = 6, 5
    entries = (5 * h - 6) * (5 * w - 6) * 4
    f = lambda x: jnp.sum(conv(kernel(3, 3, 2, 3))(x) ** 3)  # noqa: E731
    check_hessian(f, normal(1, h, w, 2), entries)


def test_hessian_by_the_kernel():
    f = lambda k: jnp.sum(jnp.tanh(by_kernel(X)(k)))  # noqa: E731
    # kernels of different features do not meet
    check_hessian(f, normal(3, 3, 2, 3), 3 * 18**2)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_narrow_types(dtype):
    k = jnp.asarray(kernel(3, 3, 2, 3), dtype)
    check(Case(conv(k), (), None), normal(2, 4, 5, 2, dtype=dtype))


def test_complex():
    k = normal(3, 3, 2, 3, dtype=np.complex64)
    f = conv(k)
    x = normal(1, 4, 4, 2, dtype=np.complex64)
    dense = in_numpy(jax.jacfwd(f, holomorphic=True))(x)
    found = jaxcalc.jacobian(f, format="structured", holomorphic=True, strict=True)(x)
    np.testing.assert_allclose(found.todense(), dense, atol=1e-5)
    assert found.nnz == np.count_nonzero(dense)


def test_wide_accumulation_is_the_dtype_of_the_result():
    k = jnp.asarray(kernel(3, 3, 2, 3), jnp.bfloat16)
    f = conv(k, preferred_element_type=jnp.float32)
    x = normal(1, 4, 4, 2, dtype=jnp.bfloat16)
    found = jaxcalc.jacobian(f, format="structured", mode="forward", strict=True)(x)
    assert found.values.dtype == jnp.float32
    np.testing.assert_allclose(found.todense(), in_numpy(jax.jacfwd(f))(x), atol=1e-2)


def test_under_an_outer_jit():
    f = conv(kernel(3, 3, 2, 3))
    x = normal(2, 4, 4, 2)
    found = jax.jit(lambda x: jaxcalc.jacobian(f, format="structured")(x).todense())(x)
    np.testing.assert_allclose(found, in_numpy(jax.jacfwd(f))(x), atol=1e-12)
