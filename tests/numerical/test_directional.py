"""Slopes along lines: against closed forms, with kinks and jumps told apart."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcalc.call.arguments import choose
from jaxcalc.call.flatten import FlatMap
from jaxcalc.numerical.columns import Slope
from jaxcalc.numerical.directional import Lines, slopes, slopes_of
from jaxcalc.numerical.sampling import Samples


def along(f: object, x: object, rows: object) -> Slope:
    samples = Samples(FlatMap(choose("test", f, 0, None, (x,), {})))  # type: ignore[arg-type]
    directions = jnp.asarray(rows, x.dtype)
    found = slopes(samples, [directions], np.ones(len(rows)), x.dtype)
    return Slope(*map(np.asarray, slopes_of(found) if isinstance(found, Lines) else found))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_slope_is_within_its_error(dtype: str) -> None:
    x = jnp.asarray([0.5, 1.0, 2.0], dtype)
    rows = [[1.0, 0.0, 0.0], [0.5, -1.0, 0.75]]
    found = along(jnp.sin, x, rows)
    true = np.asarray(rows) * np.cos([0.5, 1.0, 2.0])
    assert np.all(np.abs(found.value - true) <= found.error)
    assert not found.jump.any()
    assert not found.leaps.any()


def test_kinks_and_jumps() -> None:
    x = jnp.asarray([0.0, 1.0], jnp.float32)
    kink = along(jnp.abs, x, [[1.0, 0.0], [-0.5, 1.0]])
    np.testing.assert_allclose(kink.jump, [[2, 0], [1, 0]], atol=1e-4)
    np.testing.assert_allclose(kink.value, [[0, 0], [0, 1]], atol=1e-4)
    assert np.all(kink.error < 1e-3)
    jump = along(lambda x: jnp.floor(x + 0.5 * (x > 0.5)), x, [[1.0, 0.0], [0.0, 1.0]])
    assert jump.leaps.tolist() == [[True, False], [False, False]]
    assert np.isinf(jump.error[0, 0])


def test_nothing_moves_nothing() -> None:
    assert along(jnp.sin, jnp.ones(3), np.zeros((0, 3))).value.shape == (0, 3)
    assert along(lambda x: x[:0], jnp.ones(3), np.ones((2, 3))).value.shape == (2, 0)
