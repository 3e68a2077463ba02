"""What the library adds inside `jax.shard_map` has the types of its surroundings: branches, loops.

In a process of its own, since the number of devices is fixed when JAX starts.
"""

import json
import os
import subprocess
import sys

from tests import compilation_cache

SCRIPT = """
import json
import jax, jax.numpy as jnp, numpy as np
from jax import lax
from jax.sharding import AxisType, PartitionSpec as P
import jaxcalc
from jaxcalc.engine.jaxprs import boundary

boundary._BRANCH_COST = 1.0  # as for 10,000 elements a device

def stencil(u):
    return jnp.sin(u[1:-1]) * (u[2:] - 2 * u[1:-1] + u[:-2])

def tridiagonal(u):
    "The Jacobian of the stencil, by hand."
    i, rows = np.arange(1, len(u) - 1), np.zeros((len(u) - 2, len(u)))
    rows[i - 1, i - 1] = rows[i - 1, i + 1] = np.sin(u[1:-1])
    rows[i - 1, i] = np.cos(u[1:-1]) * (u[2:] - 2 * u[1:-1] + u[:-2]) - 2 * np.sin(u[1:-1])
    return rows

LINE, GRID = ((4,), ("a",)), ((2, 2), ("a", "b"))
U = np.linspace(0.0, 3.0, 160)
found = {}

def on_devices(derivative, mesh, spec, U=U, **options):
    mesh = jax.make_mesh(*mesh, axis_types=(AxisType.Auto,) * len(mesh[0]))
    run = jax.shard_map(
        lambda u: derivative(u)[None], mesh=mesh, in_specs=spec, out_specs=spec, **options
    )
    return np.asarray(jax.jit(run)(U))

def structured(f, mode):
    return lambda u: jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(u).todense()

for name, mesh, spec, parts, options in [
    ("one axis", LINE, P("a"), 4, {}),
    ("one axis, not typed", LINE, P("a"), 4, {"check_vma": False}),
    ("one of two axes", GRID, P("b"), 2, {}),
    ("both axes", GRID, P(("a", "b")), 4, {}),
]:
    expected = np.stack([tridiagonal(u) for u in np.split(U, parts)])
    for mode in ("forward", "reverse"):
        values = on_devices(structured(stencil, mode), mesh, spec, **options)
        found[f"a branch, {name}, {mode}"] = float(np.abs(values - expected).max())

def rolled(u):
    "A loop whose carry starts as known coefficients, the same on each device."
    return lax.fori_loop(0, 30, lambda _, v: 0.1 * jnp.sin(v) + jnp.roll(v, 1), u)

def product_of_steps(v):
    "Its Jacobian, by hand."
    J = np.eye(len(v))
    for _ in range(30):
        J = 0.1 * np.cos(v)[:, None] * J + np.roll(J, 1, 0)
        v = 0.1 * np.sin(v) + np.roll(v, 1)
    return J

FEW = U[::4]  # a pattern that fills step by step takes long to follow
expected = np.stack([product_of_steps(u) for u in np.split(FEW, 4)])
for mode in ("forward", "reverse"):
    values = on_devices(structured(rolled, mode), LINE, P("a"), FEW)
    found[f"a loop, {mode}"] = float(np.abs(values - expected).max())
print(json.dumps(found))
"""


def test_branches_and_loops_are_typed(pytestconfig):
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        **compilation_cache.environment(pytestconfig.rootpath),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    errors = json.loads(done.stdout.splitlines()[-1])
    assert len(errors) == 10
    assert max(errors.values()) < 1e-12, errors
