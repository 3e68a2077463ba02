"""Places out of bounds: each format says what JAX says in the same direction.

`x[i]` promises that i is in bounds. Its value is clamped, and so is its forward derivative; the reverse
one adds to places, and leaves those out that are not there.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc

X = np.array([0.5, 1.5, 2.5])
OUTSIDE = np.array([0, 7, -1, -9, 3])


def read(mode):
    return lambda x, i: x.at[i].get(mode=mode, fill_value=0.0) ** 2


CASES = {
    "as written": lambda x, i: x[i] ** 2,
    **{mode: read(mode) for mode in ("promise_in_bounds", "clip", "fill")},
    "take": lambda x, i: jnp.take(x, i, fill_value=0.0) ** 2,
    "take, clipped": lambda x, i: jnp.take(x, i, mode="clip") ** 2,
    "along an axis": lambda x, i: jnp.take_along_axis(x, i, 0, mode="clip") ** 2,
    "slices": lambda x, i: jax.lax.dynamic_slice(x, (i[1],), (2,)) ** 2,
    "written": lambda x, i: x.at[i].set(x[:1] ** 2),
    "added": lambda x, i: x.at[i].add(x[:1] ** 2),
    "written, promised": lambda x, i: x.at[i].add(x[:1] ** 2, mode="promise_in_bounds"),
}


@pytest.mark.parametrize("name", CASES)
def test_formats_agree_in_each_direction(name, x64):
    f = CASES[name]
    known = lambda x: f(x, OUTSIDE)  # noqa: E731
    traced = lambda x: f(x, jnp.asarray(OUTSIDE) + jnp.int64(0 * x[0]))  # noqa: E731
    for mode, transform in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
        expected = transform(known)(X)
        for g in (known, traced):
            found = jaxcalc.jacobian(g, mode=mode, format="structured")(X)
            np.testing.assert_allclose(found.todense(), expected, rtol=1e-14, err_msg=mode)
        np.testing.assert_allclose(jaxcalc.jacobian(known, mode=mode)(X), expected, rtol=1e-14)


def test_a_clamped_read_forward_and_in_reverse(x64):
    f = lambda x: x[OUTSIDE]  # noqa: E731
    forward = jaxcalc.jacobian(f, mode="forward", format="structured")(X).todense()
    reverse = jaxcalc.jacobian(f, mode="reverse", format="structured")(X).todense()
    np.testing.assert_array_equal(forward, np.eye(3)[[0, 2, 2, 0, 2]])
    np.testing.assert_array_equal(reverse, [[1, 0, 0], [0] * 3, [0, 0, 1], [0] * 3, [0] * 3])
