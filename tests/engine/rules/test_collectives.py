"""Derivatives inside `jax.shard_map` on four devices against `jax.jacfwd` and `jax.jacrev` there.

In a process of its own, since the number of devices is fixed when JAX starts.
"""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json
import jax, jax.numpy as jnp, numpy as np
from jax import lax
from jax.sharding import AxisType, PartitionSpec as P
import jaxcalc

mesh = jax.make_mesh((4,), ("i",), axis_types=(AxisType.Auto,))
X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
CASES = {
    "psum": lambda x: lax.psum(jnp.sin(x), "i"),
    "psum of the seed": lambda x: lax.psum(x, "i"),
    "pmean": lambda x: x * lax.pmean(jnp.sin(x), "i"),
    "all_gather": lambda x: lax.all_gather(jnp.sin(x), "i", axis=1),
    "all_gather tiled": lambda x: lax.all_gather(x * x, "i", axis=1, tiled=True),
    "psum_scatter": lambda x: lax.psum_scatter(x * x, "i", scatter_dimension=1),
    "psum_scatter tiled": lambda x: lax.psum_scatter(x * x, "i", scatter_dimension=1, tiled=True),
    "all_to_all": lambda x: lax.all_to_all(jnp.sin(x), "i", 1, 0, tiled=True),
    "all_to_all of one axis": lambda x: lax.all_to_all(x * x, "i", 1, 1, tiled=True),
    "ppermute": lambda x: x * lax.ppermute(x, "i", [(0, 1), (1, 2)]),
}

def everywhere(jacobian):
    options = {"mesh": mesh, "in_specs": P("i"), "out_specs": P("i"), "check_vma": False}
    return jax.jit(jax.shard_map(lambda x: jacobian(x)[None], **options))(X)

found = {}
for name, f in CASES.items():
    for mode, dense in (("forward", jax.jacfwd), ("reverse", jax.jacrev)):
        entries = []
        def structured(x):
            jacobian = jaxcalc.jacobian(f, format="structured", mode=mode, strict=True)(x)
            entries.append(jacobian.nnz)
            return jacobian.todense()
        error = np.abs(everywhere(structured) - everywhere(dense(f))).max()
        found[f"{name}, {mode}"] = float(error), entries[0]
print(json.dumps(found))
"""

# entries of a device's Jacobian by its own 2 x 4 elements; where the part is not known, forward mode
# has all of an axis, and reverse mode what the transpose is made of
ENTRIES = {
    "psum": (8, 8),
    "psum of the seed": (8, 8),
    "pmean": (8, 8),
    "all_gather": (32, 32),
    "all_gather tiled": (32, 128),
    "psum_scatter": (8, 8),
    "psum_scatter tiled": (8, 8),
    "all_to_all": (32, 64),
    "all_to_all of one axis": (32, 32),
    "ppermute": (8, 8),
}


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[float, int]]:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", ENTRIES)
def test_a_collective_acts_on_each_lane(found, name, mode):
    error, entries = found[f"{name}, {mode}"]
    assert error < 1e-5
    assert entries == ENTRIES[name][mode == "reverse"]
