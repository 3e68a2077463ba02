"""Every public transformation under every one of JAX's, against JAX's own derivatives in float64."""

import functools
import subprocess
import sys
from contextlib import ExitStack

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import compilation_cache
from tests.fuzz.evaluate import evaluate
from tests.reliability.transformations import CASES, point, total
from tests.thinned import thinned

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
def reference(name, under="nothing"):
    """What JAX's own derivative gives there, by numpy: its leaves, after their sum under a scan."""
    case = CASES[name].theirs
    if under in BY_JAX:
        wrap, start = BY_JAX[under]
        return evaluate(jax.make_jaxpr(wrap(case))(start()), [start()])
    if under not in OF_A_BATCH:
        return evaluate(jax.make_jaxpr(case)(point()), [point()])
    program = jax.make_jaxpr(case)(point())
    leaves = [np.stack(leaf) for leaf in zip(*(evaluate(program, [x]) for x in batch()), strict=True)]
    return [sum(np.sum(leaf) for leaf in leaves), *leaves] if under == "scan" else leaves


UNDER = {
    "nothing": (lambda case: case, point),
    "jit": (jax.jit, point),
    "donation": (lambda case: lambda x: jax.jit(case, donate_argnums=0)(x + 0), point),
    "export": (exported, point),
    "vmap": (jax.vmap, batch),
    "vmap over the last axis": (lambda case: jax.vmap(case, in_axes=1), lambda: batch().T),
    "vmap of vmap": (
        lambda case: lambda x: jax.tree.map(lambda y: y[0], jax.vmap(jax.vmap(case))(x[None])),
        batch,
    ),
    "scan": (scanned, batch),
    "grad": (lambda case: jax.grad(total(case)), point),
    "jvp": (jvp, point),
    "vjp": (vjp, point),
    "checkpoint": (lambda case: jax.grad(total(jax.checkpoint(case))), point),
}
OF_A_BATCH = ("vmap", "vmap over the last axis", "vmap of vmap", "scan")
BY_JAX = {  # what JAX does the same with its own derivative
    "grad": UNDER["grad"],
    "checkpoint": UNDER["grad"],
    "jvp": UNDER["jvp"],
    "vjp": UNDER["vjp"],
}
ALONE = ("nothing", "donation")  # not what it is within another program


def require_same(name, under, found):
    wrap, start = UNDER[under]
    shapes = jax.eval_shape(wrap(CASES[name].theirs), start())
    assert jax.tree.structure(found) == jax.tree.structure(shapes)
    for a, b in zip(jax.tree.leaves(found), reference(name, under), strict=True):
        assert jnp.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=under)


@pytest.mark.parametrize("name", thinned(CASES, 5))
def test_it_is_what_jax_gives(name):
    """Under all transformations, as one program."""
    unders = [under for under in UNDER if under not in ALONE]

    @jax.jit
    def everything(starts):
        return [
            UNDER[under][0](CASES[name].ours)(start)
            for under, start in zip(unders, starts, strict=True)
        ]

    found = everything([UNDER[under][1]() for under in unders])
    for under, each in zip(unders, found, strict=True):
        require_same(name, under, each)


@pytest.mark.eager
@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
@pytest.mark.parametrize(
    ("under", "name"),
    [(under, "jacobian") for under in UNDER]
    + [("nothing", name) for name in CASES if name != "jacobian"]
    + [
        pytest.param("donation", name, marks=[] if number % 4 == 0 else pytest.mark.slow)
        for number, name in enumerate(CASES)
        if name != "jacobian"
    ],
)
def test_it_is_what_jax_gives_step_by_step(under, name):
    wrap, start = UNDER[under]
    require_same(name, under, wrap(CASES[name].ours)(start()))


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


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        pytest.param(setting, name, marks=[] if (i + j) % len(SETTINGS) == 0 else pytest.mark.slow)
        for i, setting in enumerate(SETTINGS)
        for j, name in enumerate(CASES)
    ],
)
def test_under_settings(setting, name):
    ours = CASES[name].ours
    with ExitStack() as stack:
        stack.enter_context(SETTINGS[setting]())
        x = point()
        found = (ours if setting in DIRECT else jax.jit(ours))(x)
    dtype = jnp.float32 if setting == "float32" else jnp.float64
    wanted = reference(name)
    for a, b in zip(jax.tree.leaves(found), wanted, strict=True):
        assert a.dtype == dtype
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
    wanted = jax.jit(jax.vmap(theirs))(xs)
    mapped = jax.shard_map(jax.vmap(ours), mesh=mesh, in_specs=P("d"), out_specs=P("d"))
    for found in jax.jit(lambda xs: (mapped(xs), jax.vmap(ours)(xs)))(sharded):
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5, err_msg=name)
    for a, b in zip(jax.tree.leaves(ours(replicated)), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b[0], rtol=2e-4, atol=1e-5, err_msg=name)
print("ok")
"""


def test_over_several_devices(pytestconfig):
    environment = {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PATH": "",
        "PYTHONPATH": ":".join(sys.path),
        "JAX_PLATFORMS": "cpu",
        **compilation_cache.environment(pytestconfig.rootpath),
    }
    done = subprocess.run(
        [sys.executable, "-c", ON_DEVICES], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "ok"
