from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcalc.numerical.steps import falling_steps, falls, ladder_for

DTYPES = [jnp.float64, jnp.float32, jnp.float16, jnp.bfloat16]


@partial(jax.jit, static_argnums=(1, 2))
def steps_at(x, order=1, largest=None):
    ladder = ladder_for(x.dtype, order)
    return falling_steps(x, falls(x, ladder), largest)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [0.0, 1e-3, 0.3, 1.0, -1.0, 7.77, -123.4, 6e3])
def test_steps_fall_and_stay_above_the_grid_of_x(x64, dtype, x, order):
    x = jnp.asarray(x, dtype)
    steps = np.asarray(steps_at(x, order), np.float64)
    assert np.all(np.diff(steps) < 0)
    assert np.all(steps > 0)
    spacing = float(jnp.finfo(dtype).eps) * abs(float(x))
    assert steps[-1] >= spacing / 2


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 1e3), st.sampled_from([jnp.float32, jnp.bfloat16]))
def test_steps_below_x_move_it_exactly(x, dtype):
    """x + h and x - h are floating point numbers: computed exactly in float64, nothing is lost."""
    x = jnp.asarray(x, dtype)
    steps = steps_at(x)
    small = np.asarray(steps, np.float64) < abs(float(x))
    for sign in (1, -1):
        moved = np.asarray(x + sign * steps, np.float64)
        exact = float(x) + sign * np.asarray(steps, np.float64)
        np.testing.assert_array_equal(moved[small], exact[small])


def test_a_python_number_keeps_its_weak_type():
    assert steps_at(jnp.asarray(2.0)).weak_type
    assert not steps_at(jnp.float32(2.0)).weak_type


def test_steps_reach_both_scales(x64):
    """sin varies on the scale of 1 and log on that of x, and the steps cannot know which it is."""
    for x in (1e-30, 1e-10, 1e-6, 1e-3, 1e3, 1e5):
        steps = np.asarray(steps_at(jnp.float64(x)))
        assert steps[0] >= 0.3 * max(1, x)
        assert steps[-1] <= 0.01 * min(1, x)


def test_largest_step_is_the_users(x64):
    assert steps_at(jnp.float64(3.0), largest=0.01)[0] == pytest.approx(0.01)
