"""Kinks of tables, lookups and branches, just at their limits."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from tests.checking.faults import fault, vector

KNOTS = jnp.array([0.0, 1.0, 2.0])
TABLE = jnp.array([0.0, 1.0, 4.0])
ONE_AND_THREE = (
    "at a grid point has a kink here: the slopes on its two sides are 1 and 3, and JAX takes 3"
)


@fault("note", "kink", f"interp {ONE_AND_THREE}", np.float32(1.0))
def interpolation_at_a_knot(x):
    """jnp.interp at a knot"""
    return jnp.interp(x, KNOTS, TABLE)  # <-


@fault("note", "kink", f"interp {ONE_AND_THREE}", vector(0.5, 1.0, 1.5))
def one_of_several_at_a_knot(x):
    """jnp.interp of several numbers, one at a knot"""
    return jnp.sum(jnp.interp(x, KNOTS, TABLE))  # <-


@fault("note", "kink", f"map_coordinates {ONE_AND_THREE}", vector(1.0))
def pixel_at_its_center(x):
    """map_coordinates at the center of a pixel"""
    return map_coordinates(TABLE, [x], order=1)[0]  # <-


@fault("note", "kink", f"searchsorted {ONE_AND_THREE[:49]}", np.float32(1.0))
def table_by_searchsorted(x):
    """a table looked up with searchsorted, at a grid point"""
    i = jnp.clip(jnp.searchsorted(KNOTS, x) - 1, 0, 1)  # <-
    return TABLE[i] + (x - KNOTS[i]) * (TABLE[i + 1] - TABLE[i])


@fault("note", "kink", "a lookup at a grid point (floor) has a kink here", np.float32(1.0))
def table_by_floor(x):
    """a table looked up with floor, at a grid point"""
    i = jnp.floor(x).astype(int)  # <-
    return TABLE[i] + (x - i) * (TABLE[i + 1] - TABLE[i])


@fault("note", "kink", "slopes on its two sides are 1 and 2, and JAX takes 1", np.float32(0.0))
def branch_at_its_limit(x):
    """lax.cond just where its condition changes"""
    return jax.lax.cond(x > 0, lambda x: 2 * x, lambda x: x, x)  # <-


def _smooth_table(x):
    i = jnp.floor(x).astype(int)
    u = x - i
    return TABLE[i] * (1 - u**2 * (3 - 2 * u)) + TABLE[i + 1] * u**2 * (3 - 2 * u) + x


HEALTHY = {
    "interp between knots": (lambda x: jnp.interp(x, KNOTS, TABLE), np.float32(0.7)),
    "interp of a straight line at a knot": (lambda x: jnp.interp(x, KNOTS, KNOTS), np.float32(1.0)),
    "map_coordinates between pixels": (
        lambda x: map_coordinates(TABLE, [x], order=1)[0],
        vector(1.3),
    ),
    "a smooth table at a grid point": (_smooth_table, np.float32(1.0)),
    "a branch at its limit that bends nothing": (
        lambda x: jax.lax.cond(x > 0, lambda x: x + x**2, lambda x: x - x**3, x),
        np.float32(0.0),
    ),
    "an index of whole numbers": (lambda x: x[jnp.argmax(x)] ** 2, vector(1.0, 2.0)),
}
