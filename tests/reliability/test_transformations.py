"""Every public transformation under every one of JAX's, against JAX's own derivatives in float64."""

import functools
import subprocess
import sys
from contextlib import ExitStack

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.reliability.transformations import CASES, point, total

pytestmark = pytest.mark.usefixtures("x64")
BATCH = 3


def batch():
    return jnp.stack([point() * s for s in (1.0, 0.7, -0.4)])


def jvp(case):
    return lambda x: jax.jvp(case, (x,), (jnp.cos(x),))


def vjp(case):
    def pulled(x):
        value, pull = jax.vjp(case, x)
        return pull(jax.tree.map(jnp.cos, value))

    return pulled


def scanned(case):
    def body(carry, x):
        y = case(x)
        return carry + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(y)), y

    return lambda xs: jax.lax.scan(body, jnp.zeros((), xs.dtype), xs)


def exported(case):
    def call(x):
        program = jax.export.export(jax.jit(case))(jax.ShapeDtypeStruct(x.shape, x.dtype))
        return program.call(x)

    return call


@functools.cache
def compiled(name):
    """JAX's own derivative, compiled once for all that is compared with it."""
    return jax.jit(CASES[name].theirs)


def same(name):
    return compiled(name)(point())


def each(name):
    """For each sample of the batch."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(compiled(name), batch()))


def summed(name):
    """As `scanned`."""
    leaves = each(name)
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(leaves)), leaves


def by(wrap, start):
    """As JAX does the same with its own derivative."""
    return lambda name: wrap(CASES[name].theirs)(start())


UNDER = {
    "nothing": (lambda case: case, point, same),
    "jit": (jax.jit, point, same),
    "donation": (lambda case: lambda x: jax.jit(case, donate_argnums=0)(x + 0), point, same),
    "export": (exported, point, same),
    "vmap": (jax.vmap, batch, each),
    "vmap over the last axis": (lambda case: jax.vmap(case, in_axes=1), lambda: batch().T, each),
    "vmap of vmap": (
        lambda case: lambda x: jax.tree.map(lambda y: y[0], jax.vmap(jax.vmap(case))(x[None])),
        batch,
        each,
    ),
    "scan": (scanned, batch, summed),
    "grad": (lambda case: jax.grad(total(case)), point, by(lambda c: jax.grad(total(c)), point)),
    "jvp": (jvp, point, by(jvp, point)),
    "vjp": (vjp, point, by(vjp, point)),
    "checkpoint": (
        lambda case: jax.grad(total(jax.checkpoint(case))),
        point,
        by(lambda c: jax.grad(total(c)), point),
    ),
}


@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("under", UNDER)
def test_it_is_what_jax_gives(under, name):
    wrap, start, reference = UNDER[under]
    ours, theirs = wrap(CASES[name].ours)(start()), reference(name)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.shape(a) == jnp.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_shapes_are_known_without_values(name):
    ours, theirs = (jax.eval_shape(case, point()) for case in CASES[name])
    assert jax.tree.map(lambda x: (x.shape, x.dtype), ours) == jax.tree.map(
        lambda x: (x.shape, x.dtype), theirs
    )


SETTINGS = {
    "debug_nans": lambda: jax.debug_nans(True),
    "float32": lambda: jax.enable_x64(False),
    "strict promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "no rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "no leaks": jax.checking_leaks,
    "disable_jit": jax.disable_jit,
}


DIRECT = ("debug_nans", "disable_jit", "no leaks")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_under_settings(setting, name):
    ours = CASES[name].ours
    with ExitStack() as stack:
        stack.enter_context(SETTINGS[setting]())
        x = point()
        found = (ours if setting in DIRECT else jax.jit(ours))(x)
        wanted = compiled(name)(x)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4 if setting == "float32" else 1e-9, atol=1e-5)


ON_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from tests.reliability.transformations import CASES, point
assert jax.device_count() == 4
mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
xs = jnp.stack([point() * s for s in (1.0, 0.9, 0.8, 0.7, -0.6, 0.5, 0.4, 0.3)])
sharded = jax.device_put(xs, NamedSharding(mesh, P("d")))
replicated = jax.device_put(xs[0], NamedSharding(mesh, P()))
names = ["gradient", "derivative", "jacobian", "jacobian, structured", "jacobian, memory_limit",
         "jacobian, diagonal", "value_and_jacobian", "hessian", "hessian, bcoo"]
for name in names:
    ours, theirs = CASES[name]
    wanted = jax.vmap(theirs)(xs)
    mapped = jax.shard_map(jax.vmap(ours), mesh=mesh, in_specs=P("d"), out_specs=P("d"))
    for found in (jax.jit(mapped)(sharded), jax.jit(jax.vmap(ours))(sharded)):
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5, err_msg=name)
    for a, b in zip(jax.tree.leaves(ours(replicated)), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b[0], rtol=2e-4, atol=1e-5, err_msg=name)
print("ok")
"""


def test_over_several_devices():
    environment = {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PATH": "",
        "PYTHONPATH": ":".join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", ON_DEVICES], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "ok"
