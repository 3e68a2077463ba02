"""Functions whose constants are arguments of the compiled program."""

import jax.numpy as jnp
import numpy as np

from jaxcalc.engine.jaxprs.staged import Staged


def test_constants_are_kept_once_and_numbers_are_compiled_in():
    table, number = np.arange(50.0, dtype=np.float32), np.full((1,), 3, np.float32)
    x = jnp.ones(50, jnp.float32)
    staged = Staged(lambda given: [given[0] * table + number], [x])
    np.testing.assert_array_equal(staged([x])[0], table + 3)
    np.testing.assert_array_equal(staged.inline([2 * x])[0], 2 * table + 3)
    assert [c.shape for c in staged.constants] == [(50,)]
    # in JAX 0.10 a program has no constants of its own
    large = [c for c in getattr(staged.jaxpr, "consts", []) if np.size(c) > 1]
    assert all(any(c is kept for kept in staged.constants) for c in large)
