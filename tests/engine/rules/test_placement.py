"""Operations that say where or how a value is kept leave its structure alone, and its values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import layout, xla_metadata
from jax.experimental.fused import fused
from jax.experimental.scheduling_groups import scheduling_group
from jax_versions import alike, on_host

import jaxcalc

X = np.linspace(0.1, 1, 5, dtype=np.float32)
HERE = jax.memory.Space.Device


def doubled(x):
    return jnp.sin(x) * 2


CASES = {
    "layout_constraint": lambda x: layout.with_layout_constraint(doubled(x), layout.Layout((0,))),
    "xla_metadata_value": lambda x: xla_metadata.set_xla_metadata(doubled(x), a="b"),
    **{name: lambda x, run=run: sum(run(jnp.sin(x), jnp.sin(x))) for name, run in alike().items()},
    **{name: run(doubled) for name, run in on_host().items()},
    "xla_metadata_call": scheduling_group("a")(doubled),
    "fused_call": fused(out_spaces=(HERE,))(doubled),
}


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", CASES)
def test_a_diagonal_stays_one(name, mode):
    f = lambda x: jnp.asarray(CASES[name](x)).reshape(x.shape)  # noqa: E731
    assert name in str(jax.make_jaxpr(f)(X))
    found = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(X)
    assert found.nnz == 5
    np.testing.assert_allclose(found.todense(), np.diag(2 * np.cos(X)), rtol=1e-6)


def test_sums_under_vmap_with_an_axis_name():
    f = jax.vmap(lambda x: x * lax.psum(jnp.sin(x), "b"), axis_name="b")
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    found = jaxcalc.jacobian(f, format="structured", strict=True)(x)
    assert found.nnz == 4 * 5 * 4  # columns do not mix
    np.testing.assert_allclose(found.todense(), jax.jacfwd(f)(x), rtol=1e-5, atol=1e-6)
